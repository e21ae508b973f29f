"""The model of one key: a register that is read, written, deleted, and swapped where it has an expected value.

Clients compare revisions; every write has a value of its own, so comparing values is the same. No value is revision 0.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lin_checker import CONFIGURATIONS_MAX, UNKNOWN, NotLinearizable, Operation, check

Value = str | None
"""None: there is none."""


@dataclass(frozen=True, slots=True)
class Read:
    """Its outcome is the value."""


@dataclass(frozen=True, slots=True)
class Write:
    """None deletes. Its outcome, where known, is True."""

    value: Value


@dataclass(frozen=True, slots=True)
class Swap:
    """Write if the present value is the expected one. Its outcome is whether it did."""

    expected: Value
    value: Value


def step(state: tuple[Value], action: object, outcome: object) -> tuple[Value] | None:
    """The state is in a tuple, since None says that the outcome is impossible."""
    match action:
        case Read():
            return state if outcome == state[0] else None
        case Write(value):
            return (value,)
        case Swap(expected, value):
            swaps = state[0] == expected
            if outcome is not UNKNOWN and outcome != swaps:
                return None
            return (value,) if swaps else state
    raise AssertionError(f"no action on a register: {action!r}")


def check_register(
    history: Iterable[Operation], configurations_max: int = CONFIGURATIONS_MAX
) -> NotLinearizable | None:
    """Reads that nobody got an answer to say nothing, and are left out."""
    told = [operation for operation in history if not (operation.action == Read() and operation.outcome is UNKNOWN)]
    return check(told, (None,), step, _left_no_trace, configurations_max)


def _left_no_trace(operation: Operation, others: Sequence[Operation]) -> bool:
    """Nobody read its value nor swapped it away. That it removed another's value may show all the same."""
    value = getattr(operation.action, "value", None)
    if value is None:
        return False
    return not any(
        (other.action == Read() and other.outcome == value)
        or (isinstance(other.action, Swap) and other.action.expected == value)
        for other in others
    )
