import pytest
from raft_builders import A, B, C, D, a_follower, a_leader, a_membership, of_kind, sent, the

from swarmlet.raft import (
    AddLearner,
    Demote,
    Entry,
    EntryKind,
    MembershipChange,
    Promote,
    ProposalAccepted,
    ProposalRefused,
    ProposeMembership,
    RaftSettings,
    Refusal,
    Remove,
    Role,
    encode_membership,
)
from swarmlet.raft.membership import changed
from swarmlet.raft.messages import (
    AppendAccepted,
    AppendEntries,
    CommitAdvanced,
    Heartbeat,
    HeartbeatAnswer,
    PreVoteRequest,
    PreVoteResponse,
    TimeoutNow,
    VoteResponse,
)


def refusal(leader, change: MembershipChange) -> Refusal:
    return the(leader.step(ProposeMembership(1, change)), ProposalRefused).reason


def a_settled_leader(voters: str = "abc", learners: str = "", settings: RaftSettings | None = None):
    """Its term's first entry, index 2, is committed."""
    leader = a_leader(voters=voters, learners=learners, settings=settings)
    for voter in voters[1:]:
        leader.receive(voter, AppendAccepted(2, 2))
    assert leader.raft.commit_index == 2
    return leader


@pytest.mark.parametrize(
    ("change", "voters", "learners"),
    [
        (AddLearner(D), "abc", "d"),
        (AddLearner(A), "abc", ""),
        (Promote(D), "abc", ""),
        (Demote(C), "ab", "c"),
        (Remove(C), "ab", ""),
        (Remove(D), "abc", ""),
    ],
)
def test_a_change_moves_one_node(change, voters, learners):
    assert changed(a_membership("abc"), change) == a_membership(voters, learners)


def test_a_membership_holds_from_the_moment_it_is_appended():
    leader = a_settled_leader()

    accepted = the(leader.step(ProposeMembership(7, AddLearner(D))), ProposalAccepted)

    assert (accepted.request, accepted.index) == (7, 3)
    assert leader.raft.membership == a_membership("abc", "d")
    assert leader.raft.commit_index == 2


def test_a_membership_that_is_cut_off_never_held():
    follower = a_follower()
    appended = Entry(2, 1, EntryKind.MEMBERSHIP, encode_membership(a_membership("abc", "d")))
    follower.receive(B, AppendEntries(1, 1, 1, 0, (appended,)))
    assert follower.raft.membership == a_membership("abc", "d")

    follower.receive(C, AppendEntries(2, 1, 1, 0, (Entry(2, 2, EntryKind.NOOP, b""),)))

    assert follower.raft.membership == a_membership("abc")


def test_a_leader_changes_nothing_before_the_first_commit_of_its_term():
    assert refusal(a_leader(), AddLearner(D)) is Refusal.TERM_TOO_YOUNG


def test_one_change_at_a_time():
    leader = a_settled_leader()
    leader.step(ProposeMembership(1, AddLearner(D)))

    assert refusal(leader, Remove(C)) is Refusal.CHANGE_IN_PROGRESS

    leader.receive(B, AppendAccepted(2, 3))
    assert the(leader.step(ProposeMembership(2, Remove(C))), ProposalAccepted).index == 4


def test_what_changes_nothing_is_refused():
    leader = a_settled_leader(learners="d")

    assert refusal(leader, AddLearner(D)) is Refusal.NO_CHANGE
    assert refusal(leader, Promote(B)) is Refusal.NO_CHANGE
    assert refusal(leader, Promote("x")) is Refusal.NOT_A_MEMBER


def test_the_last_voter_stays():
    leader = a_settled_leader(voters="a", learners="b")

    assert refusal(leader, Remove(A)) is Refusal.LAST_VOTER
    assert refusal(leader, Demote(A)) is Refusal.LAST_VOTER


def test_a_learner_is_promoted_once_it_has_caught_up():
    leader = a_settled_leader(learners="d", settings=RaftSettings(promotion_lag_max=0))

    assert refusal(leader, Promote(D)) is Refusal.LEARNER_BEHIND

    leader.receive(D, AppendAccepted(2, 2))
    assert of_kind(leader.step(ProposeMembership(1, Promote(D))), ProposalAccepted)


def test_learners_are_not_counted():
    leader = a_leader(voters="abc", learners="d")

    leader.receive(D, AppendAccepted(2, 2))
    assert leader.raft.commit_index == 0

    leader.receive(B, AppendAccepted(2, 2))
    assert leader.raft.commit_index == 2


def test_a_learner_never_stands():
    learner = a_follower(voters="bcd", node=A)
    learner.receive(B, Heartbeat(1, 1, 0))

    effects = learner.tick(10.0)

    assert not sent(effects, PreVoteRequest)
    assert (learner.raft.role, learner.raft.leader_id) == (Role.FOLLOWER, None)


def test_a_leader_that_is_removed_leads_until_that_is_committed_without_counting_itself():
    leader = a_settled_leader()

    leader.step(ProposeMembership(1, Remove(A)))
    leader.receive(B, AppendAccepted(2, 3))
    assert (leader.raft.role, leader.raft.commit_index) == (Role.LEADER, 2)

    effects = leader.receive(C, AppendAccepted(2, 3))
    assert (leader.raft.role, leader.raft.commit_index) == (Role.FOLLOWER, 3)
    assert sent(effects, TimeoutNow)


def test_a_server_whose_removal_may_not_be_committed_still_stands_when_needed():
    """Server b alone votes in the new membership but lacks its entry, so only a can be elected (thesis §4.2.2)."""
    leader = a_settled_leader(voters="ab")
    leader.step(ProposeMembership(1, Remove(A)))
    leader.tick(1.0)
    assert leader.raft.role is Role.FOLLOWER

    effects = leader.tick_until_role(Role.PRE_CANDIDATE)
    assert sent(effects, PreVoteRequest, B)
    leader.receive(B, PreVoteResponse(3, granted=True))
    leader.receive(B, VoteResponse(3, granted=True))
    leader.receive(B, AppendAccepted(3, 4))

    assert (leader.raft.commit_index, leader.raft.role) == (4, Role.FOLLOWER)


def test_a_removed_member_is_told_so_and_then_forgotten():
    leader = a_settled_leader()
    effects = leader.step(ProposeMembership(1, Remove(C)))
    assert sent(effects, AppendEntries, C)
    assert C not in leader.raft.progress()

    leader.receive(B, AppendAccepted(2, 3))
    assert sent(leader.receive(C, AppendAccepted(2, 3)), CommitAdvanced, C) == [CommitAdvanced(2, 3)]

    assert not sent(leader.tick(0.3), Heartbeat, C)


def test_a_removed_member_that_does_not_answer_is_forgotten_after_a_while():
    leader = a_settled_leader(settings=RaftSettings(farewell_s=0.5))
    leader.step(ProposeMembership(1, Remove(C)))

    heard = []
    for _ in range(10):
        effects = leader.tick(0.1)
        heard.append(bool(sent(effects, Heartbeat, C)))
        for heartbeat in sent(effects, Heartbeat, B):
            leader.receive(B, HeartbeatAnswer(2, heartbeat.round))

    assert heard[0] and not any(heard[6:])
