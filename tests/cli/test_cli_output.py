"""Tables: for people at a terminal they fit it, for everything else a row is a line."""

import pytest
from pydantic import BaseModel

from swarmlet.cli.output import Output, show_table


class Row(BaseModel):
    name: str
    message: str


COLUMNS = [("NAME", lambda row: row.name), ("MESSAGE", lambda row: row.message)]


def shown(capsys: pytest.CaptureFixture[str], *rows: Row) -> list[str]:
    show_table(rows, COLUMNS, Output.TABLE)
    return capsys.readouterr().out.splitlines()


def test_columns_are_as_wide_as_their_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, Row(name="a", message="fine"), Row(name="longer", message=""))

    assert lines == ["NAME    MESSAGE", "a       fine", "longer"]


@pytest.mark.parametrize("message", ["x" * 3_000, "word " * 600 + "end", "two\nlines\r\n\tand more"])
def test_a_row_is_one_line_however_long(capsys: pytest.CaptureFixture[str], message: str) -> None:
    head, line = shown(capsys, Row(name="a", message=message))

    assert head == "NAME  MESSAGE"
    assert line.split() == ["a", *message.split()]


def test_a_table_without_rows_has_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys) == ["NAME  MESSAGE"]


def test_wide_letters_keep_columns_apart(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, Row(name="日本", message="wide"), Row(name="abcd", message="[bold]as it is[/bold]"))

    assert lines == ["NAME  MESSAGE", "日本  wide", "abcd  [bold]as it is[/bold]"]
