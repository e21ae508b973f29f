"""One stack from many files: what services extend, and what files include."""

import pytest
from compose_builders import parse, the_error

from swarmlet.model.compose import ComposeError, Given, needed_inputs


def test_a_service_takes_over_the_keys_of_another() -> None:
    text = """\
        services:
          base: {image: nginx, user: "1", environment: {A: 1, B: 2}, cap_add: [CHOWN]}
          web: {extends: base, environment: [B=3], cap_add: [KILL]}
        """

    web = parse(text).spec.services["web"].template

    assert (web.image, web.user, web.environment) == ("nginx", "1", {"A": "1", "B": "3"})
    assert web.cap_add == ("CHOWN", "KILL")


def test_a_service_extends_one_of_another_file_whose_paths_are_its_own() -> None:
    text = "services:\n  web:\n    extends: {service: base, file: lib/base.yaml}\n    user: '2'\n"
    lib = {
        "lib/base.yaml": "services:\n  base: {extends: root, env_file: a.env}\n  root: {image: nginx, user: '1'}\n",
        "lib/a.env": "A=1\n",
    }

    web = parse(text, files=lib).spec.services["web"].template

    assert (web.image, web.user, web.environment) == ("nginx", "2", {"A": "1"})


def test_a_relative_mount_of_an_extended_service_is_seen_from_its_own_file() -> None:
    text = "services:\n  web: {extends: {service: base, file: lib/base.yaml}}\n"
    lib = {"lib/base.yaml": "services:\n  base: {image: x, volumes: ['./data:/data']}\n"}

    (mount,) = parse(text, files=lib, given=Given(folder="/srv")).spec.services["web"].template.mounts

    assert mount.source == "/srv/lib/data"


def test_keys_are_reset_in_what_is_extended() -> None:
    text = "services:\n  base: {image: x, user: '1'}\n  web:\n    extends: base\n    user: !reset null\n"

    assert parse(text).spec.services["web"].template.user == ""


def test_services_that_extend_each_other_are_refused_once() -> None:
    text = "services:\n  a: {image: x, extends: b}\n  b: {image: x, extends: c}\n  c: {image: x, extends: a}\n"

    error = the_error(text)

    assert (error.line, error.column) == (4, 26)
    assert "(a → b → c → a), remove one 'extends'" in error.message


def test_files_that_extend_each_other_are_refused() -> None:
    text = "services:\n  web: {extends: {service: web, file: other.yaml}}\n"
    other = {"other.yaml": "services:\n  web: {extends: {service: web, file: compose.yaml}}\n", "compose.yaml": text}

    assert "a cycle of services that extend each other (web → web → web)" in the_error(text, files=other).message


def test_a_fault_of_an_extended_service_is_reported_where_it_is_written() -> None:
    text = "services:\n  web: {extends: {service: base, file: lib.yaml}}\n"

    error = the_error(text, files={"lib.yaml": "services:\n  base:\n    image: x\n    user: 7\n"})

    assert str(error).startswith("lib.yaml:4:11: services.base.user: must be a string")


def test_chains_and_copies_are_limited() -> None:
    links = [f"  s{n}: {{extends: s{n - 1}}}\n" for n in range(1, 30)]
    chain = "services:\n  s0: {image: x}\n" + "".join(links)
    backwards = "services:\n  s0: {image: x}\n" + "".join(reversed(links))
    environment = "{" + ", ".join(f"V{n}: x" for n in range(900)) + "}"
    copies = f"services:\n  s: {{image: x, environment: {environment}}}\n" + "".join(
        f"  s{n}: {{extends: s}}\n" for n in range(200)
    )

    for text in (chain, backwards):
        assert "more than 16 services extend one another in a row" in the_error(text).message
    assert "more than 100,000 values" in the_error(copies).message


INCLUDED = "services:\n  db: {image: postgres, volumes: ['data:/d'], env_file: db.env}\nvolumes: {data: }\n"


def test_what_is_included_is_part_of_the_stack() -> None:
    text = "include: [db/compose.yaml]\nservices:\n  web: {image: x, depends_on: [db]}\n"

    services = parse(text, files={"db/compose.yaml": INCLUDED, "db/db.env": "A=1\n"}).spec.services

    assert list(services) == ["web", "db"]
    assert services["db"].template.environment == {"A": "1"}
    assert services["db"].template.mounts[0].source == "shop_data"


def test_an_included_file_has_defaults_of_its_own_for_variables() -> None:
    text = "include:\n  - {path: [db/a.yaml, db/b.yaml], env_file: db/defaults.env}\nservices: {web: {image: $IMAGE}}\n"
    files = {
        "db/a.yaml": "services: {db: {image: $IMAGE, user: $WHO}}\n",
        "db/b.yaml": "services: {db: {working_dir: /$WHO}}\n",
        "db/defaults.env": "IMAGE=postgres\nWHO=me\n",
    }

    services = parse(text, {"IMAGE": "mine"}, files).spec.services

    db = services["db"].template
    assert (db.image, db.user, db.working_dir) == ("mine", "me", "/me")
    assert services["web"].template.image == "mine"


def test_an_included_folder_may_be_named() -> None:
    text = "include: [{path: db/compose.yaml, project_directory: data}]\nservices: {web: {image: x}}\n"
    files = {"db/compose.yaml": "services: {db: {image: x, env_file: a.env}}\n", "data/a.env": "A=1\n"}

    assert parse(text, files=files).spec.services["db"].template.environment == {"A": "1"}


def test_the_same_thing_declared_twice_is_refused() -> None:
    text = "include: [db.yaml]\nservices:\n  web: {image: x}\n  db: {image: y}\n"

    error = the_error(text, files={"db.yaml": "services: {db: {image: z}}\n"})

    assert str(error).startswith(
        "compose.yaml:4:3: services.db: 'db' is declared in an included file too (db.yaml:1:12)"
    )


def test_a_file_included_twice_is_the_same_thing() -> None:
    text = "include: [a.yaml, b.yaml]\nservices: {web: {image: x}}\n"
    files = {
        "a.yaml": "include: [c.yaml]\nservices: {a: {image: x}}\n",
        "b.yaml": "include: [c.yaml]\nservices: {b: {image: x}}\n",
        "c.yaml": "services: {c: {image: x}}\n",
    }

    assert sorted(parse(text, files=files).spec.services) == ["a", "b", "c", "web"]


def test_files_that_include_each_other_are_refused() -> None:
    text = "include: [a.yaml]\nservices: {web: {image: x}}\n"
    files = {"a.yaml": "include: [b.yaml]\nservices: {}\n", "b.yaml": "include: [compose.yaml]\nservices: {}\n"}

    error = the_error(text, files={**files, "compose.yaml": text})

    assert str(error).startswith("b.yaml:1:11: include[0]: a cycle of files that include each other")
    assert "(compose.yaml → a.yaml → b.yaml → compose.yaml), remove one 'include'" in error.message


def test_inclusions_are_limited_in_depth_and_number() -> None:
    deep = {f"{n}.yaml": f"include: [{n + 1}.yaml]\nservices: {{}}\n" for n in range(30)}
    wide = {f"{n}.yaml": "services: {}\n" for n in range(200)}
    all_of_them = "include: [" + ", ".join(wide) + "]\nservices: {web: {image: x}}\n"

    assert (
        "included deeper than 16 levels"
        in the_error("include: [0.yaml]\nservices: {web: {image: x}}\n", files=deep).message
    )
    assert "more than 100 files in one stack" in the_error(all_of_them, files=wide).message


def test_bombs_are_defused_across_files() -> None:
    lines = ["x-0: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [
        f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 4)
    ]
    part = "\n".join(lines) + "\nservices: {}\n"
    text = "include: [" + ", ".join(f"{n}.yaml" for n in range(20)) + "]\nservices: {web: {image: x}}\n"

    with pytest.raises(ComposeError, match="more than 100,000 values"):
        parse(text, files={f"{n}.yaml": part for n in range(20)})


def test_a_client_learns_step_by_step_what_to_send() -> None:
    text = "include: [$WHERE/a.yaml]\nservices: {web: {extends: {service: w, file: lib/w.yaml}}}\n"
    files = {
        "db/a.yaml": "services: {db: {image: $TAG, env_file: a.env}}\nsecrets: {key: {file: key.pem}}\n",
        "lib/w.yaml": "services: {w: {image: $WEB, label_file: w.labels, volumes: ['~/x:/x']}}\n",
    }

    first = needed_inputs(text, {"WHERE": "db"})
    second = needed_inputs(text, {"WHERE": "db"}, files)

    assert first.variables == {"WHERE"}
    assert "lib/w.yaml" in first.files
    assert second.variables == {"WHERE", "TAG", "WEB", "HOME"}
    assert set(second.files) >= {"lib/w.yaml", "db/a.yaml", "db/.env", "db/a.env", "lib/w.labels"}
    assert second.contents == ("db/key.pem",)
