"""Who votes: the examples that the rules are about, and a simulation that no rule breaks a quorum."""

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from swarmlet.controllers.voters import (
    AddLearner,
    Consensus,
    Demote,
    Liveliness,
    Promote,
    VoterChange,
    next_change,
    voters_wanted,
)
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness

NOW = 1000.0


def ids(names: str) -> frozenset[NodeId]:
    return frozenset(NodeId(name) for name in names)


def change(
    voters: str, learners: str = "", dead: str = "", outside: str = "", behind: str = "", dead_for_s: float = 60
) -> VoterChange | None:
    """Node `a` leads; all that are named live unless `dead`, and have caught up unless `behind`."""
    everyone = ids(voters + learners + outside)
    consensus = Consensus(
        leader=NodeId("a"),
        voters=ids(voters),
        learners=ids(learners),
        commit_index=1000,
        match_index={node: 0 if node in ids(behind) else 1000 for node in ids(voters + learners)},
    )
    of = {node: Liveness.DEAD if node in ids(dead) else Liveness.ALIVE for node in everyone}
    return next_change(consensus, Liveliness(of, dict.fromkeys(ids(dead), NOW - dead_for_s)), NOW)


def test_a_new_live_member_becomes_a_learner_first() -> None:
    assert change("a", outside="cb") == AddLearner(NodeId("b"))


def test_a_dead_stranger_is_left_alone() -> None:
    assert change("a", outside="b", dead="b") is None


@pytest.mark.parametrize(("live", "wanted"), [(1, 1), (2, 1), (3, 3), (6, 3), (7, 5), (100, 5)])
def test_the_wanted_number_of_voters_is_odd_and_grows_with_the_cluster(live: int, wanted: int) -> None:
    assert voters_wanted(live) == wanted


def test_two_nodes_keep_one_voter() -> None:
    assert change("a", learners="b") is None


def test_three_nodes_get_three_voters_one_at_a_time() -> None:
    assert change("a", learners="bc") == Promote(NodeId("b"))
    assert change("ab", learners="c") == Promote(NodeId("c"))
    assert change("abc") is None


def test_a_second_voter_is_made_only_when_a_third_is_ready_too() -> None:
    assert change("a", learners="bc", behind="c") is None


def test_seven_nodes_get_five_voters() -> None:
    assert change("abc", learners="defg") == Promote(NodeId("d"))
    assert change("abcd", learners="efg") == Promote(NodeId("e"))
    assert change("abcde", learners="fg") is None


def test_the_voters_do_not_shrink_with_deaths() -> None:
    assert change("abc", dead="c") is None
    assert change("abcde", learners="fg", dead="fg") is None


def test_a_dead_voter_gives_its_place_to_a_learner_that_has_caught_up() -> None:
    assert change("abc", learners="d", dead="c") == Demote(NodeId("c"))
    assert change("ab", learners="cd", dead="c") == Promote(NodeId("d"))


def test_a_dead_voter_stays_while_nobody_can_take_its_place() -> None:
    assert change("abc", learners="d", dead="c", behind="d") is None
    assert change("abc", learners="d", dead="cd") is None


def test_a_voter_that_has_just_died_may_return() -> None:
    assert change("abc", learners="d", dead="c", dead_for_s=9.9) is None


def test_nothing_is_tried_without_a_quorum() -> None:
    assert change("abc", learners="de", dead="bc") is None


def test_a_pair_that_can_not_become_three_becomes_one() -> None:
    assert change("ab", learners="c", dead="c") == Demote(NodeId("b"))
    assert change("ab", learners="c", behind="c") is None


def test_of_four_the_dead_one_goes_when_no_learner_lives() -> None:
    assert change("abcd", dead="b") == Demote(NodeId("b"))


def test_one_change_at_a_time() -> None:
    consensus = Consensus(NodeId("a"), ids("a"), frozenset(), 0, {}, change_in_flight=True)

    assert next_change(consensus, Liveliness({NodeId("b"): Liveness.ALIVE}), NOW) is None


nodes = st.sampled_from([NodeId(name) for name in "bcdefgh"])


@settings(max_examples=200, deadline=None)
@given(
    voters=st.frozensets(nodes, max_size=6),
    learners=st.frozensets(nodes),
    liveness=st.dictionaries(nodes, st.sampled_from(Liveness)),
    behind=st.frozensets(nodes),
)
def test_no_change_breaks_a_quorum_and_changes_come_to_an_end(
    voters: frozenset[NodeId],
    learners: frozenset[NodeId],
    liveness: dict[NodeId, Liveness],
    behind: frozenset[NodeId],
) -> None:
    leader = NodeId("a")
    everyone = {leader, *voters, *learners, *liveness}
    consensus = Consensus(
        leader, voters | {leader}, learners - voters, 1000, {node: 0 if node in behind else 1000 for node in everyone}
    )
    members = Liveliness({leader: Liveness.ALIVE, **liveness}, dict.fromkeys(everyone, 0.0))
    live = {node for node, each in members.of.items() if each is Liveness.ALIVE}

    for _ in range(30):
        found = next_change(consensus, members, NOW)
        if found is None:
            break
        consensus = carried_out(consensus, found)
        assert leader in consensus.voters
        if not isinstance(found, AddLearner):
            assert len(consensus.voters & live) > len(consensus.voters) / 2
    else:
        raise AssertionError("the changes do not end")


def carried_out(consensus: Consensus, found: VoterChange) -> Consensus:
    match found:
        case AddLearner(node):
            return replace(consensus, learners=consensus.learners | {node})
        case Promote(node):
            return replace(consensus, voters=consensus.voters | {node}, learners=consensus.learners - {node})
        case Demote(node):
            return replace(consensus, voters=consensus.voters - {node}, learners=consensus.learners | {node})
