"""`swarmlet compose check` and what `deploy` sends, with real files and no agent."""

import base64
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from swarmlet.cli.compose_files import UnreadableFile, read_compose_files
from swarmlet.cli.main import app
from swarmlet.model.compose import CONTENT_BYTES_MAX, Unbuilt

RUN = CliRunner()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a stack of several files."""
    folder = tmp_path / "shop"
    files = {
        "compose.yaml": "include: [db/db.yaml]\nservices:\n  web:\n    image: 'nginx:$TAG'\n    env_file: web.env\n"
        "    volumes: ['./www:/www']\n",
        "production.yaml": "services: {web: {user: '7', profiles: [live]}}\n",
        "db/db.yaml": "services: {db: {image: 'postgres:$DB', secrets: [key]}}\nsecrets: {key: {file: key.bin}}\n",
        "db/.env": "DB=16\n",
        "web.env": "A=$FROM_SHELL\n",
        ".env": "TAG=1\nCOMPOSE_PROFILES=live\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "db/key.bin").write_bytes(b"\0\xff")
    monkeypatch.setenv("FROM_SHELL", "yes")
    monkeypatch.delenv("COMPOSE_PROFILES", raising=False)
    return folder


def test_a_request_holds_all_that_the_files_need(shop: Path) -> None:
    request = read_compose_files([shop / "compose.yaml", shop / "production.yaml"]).request(["more"], Unbuilt.EXPECT)

    assert request.filename == "compose.yaml"
    assert [(each.filename, each.compose) for each in request.overrides] == [
        ("production.yaml", (shop / "production.yaml").read_text())
    ]
    assert set(request.files) == {"db/db.yaml", "db/.env", "web.env"}
    assert request.contents == {"db/key.bin": base64.b64encode(b"\0\xff").decode()}
    assert request.variables == {"TAG": "1", "FROM_SHELL": "yes"}
    assert (request.profiles, request.folder, request.unbuilt) == (["live", "more"], str(shop), "expect")


def test_a_secret_of_the_request_is_not_in_its_text(shop: Path) -> None:
    files = read_compose_files([shop / "compose.yaml"])

    for value in (files, files.request([])):
        assert base64.b64encode(b"\0\xff").decode() not in repr(value)


def test_a_content_that_is_too_large_is_not_read_to_its_end(shop: Path) -> None:
    (shop / "db/key.bin").write_bytes(b"x" * (CONTENT_BYTES_MAX + 1000))

    sent = read_compose_files([shop / "compose.yaml"]).contents["db/key.bin"]

    assert len(base64.b64decode(sent)) == CONTENT_BYTES_MAX + 1


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")

    with pytest.raises(UnreadableFile, match=r"latin\.yaml: is not UTF-8 text"):
        read_compose_files([tmp_path / "latin.yaml"])
    with pytest.raises(UnreadableFile, match=r"nothing\.yaml: No such file"):
        read_compose_files([tmp_path / "nothing.yaml"])


@pytest.mark.parametrize(
    "text",
    [
        "services: {web: {image: x, env_file: LONG}}",
        "services: {web: {image: x, secrets: [key]}}\nsecrets: {key: {file: LONG}}",
    ],
)
def test_a_file_that_can_t_be_looked_for_is_named(tmp_path: Path, text: str) -> None:
    """As where a folder may not be entered; a name that is too long fails for root, too."""
    long = 300 * "x"
    (tmp_path / "compose.yaml").write_text(text.replace("LONG", long))

    with pytest.raises(UnreadableFile, match=rf"{long}: File name too long: give the path of a readable file"):
        read_compose_files([tmp_path / "compose.yaml"])


def test_variables_behind_a_link_that_leads_nowhere_readable_are_named(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to(300 * "x")
    (tmp_path / "compose.yaml").write_text("services: {web: {image: x}}")

    with pytest.raises(UnreadableFile, match=r"\.env: File name too long"):
        read_compose_files([tmp_path / "compose.yaml"])


def test_a_good_file_is_accepted_with_its_warnings(shop: Path) -> None:
    done = RUN.invoke(app, ["compose", "check", "-f", str(shop / "compose.yaml"), "-f", str(shop / "production.yaml")])

    assert done.exit_code == 0
    first, verdict = done.stdout.splitlines()
    assert first.startswith(
        f"{shop}/compose.yaml:6:15: warning: services.web.volumes[0]: './www' is taken as {shop}/www"
    )
    assert verdict.endswith("production.yaml: accepted, 1 warning")


def test_all_faults_of_all_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("services:\n  web: {image: x, user: 7, prots: []}\n")
    (tmp_path / "two.yaml").write_text("services:\n  web: {image: x}\n")

    done = RUN.invoke(app, ["compose", "check", str(tmp_path / "one.yaml"), str(tmp_path / "two.yaml")])

    assert done.exit_code == 1
    assert [line.removeprefix(f"{tmp_path}/").partition(" ")[0] for line in done.stdout.splitlines()] == [
        *("one.yaml:2:25:", "one.yaml:2:28:", "one.yaml:", "two.yaml:")
    ]
    assert "one.yaml: refused, 2 errors, 0 warnings" in done.stdout
    assert "two.yaml: accepted, 0 warnings" in done.stdout


def test_programs_get_json(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services:\n  web: {build: ., container_name: x, colour: blue}\n")

    done = RUN.invoke(app, ["compose", "check", str(file), "--output", "json"])

    assert done.exit_code == 1
    (view,) = json.loads(done.stdout)
    assert (view["files"], view["accepted"]) == ([str(file)], False)
    assert [(each["severity"], each["line"], each["column"], each["key"]) for each in view["findings"]] == [
        ("error", 2, 38, "services.web.colour"),
        ("warning", 2, 9, "services.web.build"),
        ("warning", 2, 19, "services.web.container_name"),
    ]


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    assert RUN.invoke(app, ["compose", "check", str(tmp_path / "nothing.yaml")]).exit_code == 2
    assert RUN.invoke(app, ["compose", "check"]).exit_code == 2


def test_a_deploy_takes_one_file_or_several(tmp_path: Path) -> None:
    for arguments in (["shop"], ["shop", "a.yaml", "-f", "b.yaml"]):
        done = RUN.invoke(app, ["deploy", *arguments])

        assert done.exit_code == 2
