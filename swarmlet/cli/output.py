"""Tables for people, JSON for programs: the same values either way."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel, TypeAdapter

ModelT = TypeVar("ModelT", bound=BaseModel)


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print: for people or for programs.")]

Columns = Sequence[tuple[str, Callable[[ModelT], object]]]

STYLES = {
    "alive": "green", "up": "green", "converged": "green", "healthy": "green", "ready": "green", "running": "green",
    "suspect": "yellow", "progressing": "yellow", "backoff": "yellow", "pulling": "yellow", "starting": "yellow",
    "dead": "red", "down": "red", "stuck": "red", "unhealthy": "red", "left": "dim", "stopped": "dim", "exited": "dim",
}  # fmt: skip


def show_json(value: BaseModel | Sequence[BaseModel]) -> None:
    kind: TypeAdapter[object] = TypeAdapter(object)
    plain = (
        value.model_dump(mode="json")
        if isinstance(value, BaseModel)
        else [one.model_dump(mode="json") for one in value]
    )
    sys.stdout.write(kind.dump_json(plain, indent=2).decode() + "\n")


def show_table(items: Sequence[ModelT], columns: Columns[ModelT], output: Output) -> None:
    if output is Output.JSON:
        show_json(items)
        return
    rows = [[str(value(item)) for _, value in columns] for item in items]
    titles = [title for title, _ in columns]
    if sys.stdout.isatty():
        _show_fitted(titles, rows)
    else:
        print("\n".join(_lines([titles, *rows])))


def _show_fitted(titles: list[str], rows: list[list[str]]) -> None:
    """As wide as the terminal; longer cells are folded."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    Console().print(table)


def _lines(rows: list[list[str]]) -> Iterator[str]:
    """A line for each row, however long: programs and logs read them."""
    from rich.cells import cell_len

    plain = [[" ".join(cell.splitlines()) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*plain, strict=True)]
    for row in plain:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def age(since: float) -> str:
    """A wall time as people say it: '5 s', '12 min', '3 h', '2 d' ago."""
    if not since:
        return "-"
    seconds = max(0.0, time.time() - since)
    for limit, unit, size in ((120, "s", 1), (7_200, "min", 60), (172_800, "h", 3_600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def size(size_bytes: int) -> str:
    return f"{size_bytes / 1024**3:.1f} GiB"


def cpus(used: float | None) -> str:
    """Processors in use: '0.25'; a dash where it isn't known."""
    return "-" if used is None else f"{used:.2f}"


def megabytes(used_bytes: int | None) -> str:
    return "-" if used_bytes is None else f"{used_bytes / 1024**2:.1f} MiB"
