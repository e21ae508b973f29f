from store_builders import a_put, a_transaction

from swarmlet.model.ids import NodeId
from swarmlet.store import Store
from swarmlet.store.agreement import HASH_EVERY, LEVELS, Comparison, HashPoint, HashTrail, compare

A, B, C, D = (NodeId(name) for name in "abcd")
VOTERS = frozenset({A, B, C})


def a_point(state: str, index: int = HASH_EVERY, term: int = 1) -> HashPoint:
    return HashPoint(index, term, state)


def a_trail_up_to(index: int) -> HashTrail:
    trail = HashTrail()
    for passed in range(HASH_EVERY, index + 1, HASH_EVERY):
        trail.reached(a_point(f"state {passed}", passed))
    return trail


def test_voters_that_hold_the_same_agree() -> None:
    known = {A: [a_point("x"), a_point("y", 128)], B: [a_point("x")], C: [a_point("y", 128)]}

    assert compare(known, VOTERS) == Comparison()


def test_the_minority_is_wrong() -> None:
    comparison = compare({A: [a_point("x")], B: [a_point("x")], C: [a_point("other")]}, VOTERS)

    assert comparison.wrong.keys() == {C}
    assert comparison.wrong[C].right == {A, B}
    assert comparison.wrong[C].point == a_point("other")
    assert not comparison.undecided


def test_a_learner_is_wrong_against_the_voters_and_has_no_say() -> None:
    known = {A: [a_point("x")], B: [a_point("x")], D: [a_point("other")]}
    learners = {A: [a_point("x")], B: [a_point("other")], C: [a_point("other")], D: [a_point("other")]}

    assert compare(known, VOTERS).wrong.keys() == {D}
    assert compare(learners, frozenset({A})).wrong.keys() == {B, C, D}


def test_without_a_majority_nobody_is_blamed() -> None:
    two = compare({A: [a_point("x")], B: [a_point("y")]}, frozenset({A, B}))
    three = compare({A: [a_point("x")], B: [a_point("y")], C: [a_point("z")]}, VOTERS)
    third_is_dead = compare({A: [a_point("x")], B: [a_point("y")]}, VOTERS, awaited=frozenset({A, B}))

    assert not (two.wrong or three.wrong or third_is_dead.wrong)
    assert two.undecided == {HASH_EVERY: {A, B}}
    assert three.undecided == {HASH_EVERY: VOTERS}
    assert third_is_dead.undecided == {HASH_EVERY: {A, B}}


def test_a_voter_that_may_still_decide_is_awaited() -> None:
    known = {A: [a_point("x")], B: [a_point("y")]}

    assert compare(known, VOTERS, awaited=VOTERS) == Comparison()
    assert compare({**known, C: [a_point("y")]}, VOTERS, awaited=VOTERS).wrong.keys() == {A}


def test_points_of_other_indices_or_terms_are_no_evidence() -> None:
    known = {A: [a_point("x", term=1)], B: [a_point("x", term=1)], C: [a_point("y", term=2), a_point("z", 128)]}

    assert compare(known, VOTERS) == Comparison()


def test_the_latest_disagreement_is_told() -> None:
    states = {A: "x", B: "x", C: "y"}
    known = {node: [a_point(state, 64), a_point(state, 128)] for node, state in states.items()}

    assert compare(known, VOTERS).wrong[C].point.index == 128


def test_a_trail_is_short_however_long_the_log_is() -> None:
    assert len(a_trail_up_to(3 * LEVELS[-1]).points()) <= 2 * len(LEVELS)


def test_replicas_that_are_not_equally_far_have_a_point_in_common() -> None:
    ahead = {point.index for point in a_trail_up_to(3 * LEVELS[-1]).points()}

    for lag in (0, *LEVELS, 7 * HASH_EVERY, 5 * LEVELS[1]):
        behind = {point.index for point in a_trail_up_to(3 * LEVELS[-1] - lag).points()}
        assert ahead & behind, f"{lag} entries behind"


def test_a_cleared_trail_says_nothing() -> None:
    trail = a_trail_up_to(10 * HASH_EVERY)

    trail.clear()

    assert trail.points() == ()


def test_a_lost_a_changed_and_an_added_write_all_show_in_the_hash() -> None:
    stores = [Store() for _ in range(4)]
    for store in stores:
        store.apply(1, a_transaction(a_put("a", b"1"), a_put("b", b"2")))
    assert len({store.state_hash() for store in stores}) == 1

    stores[1].apply(2, a_transaction(a_put("a", b"2")))
    stores[2].apply(2, a_transaction(a_put("c", b"")))
    stores[3].apply(2, a_transaction(a_put("a", b"1")))

    assert len({store.state_hash() for store in stores}) == 4
