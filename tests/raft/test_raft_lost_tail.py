"""A server whose disk lost what it had acknowledged has no say in elections until it has caught up."""

from raft_builders import A, B, C, Driven, a_follower, a_log, command, of_kind, sent

from swarmlet.raft import DiskFailed, LostTail, Persist, Role
from swarmlet.raft.messages import (
    AppendAccepted,
    AppendEntries,
    Heartbeat,
    HeartbeatAnswer,
    PreVoteRequest,
    PreVoteResponse,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)


def a_server_that_lost(last_index: int, term: int) -> Driven:
    """Its log ends at index 3, and it hears no leader."""
    server = a_follower(1, 1, term=term, lost_tail=LostTail(last_index, term))
    server.forget_leader()
    return server


def test_it_does_not_vote_for_a_log_that_may_lack_what_it_had_acknowledged():
    server = a_server_that_lost(5, 1)

    assert sent(server.receive(C, PreVoteRequest(2, 9, 1)), PreVoteResponse) == [PreVoteResponse(1, granted=False)]
    asked = VoteRequest(2, 9, 1, by_transfer=False)
    assert sent(server.receive(C, asked), VoteResponse) == [VoteResponse(2, granted=False)]


def test_it_does_not_campaign_not_even_when_it_is_told_to():
    server = a_server_that_lost(5, 1)

    server.tick(5.0)
    server.receive(B, TimeoutNow(1))

    assert server.raft.role is Role.FOLLOWER


def test_a_lone_voter_does_not_lead_as_if_nothing_had_happened():
    server = Driven(A, a_log(1, voters="a"), lost_tail=LostTail(5, 1))

    server.tick(5.0)

    assert server.raft.role is Role.FOLLOWER


def test_it_acknowledges_what_it_has_and_votes_again_once_it_has_caught_up():
    server = a_server_that_lost(5, 1)

    taken = server.receive(B, AppendEntries(1, 3, 1, 4, (command(4, 1), command(5, 1))))
    assert sent(taken, AppendAccepted) == [AppendAccepted(1, 5)]
    assert server.raft.lost_tail == LostTail(5, 1), "index 5 is not known to be committed"

    server.receive(B, Heartbeat(1, 1, 5))
    assert server.raft.lost_tail is None
    server.forget_leader()
    assert sent(server.receive(C, PreVoteRequest(2, 9, 1)), PreVoteResponse) == [PreVoteResponse(2, granted=True)]


def test_what_is_not_on_its_disk_yet_does_not_count():
    server = a_server_that_lost(5, 1)
    server.disk_waits = True

    server.receive(B, AppendEntries(1, 3, 1, 5, (command(4, 1), command(5, 1))))
    assert server.raft.lost_tail == LostTail(5, 1)

    server.sync()
    assert server.raft.lost_tail is None


def test_an_entry_that_a_later_term_committed_ends_it_though_its_old_log_was_longer():
    server = a_server_that_lost(50, 1)

    server.receive(B, AppendEntries(2, 3, 1, 4, (command(4, 2),)))

    assert server.raft.lost_tail is None


def test_an_entry_of_a_term_in_which_it_may_have_acknowledged_more_does_not():
    server = a_server_that_lost(50, 2)

    server.receive(B, AppendEntries(2, 3, 1, 4, (command(4, 2),)))

    assert server.raft.lost_tail == LostTail(50, 2)


def test_once_it_has_caught_up_its_vote_in_this_term_is_its_leaders():
    server = a_server_that_lost(4, 1)

    effects = server.receive(B, AppendEntries(1, 3, 1, 4, (command(4, 1),))) + server.tick(0.05)

    votes = [write.hard_state.voted_for for write in of_kind(effects, Persist) if write.hard_state]
    assert votes == [B]


def test_a_leader_whose_disk_fails_hands_over_at_once_to_the_best_successor():
    leader = Driven(A, a_log(1))
    leader.elect(B, C)
    leader.receive(B, AppendAccepted(leader.raft.term, 3))
    leader.receive(C, HeartbeatAnswer(leader.raft.term, 1))

    effects = leader.step(DiskFailed())

    assert leader.raft.role is Role.FOLLOWER
    assert sent(effects, TimeoutNow, B) == [TimeoutNow(leader.raft.term)]
