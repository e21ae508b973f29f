"""Who votes: the examples that the rules are about, and a simulation that no rule breaks a quorum."""

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from swarmlet.controllers.voters import (
    AddLearner,
    Consensus,
    Liveliness,
    Remove,
    SetVoters,
    VoterChange,
    VoterSettings,
    next_change,
    next_look_s,
    voters_wanted,
)
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness

NOW = 1000.0


def ids(names: str) -> frozenset[NodeId]:
    return frozenset(NodeId(name) for name in names)


def voting(names: str, removed: str = "") -> SetVoters:
    return SetVoters(ids(names), ids(removed))


def scene(
    voters: str,
    learners: str = "",
    dead: str = "",
    left: str = "",
    suspect: str = "",
    outside: str = "",
    behind: str = "",
    gone_for_s: float = 60,
    zones: str = "",
) -> tuple[Consensus, Liveliness]:
    """Node `a` leads; all that are named live unless said otherwise, and have caught up unless `behind`.

    `zones` names nodes by zone: "ab c" are a and b in one zone, and c in another.
    """
    consensus = Consensus(
        leader=NodeId("a"),
        voters=ids(voters),
        learners=ids(learners),
        commit_index=1000,
        match_index={node: 0 if node in ids(behind) else 1000 for node in ids(voters + learners)},
    )
    of = dict.fromkeys(ids(voters + learners + outside), Liveness.ALIVE)
    of |= dict.fromkeys(ids(dead), Liveness.DEAD) | dict.fromkeys(ids(left), Liveness.LEFT)
    of |= dict.fromkeys(ids(suspect), Liveness.SUSPECT)
    zone_of = {NodeId(node): f"zone-{zone}" for zone in zones.split() for node in zone}
    return consensus, Liveliness(of, dict.fromkeys(ids(dead + left), NOW - gone_for_s), zone_of)


def change(voters: str, learners: str = "", listed: str | None = None, **more: object) -> VoterChange | None:
    consensus, members = scene(voters, learners, **more)  # type: ignore[arg-type]
    return next_change(consensus, members, NOW, None if listed is None else ids(listed))


# Learners


def test_a_new_live_member_becomes_a_learner_first() -> None:
    assert change("a", outside="cb") == AddLearner(NodeId("b"))


def test_a_dead_stranger_is_left_alone() -> None:
    assert change("a", outside="b", dead="b") is None


def test_a_learner_that_left_for_good_is_removed() -> None:
    assert change("abc", learners="de", left="d", gone_for_s=30) == Remove(NodeId("d"))
    assert change("abc", learners="de", left="d", gone_for_s=29) is None
    assert change("abc", learners="de", dead="d", gone_for_s=3600) is None


# How many


@pytest.mark.parametrize(
    ("live", "lasting", "staying", "voters", "wanted"),
    [
        (1, 1, 1, 1, 1),
        (2, 2, 2, 1, 1),
        (3, 3, 3, 1, 3),
        (6, 6, 6, 3, 3),
        (7, 7, 7, 3, 5),
        (100, 100, 100, 5, 5),
        (6, 6, 7, 5, 5),
        (5, 5, 7, 5, 5),
        (4, 4, 7, 5, 3),
        (2, 2, 3, 3, 3),
        (2, 2, 2, 3, 1),
    ],
)
def test_the_wanted_number_grows_with_the_living_and_shrinks_late(
    live: int, lasting: int, staying: int, voters: int, wanted: int
) -> None:
    assert voters_wanted(live, lasting, staying, voters) == wanted


def test_two_nodes_keep_one_voter() -> None:
    assert change("a", learners="b") is None


def test_three_nodes_get_three_voters_in_one_change() -> None:
    assert change("a", learners="bc") == voting("abc")
    assert change("abc") is None


def test_two_voters_bear_less_than_one_so_one_waits_for_both_others() -> None:
    assert change("a", learners="bc", behind="c") is None


def test_seven_nodes_get_five_voters() -> None:
    assert change("abc", learners="defg") == voting("abcde")
    assert change("abc", learners="defg", behind="defg") is None
    assert change("abcde", learners="fg") is None


def test_three_voters_stay_three_when_some_of_them_die() -> None:
    assert change("abc", dead="c") is None
    assert change("abc", dead="c", gone_for_s=3600) is None


def test_five_voters_become_three_when_fewer_than_five_nodes_last() -> None:
    assert change("abcde", dead="e", gone_for_s=9) is None
    assert change("abcde", dead="e") == voting("acd")
    assert change("abcde", learners="fg", dead="fg") is None


def test_of_a_pair_whose_third_left_for_good_one_votes() -> None:
    assert change("abc", left="c", gone_for_s=29) is None
    assert change("abc", left="c", gone_for_s=30) == voting("a", removed="c")


def test_a_pair_that_can_not_become_three_becomes_one() -> None:
    assert change("ab", learners="c", dead="c") == voting("a")
    assert change("ab", learners="c", behind="c") is None
    assert change("ab", learners="c") == voting("abc")


def test_of_four_one_goes_the_dead_first() -> None:
    assert change("abcd", dead="b") == voting("acd")
    assert change("abcd") == voting("acd")


# The dead


def test_a_dead_voter_gives_its_place_to_a_learner_that_has_caught_up_in_one_change() -> None:
    assert change("abc", learners="d", dead="c") == voting("abd")
    assert change("abcde", learners="fgh", dead="e") == voting("abcdf")


def test_a_dead_voter_stays_while_nobody_can_take_its_place() -> None:
    assert change("abc", learners="d", dead="c", behind="d") is None
    assert change("abc", learners="d", dead="cd") is None


def test_a_voter_that_has_just_died_or_is_only_suspected_may_return() -> None:
    assert change("abc", learners="d", dead="c", gone_for_s=9.9) is None
    assert change("abc", learners="d", suspect="c") is None


def test_how_long_is_a_setting() -> None:
    consensus, members = scene("abc", learners="d", dead="c", gone_for_s=60)

    assert next_change(consensus, members, NOW, settings=VoterSettings(dead_after_s=61)) is None
    assert next_look_s(consensus, members, NOW, VoterSettings(dead_after_s=61)) == 1.0
    assert next_look_s(consensus, members, NOW) is None


def test_a_voter_that_left_is_replaced_and_removed_once_it_is_not_expected_back() -> None:
    assert change("abc", learners="d", left="c", gone_for_s=9) is None
    assert change("abc", learners="d", left="c", gone_for_s=10) == voting("abd")
    assert change("abc", learners="d", left="c", gone_for_s=30) == voting("abd", removed="c")


def test_nothing_is_tried_without_a_quorum() -> None:
    assert change("abc", learners="de", dead="bc") is None


def test_one_change_at_a_time() -> None:
    consensus = Consensus(NodeId("a"), ids("a"), frozenset(), 0, {}, change_in_flight=True)

    assert next_change(consensus, Liveliness({NodeId("b"): Liveness.ALIVE}), NOW) is None


# Zones


def test_places_go_to_the_zones_with_the_fewest_voters() -> None:
    assert change("a", learners="bcde", zones="abc d e") == voting("ade")
    assert change("a", learners="bcd", zones="abc d") == voting("abd")
    assert change("abc", learners="def", dead="c", zones="a b cf de") == voting("abd")


def test_a_node_without_a_zone_is_a_zone_of_its_own() -> None:
    assert change("a", learners="bcd", zones="ab") == voting("acd")


def test_a_voter_of_a_crowded_zone_gives_its_place_to_a_learner_of_an_emptier_one() -> None:
    assert change("abc", learners="d", zones="abc d") == voting("acd")
    assert change("abc", learners="d", zones="ab c d") == voting("acd")
    assert change("abc", learners="d", zones="ab cd") is None
    assert change("abc", learners="d", zones="abc d", behind="d") is None


def test_voters_are_not_spread_better_while_one_is_not_well() -> None:
    assert change("abc", learners="d", zones="abc d", suspect="c") is None


# Lists


def test_a_list_is_followed_in_one_change_when_all_on_it_can_vote() -> None:
    assert change("abc", learners="de", listed="ade") == voting("ade")
    assert change("abc", learners="de", listed="ade", behind="e") is None
    assert change("abc", listed="ade", outside="de") == AddLearner(NodeId("d"))


def test_a_list_may_leave_the_leader_out_and_may_be_even() -> None:
    assert change("abc", learners="de", listed="bcde") == voting("bcde")


def test_a_list_is_kept_to_through_deaths_and_departures() -> None:
    assert change("abc", learners="defgh", listed="abc", dead="c") is None
    assert change("abc", learners="defgh", listed="abc", left="c") is None
    assert change("abc", learners="d", listed="abc", zones="abc d") is None


def test_a_list_whose_majority_is_dead_is_not_followed() -> None:
    assert change("abcd", listed="bcd", dead="bc") is None


def test_without_the_list_the_rules_choose_again() -> None:
    assert change("abcd", listed="abcd") is None
    assert change("abcd") == voting("acd")


nodes = st.sampled_from([NodeId(name) for name in "bcdefghij"])


@settings(max_examples=300, deadline=None)
@given(
    voters=st.frozensets(nodes, max_size=6),
    learners=st.frozensets(nodes),
    liveness=st.dictionaries(nodes, st.sampled_from(Liveness)),
    behind=st.frozensets(nodes),
    gone_for_s=st.sampled_from([0.0, 15.0, 100.0]),
    zones=st.dictionaries(nodes, st.sampled_from(["", "x", "y", "z"])),
    listed=st.none() | st.frozensets(nodes, min_size=1, max_size=5),
)
def test_no_change_breaks_a_quorum_and_changes_come_to_an_end(
    voters: frozenset[NodeId],
    learners: frozenset[NodeId],
    liveness: dict[NodeId, Liveness],
    behind: frozenset[NodeId],
    gone_for_s: float,
    zones: dict[NodeId, str],
    listed: frozenset[NodeId] | None,
) -> None:
    leader = NodeId("a")
    everyone = {leader, *voters, *learners, *liveness}
    match = {node: 0 if node in behind else 1000 for node in everyone}
    consensus = Consensus(leader, voters | {leader}, learners - voters, 1000, match)
    gone_since = dict.fromkeys(everyone, NOW - gone_for_s)
    members = Liveliness({leader: Liveness.ALIVE, **liveness}, gone_since, zones)
    live = {node for node, each in members.of.items() if each is Liveness.ALIVE}

    for _ in range(40):
        found = next_change(consensus, members, NOW, listed)
        if found is None:
            break
        before, consensus = consensus, carried_out(consensus, found)
        if isinstance(found, SetVoters):
            assert found.voters <= before.voters | before.learners
            assert len(consensus.voters & live) > len(consensus.voters) / 2
            assert len(before.voters & live) > len(before.voters) / 2
            assert listed is not None or leader in consensus.voters
            assert listed is not None or len(consensus.voters) % 2 == 1 or len(before.voters) % 2 == 0
    else:
        raise AssertionError("the changes do not end")


def carried_out(consensus: Consensus, found: VoterChange) -> Consensus:
    match found:
        case AddLearner(node):
            return replace(consensus, learners=consensus.learners | {node})
        case Remove(node):
            return replace(consensus, learners=consensus.learners - {node})
        case SetVoters(voters, removed):
            learners = (consensus.learners | consensus.voters) - voters - removed
            return replace(consensus, voters=voters, learners=learners)
