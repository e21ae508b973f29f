from pathlib import Path

import pytest

from swarmlet.config.reading import Source

TEXT = """\
name = "a"
# address = "not this one"
labels.zone = "b"
"quoted" = 1
[api]
listen = "1"
[ runtime ]
listen = "2"
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("name", 1),
        ("labels.zone", 3),
        ("quoted", 4),
        ("api", 5),
        ("api.listen", 6),
        ("runtime.listen", 8),
        ("address", None),
        ("api.token_file", None),
    ],
)
def test_the_line_of_a_key_is_found_where_it_is_set(key: str, line: int | None) -> None:
    assert Source(Path("x.toml"), TEXT).line_of(key) == line


def test_a_key_inside_an_inline_table_is_on_the_tables_line() -> None:
    assert Source(Path("x.toml"), "\nlabels = { zone = 1 }\n").line_of("labels.zone") == 2
