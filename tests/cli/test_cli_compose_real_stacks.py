"""`swarmlet compose check` over stacks that people run: accepted, each warning with its key and its line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from swarmlet.cli.main import app

STACKS = sorted((Path(__file__).parents[1] / "model" / "data" / "real").glob("*.yaml"))


@pytest.mark.parametrize("path", STACKS, ids=lambda path: path.stem)
def test_a_real_stack_is_accepted_by_the_command(path: Path) -> None:
    shown = CliRunner().invoke(app, ["compose", "check", str(path)])
    (view,) = json.loads(CliRunner().invoke(app, ["compose", "check", str(path), "--output", "json"]).stdout)

    assert (shown.exit_code, view["accepted"]) == (0, True)
    lines = path.read_text().splitlines()
    for finding in view["findings"]:
        assert finding["severity"] == "warning" and finding["key"]
        assert 1 <= finding["line"] <= len(lines) and finding["column"] >= 1
        place = f"{path}:{finding['line']}:{finding['column']}: warning: {finding['key']}: "
        assert any(line.startswith(place) for line in shown.stdout.splitlines())


def test_all_real_stacks_are_here() -> None:
    assert len(STACKS) == 19
