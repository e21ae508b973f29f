"""Decides whether a history could have come from one copy of the data that handles one operation at a time.

The search is Wing and Gong's, "Testing and Verifying Concurrent Objects" (1993): take any operation that no other one
surely came before, see whether the model allows its outcome, go on from there, and come back where it leads nowhere.
Refinements:
- Lowe, "Testing for linearizability" (2017): a configuration (which operations are done, and the state after them)
  that was met before is not searched again.
- Horn and Kroening, "Faster linearizability checking via P-compositionality" (2015): keys are independent of each
  other, so each key's operations are a history of their own; and the linked list that makes stepping back cheap.
- An operation whose outcome nobody learned may have happened at any time after it was called, or never. Those that
  left no trace (nobody saw their value) are left out at first; what is linearizable without them is so with them.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

CONFIGURATIONS_MAX = 500_000
"""For one key. A search that grows beyond it is given up, loudly: it says nothing about the history."""

State = TypeVar("State", bound=Hashable)


class Unknown(Enum):
    """The outcome of an operation whose client gave up on it."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True)
class Operation:
    """What a client asked, and what it was told. Times are of one clock for all clients."""

    client: str
    key: str
    action: object
    outcome: object
    called_at: float
    returned_at: float
    """Of no meaning where the outcome is unknown."""

    def __str__(self) -> str:
        end = "   ...  " if self.outcome is UNKNOWN else f"{self.returned_at:8.4f}"
        return f"{self.called_at:8.4f} to {end}  {self.client:<6} {self.key}: {self.action} -> {self.outcome}"


Step = Callable[[State, object, object], State | None]
"""(state, action, outcome) -> the state after it, or None where the model can't give that outcome in that state.
For `UNKNOWN` it returns the state after whatever the action does."""


@dataclass(frozen=True, slots=True)
class NotLinearizable:
    key: str
    longest: tuple[Operation, ...]
    """The longest order found; nothing can follow it."""
    left: tuple[Operation, ...]
    """What had returned and could not be placed."""

    def __str__(self) -> str:
        lines = [f"no order of the operations on {self.key!r} explains their outcomes; the longest that was found:"]
        lines += [f"  {operation}" for operation in self.longest[-30:]]
        lines += ["after it, none of these can come next:", *(f"  {operation}" for operation in self.left[:12])]
        return "\n".join(lines)


class Undecided(Exception):
    """The search met too many configurations."""


class _Event:
    """An operation's call or return, in a doubly linked list."""

    __slots__ = ("after", "before", "bit", "operation", "returns")

    def __init__(self, operation: Operation | None, bit: int) -> None:
        self.operation = operation
        self.bit = bit
        self.returns: _Event | None = None
        self.before: _Event = self
        self.after: _Event | None = None

    def unlink(self) -> None:
        self.before.after = self.after
        if self.after is not None:
            self.after.before = self.before

    def relink(self) -> None:
        self.before.after = self
        if self.after is not None:
            self.after.before = self


def check(
    history: Iterable[Operation],
    initial: State,
    step: Step[State],
    left_no_trace: Callable[[Operation, Sequence[Operation]], bool] = lambda _operation, _others: False,
    configurations_max: int = CONFIGURATIONS_MAX,
) -> NotLinearizable | None:
    """None when it is linearizable; else the first key for which it is not. Raises `Undecided`."""
    by_key: dict[str, list[Operation]] = {}
    for operation in history:
        by_key.setdefault(operation.key, []).append(operation)
    for key, operations in by_key.items():
        traced = [
            operation
            for operation in operations
            if operation.outcome is not UNKNOWN or not left_no_trace(operation, operations)
        ]
        found = _search(key, traced, initial, step, configurations_max)
        if found is not None and len(traced) < len(operations):
            found = _search(key, operations, initial, step, configurations_max)
        if found is not None:
            return found
    return None


def _search(
    key: str, operations: Sequence[Operation], initial: State, step: Step[State], configurations_max: int
) -> NotLinearizable | None:
    head = _linked(operations)
    to_place = sum(operation.outcome is not UNKNOWN for operation in operations)
    state, done, longest = initial, 0, ()
    met: set[tuple[int, State]] = set()
    path: list[tuple[_Event, State]] = []
    event = head.after
    while to_place:
        assert event is not None, "the return of what is left to place ends every scan"
        if event.returns is None and event.bit == 0:
            # A return: its operation has to be placed before it, and can't be. Step back.
            if len(path) > len(longest):
                longest = tuple(found.operation for found, _ in path if found.operation is not None)
            if not path:
                left = sorted(set(operations) - set(longest), key=lambda operation: operation.called_at)
                return NotLinearizable(key, longest, tuple(left))
            event, state = path.pop()
            done ^= event.bit
            to_place += _put_back(event)
            event = event.after
            continue
        operation = event.operation
        assert operation is not None
        following = step(state, operation.action, operation.outcome)
        configuration = (done | event.bit, following)
        if following is None or configuration in met:
            event = event.after
            continue
        met.add(configuration)
        if len(met) > configurations_max:
            raise Undecided(f"more than {configurations_max} configurations of {len(operations)} operations on {key!r}")
        path.append((event, state))
        state, done = following, done | event.bit
        to_place -= _take_out(event)
        event = head.after
    return None


def _linked(operations: Sequence[Operation]) -> _Event:
    """Calls and returns in the order of their times; at equal times calls come first: those overlap."""
    timed: list[tuple[float, int, int, _Event]] = []
    for position, operation in enumerate(operations):
        call = _Event(operation, 1 << position)
        timed.append((operation.called_at, 0, position, call))
        if operation.outcome is not UNKNOWN:
            assert operation.called_at <= operation.returned_at, f"it returned before it was called: {operation}"
            call.returns = _Event(operation, 0)
            timed.append((operation.returned_at, 1, position, call.returns))
    head = last = _Event(None, 0)
    for _, _, _, event in sorted(timed, key=lambda item: item[:3]):
        last.after, event.before = event, last
        last = event
    return head


def _take_out(call: _Event) -> int:
    """Of the list, with its return; how many operations less there are to place."""
    call.unlink()
    if call.returns is None:
        return 0
    call.returns.unlink()
    return 1


def _put_back(call: _Event) -> int:
    if call.returns is not None:
        call.returns.relink()
    call.relink()
    return 1 if call.returns is not None else 0
