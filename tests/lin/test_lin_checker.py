"""The checker itself: histories that are known to be linearizable, and known not to be."""

from itertools import permutations
from random import Random

import pytest
from lin_checker import UNKNOWN, Operation, Undecided
from lin_register import Read, Swap, Value, Write, check_register, step


def history(*operations: tuple[object, object, float, float], key: str = "k") -> list[Operation]:
    return [
        Operation(f"c{number}", key, action, outcome, called_at, returned_at)
        for number, (action, outcome, called_at, returned_at) in enumerate(operations)
    ]


def test_reads_that_overlap_a_write_may_see_either_value():
    good = history((Write("a"), True, 0, 1), (Write("b"), True, 2, 9), (Read(), "a", 3, 4), (Read(), "b", 5, 6))

    assert check_register(good) is None


def test_a_read_must_not_go_back_to_the_older_value():
    bad = history((Write("a"), True, 0, 1), (Write("b"), True, 2, 9), (Read(), "b", 3, 4), (Read(), "a", 5, 6))

    assert check_register(bad) is not None


def test_a_read_after_a_write_sees_it():
    assert check_register(history((Write("a"), True, 0, 1), (Read(), "a", 2, 3))) is None
    assert check_register(history((Write("a"), True, 0, 1), (Read(), None, 2, 3))) is not None


def test_of_two_swaps_of_one_value_only_one_succeeds():
    first, second = Swap("a", "b"), Swap("a", "c")

    assert check_register(history((Write("a"), True, 0, 1), (first, True, 2, 5), (second, False, 2, 5))) is None
    assert check_register(history((Write("a"), True, 0, 1), (first, True, 2, 5), (second, True, 2, 5))) is not None
    assert check_register(history((Write("a"), True, 0, 1), (first, False, 2, 5), (second, False, 2, 5))) is not None


def test_a_deleted_value_is_gone():
    gone = history(
        (Write("a"), True, 0, 1), (Write(None), True, 2, 3), (Read(), None, 4, 5), (Swap(None, "b"), True, 6, 7)
    )

    assert check_register(gone) is None
    assert check_register([*gone, *history((Read(), "a", 8, 9))]) is not None


def test_an_unknown_write_may_have_happened_long_after_its_client_gave_up_or_never():
    lost = (Write("b"), UNKNOWN, 2.0, 2.0)

    never = history((Write("a"), True, 0, 1), lost, (Read(), "a", 50, 51))
    late = history((Write("a"), True, 0, 1), lost, (Read(), "a", 50, 51), (Read(), "b", 60, 61))

    assert check_register(never) is None
    assert check_register(late) is None


def test_an_unknown_write_happens_once_at_most_and_not_before_it_was_called():
    lost = (Write("b"), UNKNOWN, 10.0, 10.0)

    twice = history(
        (Write("a"), True, 0, 1), lost, (Read(), "b", 20, 21), (Write("c"), True, 22, 23), (Read(), "b", 24, 25)
    )
    early = history((Write("a"), True, 0, 1), (Read(), "b", 2, 3), lost)

    assert check_register(twice) is not None
    assert check_register(early) is not None


def test_an_unknown_swap_may_explain_a_value_that_nobody_has_seen():
    """A failed swap shows that the value had changed: only the lost one can have changed it."""
    lost, failed = (Swap("a", "b"), UNKNOWN, 2.0, 2.0), (Swap("a", "c"), False, 5.0, 6.0)

    assert check_register(history((Write("a"), True, 0, 1), lost, failed)) is None
    assert check_register(history((Write("a"), True, 0, 1), failed)) is not None


def test_operations_that_touch_at_one_instant_overlap():
    assert check_register(history((Write("a"), True, 0, 1), (Read(), None, 1, 2))) is None


def test_keys_are_histories_of_their_own():
    good = history((Write("a"), True, 0, 1), key="x") + history((Read(), None, 2, 3), key="y")
    bad = history((Write("a"), True, 0, 1), key="x") + history((Read(), "a", 2, 3), key="y")

    assert check_register(good) is None
    found = check_register(bad)
    assert found is not None and found.key == "y"


def test_a_failure_shows_the_longest_order_and_what_is_left():
    found = check_register(history((Write("a"), True, 0, 1), (Read(), "b", 2, 3)))

    assert found is not None
    assert [operation.action for operation in found.longest] == [Write("a")]
    assert [operation.action for operation in found.left] == [Read()]
    assert "Write(value='a')" in str(found) and "Read() -> b" in str(found)


def test_a_search_that_grows_too_large_says_so():
    overlapping = [(Write(str(number)), True, 0.0, 100.0) for number in range(12)]

    with pytest.raises(Undecided):
        check_register(history(*overlapping, (Read(), "none of them", 0.0, 100.0)), configurations_max=500)


def by_definition(operations: list[Operation]) -> bool:
    """Every order, one after the other: too slow for more than a few operations, but plainly right."""
    for count_unknown in range(len(operations) + 1):
        for order in permutations(operations, count_unknown):
            if all(operation in order for operation in operations if operation.outcome is not UNKNOWN) and explains(
                order
            ):
                return True
    return False


def explains(order: tuple[Operation, ...]) -> bool:
    state: tuple[Value] | None = (None,)
    for position, operation in enumerate(order):
        returned = [other for other in order[position + 1 :] if other.outcome is not UNKNOWN]
        if any(other.returned_at < operation.called_at for other in returned):
            return False
        state = step(state, operation.action, operation.outcome) if state else None
    return state is not None


def test_it_agrees_with_the_definition_on_small_random_histories():
    rng = Random(1)
    verdicts = {True: 0, False: 0}
    for _ in range(600):
        operations = [random_operation(rng, number) for number in range(rng.randint(2, 5))]

        linearizable = by_definition([operation for operation in operations if not ignored(operation)])

        assert (check_register(operations) is None) is linearizable, "\n".join(map(str, operations))
        verdicts[linearizable] += 1
    assert min(verdicts.values()) > 100, "both kinds are well represented"


def ignored(operation: Operation) -> bool:
    return operation.action == Read() and operation.outcome is UNKNOWN


def random_operation(rng: Random, number: int) -> Operation:
    called_at = rng.uniform(0, 4)
    seen: Value = rng.choice([None, "0", "1", "2"])
    action, outcome = rng.choice(
        [(Read(), seen), (Write(str(number)), True), (Swap(seen, str(number)), rng.random() < 0.6), (Write(None), True)]
    )
    return Operation(
        f"c{number}", "k", action, UNKNOWN if rng.random() < 0.2 else outcome, called_at, called_at + rng.uniform(0, 3)
    )
