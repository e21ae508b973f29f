"""Joint consensus (§6, thesis §4.3): several voters change at once. A test a rule, then whole changes."""

import pytest
from raft_builders import B, C, D, Driven, E, a_follower, a_leader, a_membership, of_kind, sent, the

from swarmlet.model.ids import NodeId
from swarmlet.raft import (
    AddLearner,
    ChangeVoters,
    Entry,
    EntryKind,
    Membership,
    Persist,
    ProposalAccepted,
    ProposalRefused,
    ProposeMembership,
    RaftSettings,
    ReadReady,
    ReadRequest,
    Refusal,
    Role,
    TransferLeadership,
    decode_membership,
    encode_membership,
)
from swarmlet.raft.membership import changed, joint_left
from swarmlet.raft.messages import (
    AppendAccepted,
    AppendEntries,
    Heartbeat,
    HeartbeatAnswer,
    PreVoteRequest,
    PreVoteResponse,
    TimeoutNow,
    VoteResponse,
)

F = NodeId("f")


def voters(names: str) -> frozenset[NodeId]:
    return frozenset(map(NodeId, names))


def joint(after: str, before: str, learners: str = "") -> Membership:
    return Membership(voters(after), voters(learners), voters(before))


def a_settled_leader(before: str = "abc", learners: str = "def", settings: RaftSettings | None = None) -> Driven:
    """Server a leads; its log ends at index 2, committed, and everybody has it."""
    leader = a_leader(voters=before, learners=learners, settings=settings)
    for peer in (before + learners).replace("a", ""):
        leader.receive(NodeId(peer), AppendAccepted(2, 2))
    assert leader.raft.commit_index == 2
    return leader


def changing(leader: Driven, after: str, removed: str = "") -> int:
    """The index of the joint membership's entry."""
    change = ChangeVoters(voters(after), voters(removed))
    return the(leader.step(ProposeMembership(1, change)), ProposalAccepted).index


def refusal(leader: Driven, after: str) -> Refusal:
    return the(leader.step(ProposeMembership(1, ChangeVoters(voters(after)))), ProposalRefused).reason


def acknowledge(leader: Driven, index: int, *peers: NodeId) -> None:
    for peer in peers:
        leader.receive(peer, AppendAccepted(leader.raft.term, index))


# What a change makes of a membership


@pytest.mark.parametrize(
    ("change", "after", "then"),
    [
        (ChangeVoters(voters("ade")), joint("ade", "abc", "bcf"), a_membership("ade", "bcf")),
        (ChangeVoters(voters("ade"), voters("c")), joint("ade", "abc", "bf"), a_membership("ade", "bf")),
        (ChangeVoters(voters("def"), voters("abc")), joint("def", "abc"), a_membership("def")),
        (ChangeVoters(voters("abcde")), joint("abcde", "abc", "f"), a_membership("abcde", "f")),
        (ChangeVoters(voters("a")), joint("a", "abc", "bcdef"), a_membership("a", "bcdef")),
    ],
)
def test_who_votes_no_more_stays_as_a_learner_unless_removed(change, after, then):
    assert changed(a_membership("abc", "def"), change) == after
    assert joint_left(after) == then


def test_a_change_that_leaves_the_voters_alone_needs_no_joint_membership():
    assert changed(a_membership("abc", "def"), ChangeVoters(voters("abc"), voters("d"))) == a_membership("abc", "ef")


def test_a_joint_membership_survives_its_encoding():
    membership = joint("ade", "abc", "bcf")

    assert decode_membership(encode_membership(membership)) == membership


# What is refused


def test_new_voters_have_to_be_learners_that_have_caught_up():
    leader = a_settled_leader(learners="de", settings=RaftSettings(promotion_lag_max=0))

    assert refusal(leader, "adf") is Refusal.NOT_A_MEMBER

    leader = a_leader(voters="abc", learners="de", settings=RaftSettings(promotion_lag_max=0))
    acknowledge(leader, 2, B, C, D)
    assert refusal(leader, "ade") is Refusal.LEARNER_BEHIND

    acknowledge(leader, 2, E)
    assert changing(leader, "ade") == 3


def test_a_joint_change_waits_for_the_first_commit_of_the_term():
    assert refusal(a_leader(voters="abc", learners="de"), "ade") is Refusal.TERM_TOO_YOUNG


def test_a_change_to_no_voters_or_to_the_same_is_refused():
    leader = a_settled_leader()

    assert refusal(leader, "") is Refusal.LAST_VOTER
    assert refusal(leader, "abc") is Refusal.NO_CHANGE


def test_no_other_change_begins_before_the_joint_membership_is_left():
    leader = a_settled_leader()
    index = changing(leader, "ade")
    assert refusal(leader, "abf") is Refusal.CHANGE_IN_PROGRESS

    acknowledge(leader, index, B, D)
    assert not leader.raft.membership.is_joint
    assert refusal(leader, "abf") is Refusal.CHANGE_IN_PROGRESS

    acknowledge(leader, index + 1, D)
    assert changing(leader, "abd") == index + 2


# How it goes


def test_a_joint_membership_holds_from_its_append_and_needs_both_majorities():
    leader = a_settled_leader()

    index = changing(leader, "ade")
    assert leader.raft.membership == joint("ade", "abc", "bcf")
    acknowledge(leader, index, D, E)
    assert leader.raft.commit_index == index - 1

    acknowledge(leader, index, B)
    assert leader.raft.commit_index == index


def test_once_it_is_committed_the_leader_leaves_it_by_an_entry_of_its_own():
    leader = a_settled_leader()
    index = changing(leader, "ade")

    leader.receive(B, AppendAccepted(2, index))
    effects = leader.receive(D, AppendAccepted(2, index))

    (entry,) = [entry for persist in of_kind(effects, Persist) for entry in persist.entries]
    assert (entry.index, entry.kind) == (index + 1, EntryKind.MEMBERSHIP)
    assert decode_membership(entry.data) == leader.raft.membership == a_membership("ade", "bcf")
    assert sent(effects, AppendEntries, D)[0].entries == (entry,)


def test_after_it_the_new_voters_alone_decide():
    leader = a_settled_leader()
    index = changing(leader, "ade")
    acknowledge(leader, index, B, D)

    acknowledge(leader, index + 1, B, C)
    assert leader.raft.commit_index == index

    acknowledge(leader, index + 1, E)
    assert leader.raft.commit_index == index + 1


def test_an_election_during_the_change_needs_both_majorities():
    server = a_follower()
    server.receive(B, AppendEntries(1, 1, 1, 0, (membership_entry(2, 1, joint("ade", "abc")),)))

    asked = sent(server.tick_until_role(Role.PRE_CANDIDATE), PreVoteRequest)
    for peer in (D, E):
        server.receive(peer, PreVoteResponse(2, granted=True))
    assert len(asked) == 4 and server.raft.role is Role.PRE_CANDIDATE

    server.receive(B, PreVoteResponse(2, granted=True))
    for peer in (B, C):
        server.receive(peer, VoteResponse(2, granted=True))
    assert server.raft.role is Role.CANDIDATE
    server.receive(D, VoteResponse(2, granted=True))
    assert server.raft.role is Role.LEADER


def test_a_read_during_the_change_needs_both_majorities():
    leader = a_settled_leader()
    changing(leader, "ade")

    round_number = sent(leader.step(ReadRequest(5)), Heartbeat, B)[-1].round
    assert not of_kind(leader.receive(B, HeartbeatAnswer(2, round_number)), ReadReady)
    assert the(leader.receive(E, HeartbeatAnswer(2, round_number)), ReadReady).request == 5


def test_a_leader_without_the_answers_of_the_new_voters_steps_down():
    leader = a_settled_leader()
    changing(leader, "ade")

    for _ in range(8):
        for heartbeat in sent(leader.tick(0.1), Heartbeat, B):
            leader.receive(B, HeartbeatAnswer(2, heartbeat.round))

    assert leader.raft.role is Role.FOLLOWER


def test_a_leader_that_loses_its_vote_leads_until_the_change_is_complete_and_then_hands_over():
    leader = a_settled_leader()
    index = changing(leader, "def")
    acknowledge(leader, index, B, D, E)
    assert leader.raft.role is Role.LEADER and leader.raft.membership == a_membership("def", "abc")

    leader.receive(D, AppendAccepted(2, index + 1))
    assert leader.raft.commit_index == index
    effects = leader.receive(E, AppendAccepted(2, index + 1))

    assert (leader.raft.commit_index, leader.raft.role) == (index + 1, Role.FOLLOWER)
    assert sent(effects, TimeoutNow, E) == [TimeoutNow(2)]


def test_a_removed_voter_votes_until_the_joint_membership_is_left_and_is_then_a_member_no_more():
    leader = a_settled_leader()
    index = changing(leader, "ade", removed="bc")
    assert leader.raft.membership.members == voters("abcdef")

    acknowledge(leader, index, C, D)

    assert leader.raft.commit_index == index
    assert leader.raft.membership == a_membership("ade", "f")
    assert set(leader.raft.progress()) == {D, E, F}


# Over changes of the leader


def membership_entry(index: int, term: int, membership: Membership) -> Entry:
    return Entry(index, term, EntryKind.MEMBERSHIP, encode_membership(membership))


def a_new_leader_in_a_joint_membership() -> Driven:
    """Server a, in term 2; the entry at index 2 is an earlier leader's joint membership."""
    server = a_follower()
    server.receive(B, AppendEntries(1, 1, 1, 0, (membership_entry(2, 1, joint("ade", "abc", "bc")),)))
    server.elect(B, D)
    return server


def test_a_new_leader_leaves_a_joint_membership_that_it_finds_once_its_term_has_begun():
    leader = a_new_leader_in_a_joint_membership()
    assert leader.raft.membership.is_joint

    acknowledge(leader, 2, B, D)
    assert leader.raft.membership.is_joint and leader.raft.commit_index == 0

    acknowledge(leader, 3, B, D)
    assert leader.raft.commit_index == 3
    assert leader.raft.membership == a_membership("ade", "bc")


def test_a_joint_membership_that_is_cut_off_never_held():
    follower = a_follower()
    follower.receive(B, AppendEntries(1, 1, 1, 0, (membership_entry(2, 1, joint("ade", "abc")),)))
    assert follower.raft.membership.is_joint

    follower.receive(C, AppendEntries(2, 1, 1, 0, (Entry(2, 2, EntryKind.NOOP, b""),)))

    assert follower.raft.membership == a_membership("abc")


def test_a_handover_in_the_middle_leaves_the_rest_to_the_successor():
    leader = a_settled_leader()
    index = changing(leader, "ade")
    leader.step(TransferLeadership(D))

    leader.receive(B, AppendAccepted(2, index))
    effects = leader.receive(D, AppendAccepted(2, index))

    assert leader.raft.commit_index == index and leader.raft.membership.is_joint
    assert sent(effects, TimeoutNow, D)


def test_a_handover_that_fails_in_the_middle_is_followed_by_the_end_of_the_change():
    leader = a_settled_leader()
    index = changing(leader, "ade")
    leader.step(TransferLeadership(D))
    acknowledge(leader, index, B, D)

    for _ in range(12):
        for heartbeat in sent(leader.tick(0.1), Heartbeat, B):
            leader.receive(B, HeartbeatAnswer(2, heartbeat.round))
            leader.receive(D, HeartbeatAnswer(2, heartbeat.round))

    assert leader.raft.role is Role.LEADER
    assert leader.raft.membership == a_membership("ade", "bcf")


def test_leadership_is_not_handed_to_who_is_about_to_lose_its_vote():
    leader = a_settled_leader()
    index = changing(leader, "ade")
    acknowledge(leader, index, B)

    effects = leader.step(TransferLeadership(None))
    assert not sent(effects, TimeoutNow, B)

    assert sent(leader.receive(E, AppendAccepted(2, index)), TimeoutNow, E)


def test_one_change_after_another_goes_on_as_before():
    leader = a_settled_leader(learners="de")
    index = changing(leader, "ade", removed="bc")
    acknowledge(leader, index, B, D, E)
    acknowledge(leader, index + 1, D, E)

    accepted = the(leader.step(ProposeMembership(9, AddLearner(F))), ProposalAccepted)

    assert accepted.index == index + 2
    assert leader.raft.membership == a_membership("ade", "f")
