"""Configs and secrets: contents that are sent along, and files in containers."""

import base64

import pytest
from compose_builders import parse, the_error

from swarmlet.model.compose import Given, check_stack
from swarmlet.model.compose.stored_files import FILE_BYTES_MAX
from swarmlet.model.container import FileMount
from swarmlet.model.frozen import decode, encode
from swarmlet.model.spec import TaskTemplate

STACK = """\
services:
  web:
    image: nginx
    configs:
      - conf
      - {source: text, target: /etc/app/text, uid: "1000", gid: "1001", mode: 0440}
    secrets:
      - key
      - {source: token, target: tokens/api, mode: "0400"}
configs:
  conf: {file: ./conf.d/app.conf}
  text: {content: "user=${WHO}\\n"}
secrets:
  key: {file: key.bin}
  token: {environment: API_TOKEN}
"""
SENT = {
    "./conf.d/app.conf": base64.b64encode(b"a: 1\n").decode(),
    "key.bin": base64.b64encode(b"\0\xff").decode(),
}
VARIABLES = {"WHO": "me", "API_TOKEN": "hush-hush"}


def the_files(text: str = STACK, contents: dict[str, str] | None = None) -> dict[str, FileMount]:
    template = parse(text, VARIABLES, given=Given(contents=contents or SENT)).spec.services["web"].template
    return {file.target: file for file in template.files}


def test_files_have_their_targets_owners_and_permissions() -> None:
    files = the_files()

    assert {target: (file.uid, file.gid, oct(file.mode), file.secret) for target, file in files.items()} == {
        "/conf": (0, 0, "0o444", False),
        "/etc/app/text": (1000, 1001, "0o440", False),
        "/run/secrets/key": (0, 0, "0o444", True),
        "/run/secrets/tokens/api": (0, 0, "0o400", True),
    }


def test_contents_come_from_files_from_variables_and_from_the_file_itself() -> None:
    files = the_files()

    assert [file.content for file in files.values()] == [b"a: 1\n", b"user=me\n", b"\0\xff", b"hush-hush"]


def test_a_changed_content_is_another_revision() -> None:
    def revision(content: bytes) -> str:
        sent = {**SENT, "key.bin": base64.b64encode(content).decode()}
        return parse(STACK, VARIABLES, given=Given(contents=sent)).spec.services["web"].template.revision()

    assert revision(b"one") == revision(b"one") != revision(b"two")


def test_a_secret_is_in_no_text_about_the_template() -> None:
    template = parse(STACK, VARIABLES, given=Given(contents=SENT)).spec.services["web"].template

    assert base64.b64encode(b"hush-hush").decode() not in repr(template)
    assert base64.b64encode(b"hush-hush").decode() not in str(template)


def test_a_template_with_files_is_stored_and_read_again() -> None:
    template = parse(STACK, VARIABLES, given=Given(contents=SENT)).spec.services["web"].template

    assert decode(TaskTemplate, encode(template)) == template


def test_damaged_objects_are_refused_without_showing_what_is_in_them() -> None:
    with pytest.raises(ValueError) as caught:
        FileMount.model_validate({"target": "/a", "content_base64": ["hush-hush"]})

    assert "hush" not in str(caught.value)


def test_sizes_are_limited() -> None:
    too_large = {**SENT, "key.bin": base64.b64encode(b"x" * (FILE_BYTES_MAX + 1)).decode()}
    many = "".join(f"  c{n}: {{file: big}}\n" for n in range(3))
    text = f"services: {{web: {{image: x, configs: [c0, c1, c2]}}}}\nconfigs:\n{many}"
    big = {"big": base64.b64encode(b"x" * FILE_BYTES_MAX).decode()}

    error = the_error(STACK, VARIABLES, given=Given(contents=too_large))

    assert (error.key_path, error.line) == ("secrets.key", 14)
    assert "has 131,073 bytes, at most 131,072 are taken" in error.message
    assert "more than 262,144 bytes of configs and secrets" in the_error(text, given=Given(contents=big)).message


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("mode: 0440", "mode: 440", "440 is decimal and means other permissions than it seems, write 0440"),
        ("mode: 0440", "mode: '0888'", "'0888' are no permissions, write octal digits like 0440"),
        ('uid: "1000"', "uid: root", "must be a whole number, not 'root'"),
        ("target: /etc/app/text", "target: /conf", "line 5 mounts something at '/conf' too"),
        ("source: token", "source: tokn", "'tokn' is not declared, write token"),
        ("token: {environment", "token: {content: x, environment", "unknown key, "),
    ],
)
def test_what_is_wrong_with_a_file_is_refused(old: str, new: str, part: str) -> None:
    assert part in the_error(STACK.replace(old, new), VARIABLES, given=Given(contents=SENT)).message


def test_what_is_sent_must_be_base64() -> None:
    error = the_error(STACK, VARIABLES, given=Given(contents={**SENT, "key.bin": "not base64!"}))

    assert "the content sent for key.bin is not base64" in error.message


def test_a_check_only_warns_of_contents_that_are_not_here_yet() -> None:
    checked = check_stack("shop", STACK, "compose.yaml", {"WHO": "me"}, {})

    assert checked.errors == ()
    assert [(warning.key_path, warning.message.split(",")[0]) for warning in checked.warnings] == [
        ("configs.conf.file", "the file ./conf.d/app.conf is missing"),
        ("secrets.key.file", "the file key.bin is missing"),
        ("secrets.token.environment", "the variable 'API_TOKEN' is not set"),
    ]
