"""Who is gone: the voters' majority says it, one view alone never does."""

import pytest
from controllers_builders import an_observed_node
from hypothesis import given
from hypothesis import strategies as st

from swarmlet.controllers.deaths import FRESH_S, Opinion, agreed_gone, held_for_gone, quorum_of, voters_in_reach
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness, ObservedState

NOW = 100.0
A, B, C, D, E, X = (NodeId(name) for name in "abcdex")


def voters(*nodes: NodeId) -> frozenset[NodeId]:
    return frozenset(nodes)


def said(**opinions: str) -> dict[NodeId, Opinion]:
    """`said(a="x")`: voter a holds x for gone, and said so just now."""
    return {NodeId(voter): Opinion(frozenset(map(NodeId, gone)), NOW) for voter, gone in opinions.items()}


def seen(**liveness: Liveness) -> ObservedState:
    return ObservedState({NodeId(name): an_observed_node(name, each) for name, each in liveness.items()})


@pytest.mark.parametrize(
    ("voting", "opinions", "gone"),
    [
        (voters(A), said(a="x"), {X}),
        (voters(A, B, C), said(a="x", b="", c=""), set()),
        (voters(A, B, C), said(a="x"), set()),
        (voters(A, B, C), said(a="x", b="x"), {X}),
        (voters(A, B, X), said(a="x", b="x"), {X}),
        (voters(A, B, X), said(a="x", b=""), set()),
        (voters(A, X), said(a="x"), set()),
        (voters(A, B, C, D, E), said(a="x", b="x"), set()),
        (voters(A, B, C, D, E), said(a="xd", b="xd", c="x"), {X}),
    ],
    ids=[
        "one voter decides alone",
        "dead for the leader only",
        "the others are silent",
        "two of three agree",
        "a dead voter is silent, two of three agree",
        "a dead voter is silent, one doubts",
        "two voters, one dead: no quorum is left",
        "two of five are too few",
        "each accused is counted by itself",
    ],
)
def test_a_majority_of_voters_makes_a_node_gone(
    voting: frozenset[NodeId], opinions: dict[NodeId, Opinion], gone: set[NodeId]
) -> None:
    assert agreed_gone([voting], opinions, NOW) == gone


def test_learners_have_no_say() -> None:
    assert agreed_gone([voters(A, B, C)], said(a="x", d="x", e="x"), NOW) == set()


def test_an_opinion_that_is_no_longer_repeated_stops_counting() -> None:
    opinions = said(a="x") | {B: Opinion(frozenset({X}), NOW - FRESH_S - 0.1)}

    assert agreed_gone([voters(A, B, C)], opinions, NOW) == set()
    assert agreed_gone([voters(A, B, C)], opinions, NOW - 1) == {X}


def test_while_voters_are_replaced_both_sets_must_agree() -> None:
    old, new = voters(A, B, C), voters(C, D, E)

    assert agreed_gone([new, old], said(a="x", b="x"), NOW) == set()
    assert agreed_gone([new, old], said(a="x", b="x", d="x", e="x"), NOW) == {X}
    assert agreed_gone([old, voters()], said(a="x", b="x"), NOW) == {X}, "no second set, no second quorum"


def test_without_any_voter_nobody_is_gone() -> None:
    assert agreed_gone([voters()], said(a="x"), NOW) == set()


NODES = st.frozensets(st.sampled_from([A, B, C, D, E, X]))


@given(NODES, st.dictionaries(st.sampled_from([A, B, C, D, E, X]), st.builds(Opinion, NODES, st.just(NOW))))
def test_whoever_is_gone_has_a_majority_against_it_and_everyone_with_a_majority_is_gone(
    voting: frozenset[NodeId], opinions: dict[NodeId, Opinion]
) -> None:
    gone = agreed_gone([voting], opinions, NOW)

    for node in (A, B, C, D, E, X):
        against = [voter for voter in voting if voter in opinions and node in opinions[voter].gone]
        assert (node in gone) == (len(against) * 2 > len(voting) > 0)


def test_suspects_and_those_that_left_are_not_held_for_gone_and_nobody_holds_itself() -> None:
    observed = seen(a=Liveness.DEAD, b=Liveness.DEAD, c=Liveness.SUSPECT, d=Liveness.LEFT, e=Liveness.ALIVE)

    assert held_for_gone(A, observed, [A, B, C, D, E], 0.0, 30.0) == {B}


def test_a_node_never_heard_of_is_held_for_gone_after_listening_long_enough() -> None:
    observed = seen(a=Liveness.ALIVE)

    assert held_for_gone(A, observed, [A, B], 29.0, 30.0) == set()
    assert held_for_gone(A, observed, [A, B], 30.0, 30.0) == {B}


def test_a_node_counts_the_voters_in_its_reach_itself_included() -> None:
    observed = seen(b=Liveness.SUSPECT, c=Liveness.DEAD, d=Liveness.LEFT, e=Liveness.ALIVE)

    assert voters_in_reach(A, voters(A, B, C, D, E), observed) == 2
    assert voters_in_reach(X, voters(A, B, C), observed) == 0
    assert quorum_of(voters(A, B, C)) == 2
