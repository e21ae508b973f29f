"""Stacks that people run are accepted as they are; what has no effect here is named with its key and its line."""

from pathlib import Path

import pytest

from swarmlet.model.compose import Given, check_stack, parse_stack
from swarmlet.model.compose.stack import Unbuilt

STACKS = sorted((Path(__file__).parent / "data" / "real").glob("*.yaml"))
FOLDER = "/srv/stack"
VARIABLES = {"HOME": "/home/me"}


def test_all_of_them_are_here() -> None:
    assert len(STACKS) == 19


@pytest.mark.parametrize("path", STACKS, ids=lambda path: path.stem)
def test_a_real_stack_is_accepted(path: Path) -> None:
    text = path.read_text()

    checked = check_stack("stack", text, path.name, VARIABLES, {}, Given(folder=FOLDER))

    assert checked.errors == ()
    lines = text.splitlines()
    for warning in checked.warnings:
        # The line that it names has the key, or is the item of the list that it names.
        key = warning.key_path.rpartition(".")[2].partition("[")[0]
        line = lines[warning.place.line - 1]
        assert key in line or line.strip().startswith("-"), str(warning)
        assert line[warning.place.column - 1 :].strip()


@pytest.mark.parametrize("path", STACKS, ids=lambda path: path.stem)
def test_a_real_stack_is_deployed_once_its_images_and_files_are_there(path: Path) -> None:
    given = Given(folder=FOLDER, unbuilt=Unbuilt.EXPECT, contents={"db/password.txt": "aHVzaA=="})

    services = parse_stack("stack", path.read_text(), path.name, VARIABLES, {}, given).spec.services

    assert services
    assert all(service.template.image for service in services.values())
