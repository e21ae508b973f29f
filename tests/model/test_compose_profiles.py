"""Services that are left out: by their profiles, or because nobody has their image. And paths of the deployer's."""

import pytest
from compose_builders import a_file, parse, the_error, the_warnings

from swarmlet.model.compose import Given, Unbuilt

STACK = """\
services:
  web: {image: x}
  shell: {image: x, profiles: [debug]}
  probe: {image: x, profiles: [debug, test]}
"""


@pytest.mark.parametrize(
    ("profiles", "services"),
    [
        ((), ["web"]),
        (("debug",), ["web", "shell", "probe"]),
        (("test",), ["web", "probe"]),
        (("*",), ["web", "shell", "probe"]),
        (("other",), ["web"]),
    ],
)
def test_a_service_with_profiles_is_there_only_with_one_of_them(profiles: tuple[str, ...], services: list[str]) -> None:
    assert list(parse(STACK, given=Given(profiles=frozenset(profiles))).spec.services) == services


def test_a_service_that_is_left_out_is_still_checked() -> None:
    assert the_error(STACK.replace("[debug]", "[debug], user: 7")).key_path == "services.shell.user"


def test_a_service_that_is_left_out_takes_no_port() -> None:
    text = "services:\n  a: {image: x, ports: ['80:80']}\n  b: {image: x, ports: ['80:80'], profiles: [b]}\n"

    assert list(parse(text).spec.services) == ["a"]
    assert "port 80 is already published by services.a" in the_error(text, given=Given(profiles=frozenset("b"))).message


def test_nothing_may_depend_on_what_is_left_out_unless_it_may_do_without() -> None:
    text = STACK.replace("web: {image: x}", "web: {image: x, depends_on: [shell]}")
    without = text.replace("[shell]", "{shell: {condition: service_started, required: false}}")

    error = the_error(text)

    assert (error.line, error.key_path) == (2, "services.web.depends_on[0]")
    assert "shell is left out, since none of its profiles is active: deploy with '--profile debug'" in error.message
    assert parse(without).spec.services["web"].depends_on == {}
    assert "shell" in parse(text, given=Given(profiles=frozenset({"debug"}))).spec.services["web"].depends_on


BUILT = "services:\n  web: {build: ./web}\n  db: {image: x}\n  job: {build: {context: .}, image: mine:1}\n"


def test_images_that_nobody_has_are_named_and_the_deploy_refused() -> None:
    error = the_error(BUILT)

    assert (error.line, error.key_path) == (2, "services.web.build")
    assert "these have to be on every node: web as shop-web; build them" in error.message


def test_images_may_be_expected() -> None:
    parsed = parse(BUILT, given=Given(unbuilt=Unbuilt.EXPECT))

    assert {name: service.template.image for name, service in parsed.spec.services.items()} == {
        "web": "shop-web",
        "db": "x",
        "job": "mine:1",
    }
    assert parsed.unbuilt == {"web": "shop-web"}


def test_services_without_image_may_be_skipped() -> None:
    assert list(parse(BUILT, given=Given(unbuilt=Unbuilt.SKIP)).spec.services) == ["db", "job"]


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("./app", "/srv/shop/app"),
        ("../app/", "/srv/app"),
        (".", "/srv/shop"),
        ("~/data", "/home/me/data"),
        ("a/b", None),
    ],
)
def test_relative_mounts_are_taken_from_where_the_stack_is_deployed(source: str, path: str | None) -> None:
    text = a_file(f"volumes: ['{source}:/data']")
    given = Given(folder="/srv/shop")

    (mount,) = parse(text, {"HOME": "/home/me"}, given=given).spec.services["web"].template.mounts

    assert mount.source == (path or "/srv/shop/a/b")
    (warning,) = the_warnings(text, {"HOME": "/home/me"}, given)
    assert f"'{source}' is taken as {mount.source}, which must be there on every node" in warning


def test_an_empty_source_becomes_a_volume_of_the_tasks_own_and_is_told() -> None:
    warnings = the_warnings(a_file("volumes: ['${MEDIA}:/media']"))

    assert len(warnings) == 2
    assert "has an empty source (a variable that is not set?)" in warnings[1]


def test_networks_are_checked_and_separate_nothing() -> None:
    text = "services: {web: {image: x, networks: [front, default]}}\nnetworks:\n  front: {driver: overlay}\n"

    first, second = the_warnings(text)

    assert "services.web.networks: separate nothing here (yet)" in first
    assert "networks.front.driver: has no effect" in second
