"""YAML as Compose reads it: version 1.2's types, anchors and merges, and limits on what a text can blow up to."""

import pytest
import yaml
from compose_builders import a_file, a_service, a_template, parse, the_error

from swarmlet.model.compose import FILE_BYTES_MAX, source


@pytest.fixture(params=["libyaml", "pure"])
def _each_loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "pure":
        monkeypatch.setattr(source, "_Loader", yaml.SafeLoader)


pytestmark = pytest.mark.usefixtures("_each_loader")


@pytest.mark.parametrize("word", ["on", "yes", "no", "y", "off", "22:22", "1_000", "0777x", "1e", "2001-01-01"])
def test_words_that_yaml_1_1_would_convert_stay_strings(word: str) -> None:
    assert a_template(f"user: {word}").user == word


def test_a_port_pair_is_no_sexagesimal_number() -> None:
    (port,) = a_template("ports: [22:22]").ports

    assert (port.published, port.target) == (22, 22)


@pytest.mark.parametrize("written", ["1.10", "0x10", "007", "true", "1e3", "on"])
def test_values_of_variables_stay_as_written(written: str) -> None:
    assert a_template(f"environment: {{A: {written}}}").environment == {"A": written}


def test_an_explicit_string_tag_makes_a_string() -> None:
    assert a_template("user: !!str 1000").user == "1000"


def test_quoted_and_block_texts_are_strings() -> None:
    template = a_template('user: "1000"\ncommand: >-\n  echo\n  hi')

    assert (template.user, template.command) == ("1000", ("echo", "hi"))


def test_anchors_and_merge_keys_are_expanded() -> None:
    services = parse(
        """\
        x-base: &base
          image: base
          restart: "no"
          labels: &labels {tier: back}
        x-more: &more
          image: more
          user: app
        services:
          one:
            <<: *base
          two:
            <<: [*more, *base]
            labels:
              <<: *labels
              own: "1"
        """
    ).spec.services

    assert services["one"].template.image == "base"
    assert services["two"].template.image == "more"
    assert services["two"].template.user == "app"
    assert services["two"].template.labels == {"tier": "back", "own": "1"}


def test_a_mappings_own_keys_win_over_merged_ones_wherever_they_stand() -> None:
    services = parse("services:\n  a: &a {image: a}\n  b: {image: b, <<: *a}\n  c: {<<: *a, image: c}\n").spec.services

    assert [service.template.image for service in services.values()] == ["a", "b", "c"]


def test_a_fault_in_merged_content_is_placed_where_it_is_written() -> None:
    error = the_error("x-a: &a {user: 7}\nservices:\n  web:\n    image: x\n    <<: *a\n")

    assert (error.line, error.key_path) == (1, "services.web.user")


def test_a_second_merge_key_is_refused() -> None:
    assert "write one: <<: [*a, *b]" in the_error("x-a: &a {user: b}\nx-b:\n  <<: *a\n  <<: *a\n").message


def test_an_alias_bomb_is_defused() -> None:
    lines = ["x-0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]

    error = the_error("\n".join(lines))

    assert "more than 100,000 values once aliases are expanded" in error.message


def test_a_bomb_of_merges_is_defused() -> None:
    keys = ", ".join(f"k{n}: 1" for n in range(100))
    lines = [f"x-0: &a0 {{{keys}}}"]
    lines += [f"x-{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12)]

    assert "more than 100,000 values" in the_error("\n".join(lines)).message


@pytest.mark.parametrize("text", ["[" * 50_000, "- " * 50_000, "{a: " * 50_000])
def test_deep_nesting_is_refused_before_it_is_read(text: str) -> None:
    assert "nested deeper than 64 levels" in the_error(text).message


def test_nesting_by_aliases_is_limited_too() -> None:
    lines = ["x-0: &a0 [x]"] + [f"x-{n}: &a{n} [*a{n - 1}]" for n in range(1, 100)]

    assert "nested deeper than 64 levels by aliases" in the_error("\n".join(lines)).message


def test_a_file_over_the_limit_is_refused() -> None:
    assert "larger than 1 MiB" in the_error("#" * (FILE_BYTES_MAX + 1)).message
    assert "larger than 1 MiB" in the_error("ü" * (FILE_BYTES_MAX // 2 + 1)).message


def test_extension_keys_are_ignored_at_every_level() -> None:
    service = a_service(
        "x-note: [1]\ndeploy: {x-a: 1, resources: {x-b: {}}}\nhealthcheck: {x-c: 1, test: a}", rest="x-top: {a: 1}"
    )

    assert service == a_service("healthcheck: {test: a}")


def test_x_swarmlet_outside_of_services_is_pointed_out() -> None:
    (warning,) = parse(a_file(rest="x-swarmlet: {health: {}}")).warnings

    assert str(warning) == "compose.yaml:5:1: x-swarmlet: has no effect here, write it inside of a service"


def test_names_that_users_choose_may_begin_like_extensions() -> None:
    assert a_template("labels: {x-team: shop}").labels == {"x-team": "shop"}


def test_a_long_text_used_by_many_aliases_is_limited() -> None:
    text = "x-t: &t " + "x" * 500_000 + "\nx-u: [" + ", ".join(["*t"] * 20) + "]\nservices: {web: {image: x}}\n"

    assert "characters once aliases are expanded" in the_error(text).message
