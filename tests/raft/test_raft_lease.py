"""Reads by lease (thesis §6.4.1): when a leader may answer without asking, and each case in which it may not."""

from dataclasses import replace

import pytest
from raft_builders import B, C, Driven, a_follower, a_leader, of_kind, sent, the

from swarmlet.raft import (
    AddLearner,
    ChangeVoters,
    Effect,
    ProposeMembership,
    RaftSettings,
    ReadReady,
    ReadRefused,
    ReadRequest,
    Role,
    Tick,
    TransferLeadership,
)
from swarmlet.raft.messages import (
    AppendAccepted,
    Heartbeat,
    HeartbeatAnswer,
    StaleTerm,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)

LEASES = RaftSettings(lease_reads=True, lease_margin=0.2)
"""A lease of 0.4 s, in heartbeats of 0.1 s and election timeouts from 0.5 s on."""


def a_leader_with_a_lease(learners: str = "", settings: RaftSettings = LEASES) -> Driven:
    """Its term's first entry, index 3, is committed, and a round that began this moment is confirmed."""
    leader = a_leader(1, learners=learners, settings=settings)
    leader.receive(B, AppendAccepted(2, 3))
    confirm_round(leader)
    return leader


def confirm_round(leader: Driven) -> None:
    """The next round of heartbeats, answered by b at once."""
    leader.receive(B, HeartbeatAnswer(2, next_round(leader)))


def next_round(leader: Driven) -> int:
    """Let time pass until a round of heartbeats has begun, this very moment."""
    for _ in range(10):
        if heartbeats := sent(leader.tick(0.05), Heartbeat, B):
            return heartbeats[0].round
    raise AssertionError("it sends no heartbeats")


def read(leader: Driven) -> list[Effect]:
    return leader.step(ReadRequest(5))


def is_answered_at_once(leader: Driven) -> bool:
    effects = read(leader)
    assert bool(of_kind(effects, ReadReady)) != bool(sent(effects, Heartbeat)), "else it asks its followers"
    return bool(of_kind(effects, ReadReady))


def test_a_read_under_a_lease_asks_nobody_and_sees_what_is_committed():
    leader = a_leader_with_a_lease()

    effects = read(leader)

    assert the(effects, ReadReady) == ReadReady(5, 3)
    assert not sent(effects, Heartbeat)


def test_without_the_setting_every_read_asks():
    assert not is_answered_at_once(a_leader_with_a_lease(settings=RaftSettings()))


def test_a_lease_ends_before_its_followers_loyalty_does():
    leader, follower = a_leader_with_a_lease(), a_follower(1, settings=LEASES)
    follower.receive(B, Heartbeat(2, 1, 0))

    leader.now += 0.39
    assert is_answered_at_once(leader)
    leader.now += 0.02
    assert not is_answered_at_once(leader)

    for _ in range(2):
        follower.now += 0.24
        follower.step(Tick())
    assert not sent(follower.receive(C, VoteRequest(3, 9, 2, by_transfer=False)), VoteResponse)


@pytest.mark.parametrize("margin", [0.0, 0.5, 0.9])
def test_the_margin_shortens_the_lease(margin):
    leader = a_leader_with_a_lease(settings=replace(LEASES, lease_margin=margin))

    leader.now += 0.5 * (1 - margin) - 0.01
    assert is_answered_at_once(leader)
    leader.now += 0.02
    assert not is_answered_at_once(leader)


def test_a_lease_counts_from_the_beginning_of_the_round_and_not_from_its_answer():
    leader = a_leader_with_a_lease()
    round_number = next_round(leader)

    leader.tick(0.35)
    leader.receive(B, HeartbeatAnswer(2, round_number))
    assert is_answered_at_once(leader)

    leader.tick(0.06)
    assert not is_answered_at_once(leader)


def test_a_leader_that_was_stopped_does_not_believe_its_lease():
    """Its own clock is cut to a part of the time that it was stopped for; the lease is not."""
    leader = a_leader_with_a_lease()

    leader.now += 3_600.0
    assert leader.raft.role is Role.LEADER
    assert not is_answered_at_once(leader)

    assert the(leader.receive(C, StaleTerm(9)), ReadRefused).request == 5


def test_answers_that_waited_while_the_leader_was_stopped_give_no_lease():
    leader = a_leader_with_a_lease()
    round_number = next_round(leader)

    leader.now += 10.0
    leader.receive(B, HeartbeatAnswer(2, round_number))

    assert leader.raft.role is Role.LEADER
    assert not is_answered_at_once(leader)


def test_there_is_no_lease_before_the_first_commit_of_the_term():
    leader = a_leader(1, settings=LEASES)
    confirm_round(leader)
    assert not of_kind(read(leader), ReadReady)

    assert the(leader.receive(B, AppendAccepted(2, 3)), ReadReady) == ReadReady(5, 3)


def test_a_new_leader_has_no_lease_before_a_quorum_has_answered_it():
    leader = a_leader(1, settings=LEASES)
    leader.receive(B, AppendAccepted(2, 3))

    assert not is_answered_at_once(leader)


def test_a_handover_ends_the_lease_at_once_and_for_the_term():
    """The successor's requests for votes may still be under way long after the handover was given up."""
    leader = a_leader_with_a_lease()

    told = leader.step(TransferLeadership(B))
    assert sent(told, TimeoutNow, B)
    assert not of_kind(read(leader), ReadReady)

    for _ in range(15):
        confirm_round(leader)
    assert leader.raft.role is Role.LEADER
    assert not is_answered_at_once(leader)


def test_a_handover_that_never_began_leaves_the_lease_alone():
    leader = a_leader_with_a_lease()

    leader.step(TransferLeadership(leader.raft.node_id))

    assert is_answered_at_once(leader)


def test_during_a_change_of_voters_both_majorities_renew_the_lease():
    leader = a_leader_with_a_lease(learners="de")
    for peer in (C, "d", "e"):
        leader.receive(peer, AppendAccepted(2, 3))
    began_at = leader.now
    leader.step(ProposeMembership(1, ChangeVoters(frozenset("ade"))))

    for _ in range(2):
        confirm_round(leader)
    leader.now = began_at + 0.42
    asked = read(leader)
    assert not of_kind(asked, ReadReady)

    leader.receive(B, HeartbeatAnswer(2, sent(asked, Heartbeat, B)[0].round))
    leader.receive("d", HeartbeatAnswer(2, sent(asked, Heartbeat, "d")[0].round))
    assert is_answered_at_once(leader)


def test_a_learners_answer_renews_no_lease():
    leader = a_leader_with_a_lease()
    leader.step(ProposeMembership(1, AddLearner("d")))

    leader.now += 0.3
    heartbeat = sent(leader.step(Tick()), Heartbeat, B)[-1]
    leader.receive("d", HeartbeatAnswer(2, heartbeat.round))
    leader.now += 0.2

    assert not is_answered_at_once(leader)


def test_reads_that_wait_for_a_round_are_answered_by_a_lease_that_begins_meanwhile():
    leader = a_leader_with_a_lease()
    leader.tick(0.45)
    earlier = sent(leader.step(ReadRequest(1)), Heartbeat, B)[-1].round
    leader.step(ReadRequest(2))

    effects = leader.receive(B, HeartbeatAnswer(2, earlier))

    assert [ready.request for ready in of_kind(effects, ReadReady)] == [1, 2]
