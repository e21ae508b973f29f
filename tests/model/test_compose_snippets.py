"""The Compose files in the pages for users are taken as they stand there."""

import re
from pathlib import Path

import pytest

from swarmlet.model.compose import check_stack

DOCS = Path(__file__).parents[2] / "docs"
FENCED = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
SNIPPETS = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    for number, text in enumerate(FENCED.findall(page.read_text()), 1)
    if text.startswith("services:")  # others show a part of one
]


@pytest.mark.parametrize("text", SNIPPETS)
def test_a_snippet_is_a_stack(text: str) -> None:
    checked = check_stack("shop", text, "compose.yaml", {"SHOP_KEY": "x"}, {})

    assert [str(error) for error in checked.errors] == []
    assert [str(warning) for warning in checked.warnings if "no effect" in str(warning)] == []


def test_the_page_of_workloads_has_its_snippets() -> None:
    assert len(FENCED.findall((DOCS / "workloads.md").read_text())) >= 8
