"""The rules of the Raft paper (extended version) up to §5.4, a test each, named by section."""

import pytest
from raft_builders import A, B, C, Driven, a_follower, a_free_voter, a_leader, command, of_kind, sent, the

from swarmlet.raft import (
    ApplyEntries,
    HardState,
    Persist,
    ProposalAccepted,
    Propose,
    Role,
    Tick,
    bootstrap_state,
)
from swarmlet.raft.messages import (
    AppendAccepted,
    AppendEntries,
    AppendRejected,
    Heartbeat,
    PreVoteResponse,
    StaleTerm,
    VoteRequest,
    VoteResponse,
)

# §5.1 Terms


def test_5_1_who_hears_of_a_later_term_enters_it_as_a_follower():
    leader = a_leader()

    leader.receive(B, StaleTerm(7))

    assert (leader.raft.role, leader.raft.term, leader.raft.leader_id) == (Role.FOLLOWER, 7, None)


def test_5_1_a_leader_of_an_earlier_term_is_told_the_current_one():
    follower = a_follower(1, term=5)

    effects = follower.receive(B, Heartbeat(3, 1, 0))

    assert sent(effects, StaleTerm, B) == [StaleTerm(5)]
    assert follower.raft.leader_id is None


def test_5_1_a_request_for_a_vote_of_an_earlier_term_is_refused():
    follower = a_follower(1, term=5)

    effects = follower.receive(B, VoteRequest(4, 9, 4, by_transfer=False))

    assert sent(effects, VoteResponse, B) == [VoteResponse(5, granted=False)]


# §5.2 Elections


def test_5_2_a_follower_that_hears_no_leader_stands_and_votes_for_itself():
    follower = a_follower(1)

    follower.tick_until_role(Role.PRE_CANDIDATE)
    effects = follower.receive(B, PreVoteResponse(2, granted=True))

    assert the(effects, Persist).hard_state == HardState(2, A)
    assert {request.term for request in sent(effects, VoteRequest)} == {2}


def test_5_2_a_follower_that_hears_its_leader_stays_one():
    follower = a_follower(1)

    for round_number in range(30):
        follower.receive(B, Heartbeat(1, round_number, 0))
        follower.tick(0.1)

    assert (follower.raft.role, follower.raft.leader_id) == (Role.FOLLOWER, B)


def test_5_2_a_candidate_with_a_majority_leads():
    candidate = a_follower(1)

    candidate.elect(B)

    assert (candidate.raft.role, candidate.raft.leader_id) == (Role.LEADER, A)


def test_5_2_a_vote_goes_to_the_first_who_asks_and_to_nobody_else_in_the_term():
    follower = a_free_voter(1)

    first = follower.receive(B, VoteRequest(2, 2, 1, by_transfer=False))
    other = follower.receive(C, VoteRequest(2, 2, 1, by_transfer=False))
    again = follower.receive(B, VoteRequest(2, 2, 1, by_transfer=False))

    assert sent(first, VoteResponse) == sent(again, VoteResponse) == [VoteResponse(2, granted=True)]
    assert sent(other, VoteResponse) == [VoteResponse(2, granted=False)]


def test_5_2_a_vote_is_remembered_across_a_restart():
    restarted = a_follower(1, term=2, voted_for=B)

    effects = restarted.receive(C, VoteRequest(2, 9, 1, by_transfer=False))

    assert sent(effects, VoteResponse) == [VoteResponse(2, granted=False)]


def test_5_2_a_candidate_follows_whoever_has_won_its_term():
    candidate = a_follower(1)
    candidate.tick_until_role(Role.PRE_CANDIDATE)
    candidate.receive(C, PreVoteResponse(2, granted=True))

    candidate.receive(B, Heartbeat(2, 1, 0))

    assert (candidate.raft.role, candidate.raft.leader_id) == (Role.FOLLOWER, B)


def test_5_2_timeouts_differ_so_that_votes_are_seldom_split():
    waits = []
    for seed in range(20):
        follower = a_follower(1, seed=seed)
        follower.tick_until_role(Role.PRE_CANDIDATE)
        waits.append(round(follower.now - 100.0, 2))

    assert min(waits) >= 0.5 and max(waits) <= 1.05 and len(set(waits)) > 3


def test_5_2_a_lone_voter_leads_at_once():
    lone = Driven(A, bootstrap_state(A).entries)

    lone.step(Tick())

    assert lone.raft.role is Role.LEADER
    assert lone.raft.commit_index == lone.raft.last_index == 2


# §5.3 Replication


def test_5_3_a_leader_sends_its_entries_to_all_and_commits_them_with_a_majority():
    leader = a_leader(1)

    effects = leader.step(Propose(1, b"x"))
    assert the(effects, ProposalAccepted) == ProposalAccepted(1, 4, 2)
    committed = leader.receive(B, AppendAccepted(2, 4))

    assert [entry.data for entry in the(committed, ApplyEntries).entries][-1] == b"x"
    assert leader.raft.commit_index == 4


def test_5_3_a_follower_takes_entries_that_follow_its_log():
    follower = a_follower(1)

    effects = follower.receive(B, AppendEntries(1, 2, 1, 2, (command(3, 1),)))

    assert the(effects, Persist).entries == (command(3, 1),)
    assert sent(effects, AppendAccepted) == [AppendAccepted(1, 3)]
    assert [entry.index for entry in the(effects, ApplyEntries).entries] == [1, 2]


def test_5_3_a_follower_refuses_entries_after_a_hole():
    follower = a_follower(1)

    effects = follower.receive(B, AppendEntries(1, 5, 1, 5, (command(6, 1),)))

    assert sent(effects, AppendRejected) == [AppendRejected(1, 5, 2, 1)]
    assert not of_kind(effects, Persist)


def test_5_3_a_conflicting_tail_is_cut_off():
    follower = a_follower(1, 2, 2, 2)

    effects = follower.receive(B, AppendEntries(3, 2, 1, 0, (command(3, 3),)))

    written = [persist for persist in of_kind(effects, Persist) if persist.entries]
    assert [(persist.truncate_from, persist.entries) for persist in written] == [(3, (command(3, 3),))]
    assert follower.raft.last_index == 3


def test_5_3_a_repeated_append_cuts_nothing_off():
    follower = a_follower(1, 1, 1)

    effects = follower.receive(B, AppendEntries(1, 1, 1, 0, (command(2, 1),)))

    assert not of_kind(effects, Persist)
    assert (follower.raft.last_index, sent(effects, AppendAccepted)) == (4, [AppendAccepted(1, 2)])


def test_5_3_a_rejection_skips_all_entries_of_terms_that_the_leader_never_had():
    follower = a_follower(1, 2, 2, 2, 3, 3, 3)

    effects = follower.receive(B, AppendEntries(5, 7, 1, 0, ()))

    assert sent(effects, AppendRejected) == [AppendRejected(5, 7, 2, 1)]


def test_5_3_a_leader_goes_back_to_where_the_logs_can_agree_in_one_step():
    leader = a_leader(1, 4, 4, 4, 4)

    effects = leader.receive(B, AppendRejected(5, 6, 5, 2))

    (retry,) = sent(effects, AppendEntries, B)
    assert (retry.prev_index, retry.prev_term) == (2, 1)


# §5.4 Safety


@pytest.mark.parametrize(
    ("last_index", "last_term", "granted"), [(3, 2, True), (4, 2, True), (2, 3, True), (9, 1, False), (2, 2, False)]
)
def test_5_4_1_a_vote_goes_only_to_a_log_that_is_as_up_to_date(last_index, last_term, granted):
    follower = a_free_voter(1, 2)

    effects = follower.receive(B, VoteRequest(5, last_index, last_term, by_transfer=False))

    assert sent(effects, VoteResponse) == [VoteResponse(5, granted)]


def test_5_4_2_entries_of_earlier_terms_are_committed_only_through_one_of_the_own_term():
    leader = a_leader(1, 1)

    leader.receive(B, AppendAccepted(2, 3))
    assert leader.raft.commit_index == 0

    leader.receive(B, AppendAccepted(2, 4))
    assert leader.raft.commit_index == 4
