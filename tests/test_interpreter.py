"""How the interpreter is set: what lives long is looked at once, and not while an event loop runs."""

import gc
import sys
from collections.abc import Iterator

import pytest

from swarmlet import interpreter


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)
    sys.setswitchinterval(interval)


def test_what_is_there_at_the_start_is_never_looked_at_again() -> None:
    interpreter.tune()

    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 1_000


def test_what_has_come_since_is_kept_without_a_collection() -> None:
    interpreter.tune()
    collections = [each["collections"] for each in gc.get_stats()]
    made = [[] for _ in range(2_000)]  # type: ignore[var-annotated]

    interpreter.settle()

    assert [each["collections"] for each in gc.get_stats()] == collections
    assert gc.get_freeze_count() > len(made)
    assert len(gc.get_objects()) < 1_000
