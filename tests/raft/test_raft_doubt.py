"""Evidence that the leader's process is gone: its followers campaign soon, and a wrong guess does no harm."""

from raft_builders import A, B, C, Driven, a_follower, sent

from swarmlet.raft import LeaderUnreachable, RaftSettings, Role
from swarmlet.raft.messages import Heartbeat, PreVoteRequest, PreVoteResponse, VoteRequest, VoteResponse


def a_follower_of_b() -> Driven:
    follower = a_follower(1)
    follower.receive(B, Heartbeat(1, 1, 2))
    assert follower.raft.leader_id == B
    return follower


def test_who_knows_that_its_leader_is_gone_asks_for_votes_within_a_heartbeat_or_two():
    follower = a_follower_of_b()

    follower.step(LeaderUnreachable(B))
    effects = follower.tick(follower.settings.doubted_leader_delay_max_s + 0.05)

    assert follower.raft.role is Role.PRE_CANDIDATE
    assert sent(effects, PreVoteRequest, C) == [PreVoteRequest(2, 2, 1)]


def test_who_knows_that_its_leader_is_gone_helps_others_at_once():
    follower = a_follower_of_b()
    asked = PreVoteRequest(2, 2, 1)
    assert sent(follower.receive(C, asked), PreVoteResponse) == [PreVoteResponse(1, granted=False)]

    follower.step(LeaderUnreachable(B))

    assert sent(follower.receive(C, asked), PreVoteResponse) == [PreVoteResponse(2, granted=True)]
    vote = follower.receive(C, VoteRequest(2, 2, 1, by_transfer=False))
    assert sent(vote, VoteResponse) == [VoteResponse(2, granted=True)]


def test_where_leases_are_used_the_loyalty_to_a_leader_ends_before_its_end_is_believed():
    follower = a_follower(1, settings=RaftSettings(lease_reads=True))
    follower.receive(B, Heartbeat(1, 1, 2))

    follower.step(LeaderUnreachable(B))
    refused = follower.receive(C, PreVoteRequest(2, 2, 1))
    follower.tick(0.45)
    assert sent(refused, PreVoteResponse) == [PreVoteResponse(1, granted=False)]
    assert follower.raft.role is Role.FOLLOWER

    follower.tick(follower.settings.doubted_leader_delay_max_s + 0.1)
    assert follower.raft.role is Role.PRE_CANDIDATE


def test_a_leader_that_is_heard_again_is_stuck_to_again():
    follower = a_follower_of_b()

    follower.step(LeaderUnreachable(B))
    follower.receive(B, Heartbeat(1, 2, 2))
    follower.tick(0.3)

    assert follower.raft.role is Role.FOLLOWER
    refused = follower.receive(C, PreVoteRequest(2, 2, 1))
    assert sent(refused, PreVoteResponse) == [PreVoteResponse(1, granted=False)]


def test_a_wrong_guess_changes_no_term_and_ends_with_the_leaders_next_word():
    follower = a_follower_of_b()
    follower.step(LeaderUnreachable(B))
    follower.tick_until_role(Role.PRE_CANDIDATE)

    follower.receive(C, PreVoteResponse(1, granted=False))
    follower.receive(B, Heartbeat(1, 2, 2))

    assert (follower.raft.role, follower.raft.term, follower.raft.leader_id) == (Role.FOLLOWER, 1, B)


def test_the_end_of_one_that_does_not_lead_means_nothing():
    follower = a_follower_of_b()

    follower.step(LeaderUnreachable(C))
    follower.step(LeaderUnreachable(A))
    follower.tick(0.3)

    assert (follower.raft.role, follower.raft.leader_id) == (Role.FOLLOWER, B)
