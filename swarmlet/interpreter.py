"""How this agent's Python interpreter is set: for a process that lives long and answers in milliseconds.

The figures were found by measuring the store under load (`scripts/bench store`); see decision 28.
"""

import gc
import sys
import warnings
from types import ModuleType
from typing import cast

SWITCH_INTERVAL_S = 0.0005
"""How long a thread holds the interpreter while others want it. The one that syncs the log needs it for microseconds
between its calls of SQLite; with Python's own 5 ms a busy event loop delays every write by several times that."""
COLLECT_AFTER = 10_000
"""Allocations between two collections of the youngest garbage, instead of 700: most of what a busy agent allocates
either dies by its reference count or stays (log, store, history), and looking at it often finds nothing."""


UNNEEDED = ("rich", "charset_normalizer")
"""What libraries take where they find it, and an agent has no use for: structlog paints tracebacks with rich, requests
guesses encodings that podman-py never asks for. They would be 8 MB of its memory."""


def do_without_unneeded() -> None:
    """Before anything imports them: each of the libraries goes on without.

    A None among the loaded modules makes an import fail as if the module were not installed
    (https://docs.python.org/3/reference/import.html#the-module-cache).
    """
    warnings.filterwarnings("ignore", message="Unable to find acceptable character detection dependency")
    for name in UNNEEDED:
        sys.modules.setdefault(name, cast(ModuleType, None))


def tune() -> None:
    """At the start, before threads are made and before an event loop runs.

    One look at all that was loaded takes 0.1 s, as many objects as there are. They live as long as the agent, and no
    later collection need look at them again.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
    gc.collect()
    gc.freeze()


def settle() -> None:
    """Once the agent is made and its state is read: that stays, too. Looks at nothing, so it holds nothing up."""
    gc.freeze()
