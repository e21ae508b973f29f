"""Disks (figure 2), reads, calm elections, transfer: the paper and Ongaro's thesis, a test each, named by section."""

from raft_builders import A, B, C, D, Driven, a_follower, a_free_voter, a_leader, a_log, command, of_kind, sent, the

from swarmlet.raft import (
    ApplyEntries,
    Entry,
    EntryKind,
    Persist,
    PersistDone,
    ProposalAccepted,
    ProposalRefused,
    Propose,
    ReadReady,
    ReadRefused,
    ReadRequest,
    Refusal,
    Role,
    Tick,
    TransferLeadership,
    bootstrap_state,
)
from swarmlet.raft.messages import (
    AppendAccepted,
    AppendEntries,
    Heartbeat,
    HeartbeatAnswer,
    PreVoteRequest,
    PreVoteResponse,
    StaleTerm,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)

# Figure 2 and thesis §10.2.1: disks


def test_figure_2_a_follower_acknowledges_only_what_is_on_disk():
    follower = a_follower(1)
    follower.disk_waits = True

    before = follower.receive(B, AppendEntries(1, 2, 1, 0, (command(3, 1),)))
    after = follower.sync()

    assert not sent(before, AppendAccepted)
    assert sent(after, AppendAccepted) == [AppendAccepted(1, 3)]


def test_figure_2_a_vote_is_given_only_when_it_is_on_disk():
    follower = a_free_voter(1)
    follower.disk_waits = True

    before = follower.receive(B, VoteRequest(2, 2, 1, by_transfer=False))
    after = follower.sync()

    assert not sent(before, VoteResponse)
    assert sent(after, VoteResponse) == [VoteResponse(2, granted=True)]


def test_figure_2_a_candidate_counts_its_own_vote_only_when_it_is_on_disk():
    lone = Driven(A, bootstrap_state(A).entries)
    lone.disk_waits = True

    lone.step(Tick())
    assert lone.raft.role is Role.CANDIDATE

    lone.sync()
    assert lone.raft.role is Role.LEADER


def test_thesis_10_2_1_a_leader_sends_before_its_own_disk_is_done_but_does_not_count_itself():
    leader = a_leader(1, voters="abcde")
    leader.disk_waits = True

    effects = leader.step(Propose(1, b"x"))
    assert sent(effects, AppendEntries) == []  # the term's first entry is still being asked about
    for peer in (B, C):
        effects = leader.receive(peer, AppendAccepted(2, 3))
        assert sent(effects, AppendEntries, peer)[0].entries[0].data == b"x"
        leader.receive(peer, AppendAccepted(2, 4))
    assert leader.raft.commit_index == 3

    effects = leader.sync()
    assert leader.raft.commit_index == 4
    assert the(effects, ApplyEntries).entries[-1].index == 4


def test_what_is_committed_is_applied_only_from_the_own_disk():
    follower = a_follower(1)
    follower.disk_waits = True

    before = follower.receive(B, AppendEntries(1, 2, 1, 3, (command(3, 1),)))
    after = follower.sync()

    assert [entry.index for entry in the(before, ApplyEntries).entries] == [1, 2]
    assert [entry.index for entry in the(after, ApplyEntries).entries] == [3]


def test_an_end_of_a_write_says_nothing_of_entries_that_were_cut_off_meanwhile():
    follower = a_follower(1)
    follower.disk_waits = True
    follower.receive(B, AppendEntries(1, 2, 1, 0, (command(3, 1),)))
    first = follower.unsynced[0].sequence
    follower.receive(C, AppendEntries(2, 2, 1, 3, (command(3, 2),)))

    early = follower.step(PersistDone(first))
    late = follower.sync()

    assert not of_kind(early, ApplyEntries)
    assert the(late, ApplyEntries).entries == (command(3, 2),)


# §8 Clients, thesis §6.4 Reads


def test_8_a_new_leader_opens_its_term_with_an_entry_that_says_nothing():
    candidate = a_follower(1)

    effects = candidate.elect(B)

    written = [entry for persist in of_kind(effects, Persist) for entry in persist.entries]
    assert written == [Entry(3, 2, EntryKind.NOOP, b"")]


def test_8_a_follower_names_the_leader_to_who_asks_it():
    follower = a_follower(1)
    follower.receive(B, Heartbeat(1, 1, 0))

    assert the(follower.step(Propose(7, b"x")), ProposalRefused) == ProposalRefused(7, Refusal.NOT_LEADER, B)
    assert the(follower.step(ReadRequest(8)), ReadRefused) == ReadRefused(8, Refusal.NOT_LEADER, B)


def test_thesis_6_4_a_read_waits_for_a_round_of_heartbeats_that_began_after_it():
    leader = a_leader(1)
    leader.receive(B, AppendAccepted(2, 3))
    earlier = sent(leader.tick(0.1), Heartbeat, B)[-1].round

    asked = leader.step(ReadRequest(5))
    round_number = sent(asked, Heartbeat, B)[-1].round
    assert not of_kind(leader.receive(B, HeartbeatAnswer(2, earlier)), ReadReady)

    assert the(leader.receive(C, HeartbeatAnswer(2, round_number)), ReadReady) == ReadReady(5, 3)


def test_thesis_6_4_a_read_waits_for_the_first_commit_of_the_leaders_term():
    leader = a_leader(1)
    round_number = sent(leader.step(ReadRequest(5)), Heartbeat, B)[-1].round

    assert not of_kind(leader.receive(B, HeartbeatAnswer(2, round_number)), ReadReady)
    assert the(leader.receive(B, AppendAccepted(2, 3)), ReadReady) == ReadReady(5, 3)


def test_thesis_6_4_reads_that_arrive_during_a_round_share_the_next_one():
    leader = a_leader(1)
    leader.receive(B, AppendAccepted(2, 3))

    first = sent(leader.step(ReadRequest(1)), Heartbeat, B)[-1].round
    assert not sent(leader.step(ReadRequest(2)), Heartbeat)
    assert not sent(leader.step(ReadRequest(3)), Heartbeat)
    done = leader.receive(B, HeartbeatAnswer(2, first))

    (second,) = sent(done, Heartbeat, B)
    assert [ready.request for ready in of_kind(done, ReadReady)] == [1]
    ready = of_kind(leader.receive(B, HeartbeatAnswer(2, second.round)), ReadReady)
    assert [read.request for read in ready] == [2, 3]


def test_thesis_6_4_reads_are_refused_when_leadership_is_lost():
    leader = a_leader(1)
    leader.step(ReadRequest(5))

    effects = leader.receive(B, StaleTerm(9))

    assert the(effects, ReadRefused).request == 5


# Thesis §9.6, §4.2.3, §6.2: calm elections


def test_thesis_9_6_a_pre_vote_changes_nobodys_term():
    asking, asked = a_follower(1), a_free_voter(1, node=B)

    asking.tick_until_role(Role.PRE_CANDIDATE)
    effects = asked.receive(A, PreVoteRequest(2, 2, 1))

    assert (asking.raft.term, asked.raft.term) == (1, 1)
    assert sent(effects, PreVoteResponse) == [PreVoteResponse(2, granted=True)]
    assert not of_kind(effects, Persist)


def test_thesis_9_6_a_pre_candidate_forgets_its_leader_and_so_helps_others():
    pre_candidate = a_follower(1)
    pre_candidate.receive(B, Heartbeat(1, 1, 0))
    pre_candidate.tick_until_role(Role.PRE_CANDIDATE)

    effects = pre_candidate.receive(C, PreVoteRequest(2, 2, 1))

    assert pre_candidate.raft.leader_id is None
    assert sent(effects, PreVoteResponse) == [PreVoteResponse(2, granted=True)]


def test_thesis_4_2_3_who_hears_its_leader_helps_nobody_to_depose_it():
    follower = a_follower(1)
    follower.receive(B, Heartbeat(1, 1, 0))

    pre_vote = follower.receive(C, PreVoteRequest(9, 9, 8))
    vote = follower.receive(C, VoteRequest(9, 9, 8, by_transfer=False))

    assert sent(pre_vote, PreVoteResponse) == [PreVoteResponse(1, granted=False)]
    assert not sent(vote, VoteResponse) and follower.raft.term == 1


def test_thesis_4_2_3_a_later_term_that_a_follower_hears_of_does_not_end_its_loyalty():
    """An answer to an earlier question of its own may tell it of the term; the leader's lease goes on all the same."""
    follower = a_follower(1)
    follower.receive(B, Heartbeat(1, 1, 0))

    follower.receive(C, PreVoteResponse(5, granted=False))
    refused = follower.receive(C, VoteRequest(5, 9, 1, by_transfer=False))
    assert follower.raft.term == 5
    assert sent(refused, VoteResponse) == [VoteResponse(5, granted=False)]

    follower.forget_leader()
    granted = follower.receive(C, VoteRequest(5, 9, 1, by_transfer=False))
    assert sent(granted, VoteResponse) == [VoteResponse(5, granted=True)]


def test_thesis_4_2_3_who_has_just_started_may_have_heard_a_leader_before_it_stopped():
    restarted = a_follower(1)

    pre_vote = restarted.receive(C, PreVoteRequest(2, 9, 1))
    vote = restarted.receive(C, VoteRequest(2, 9, 1, by_transfer=False))
    by_transfer = restarted.receive(C, VoteRequest(2, 9, 1, by_transfer=True))

    assert sent(pre_vote, PreVoteResponse) == [PreVoteResponse(1, granted=False)]
    assert not sent(vote, VoteResponse)
    assert sent(by_transfer, VoteResponse) == [VoteResponse(2, granted=True)]


def test_thesis_6_2_a_leader_without_the_answers_of_a_quorum_steps_down_when_its_followers_give_up():
    leader = a_leader(1)

    leader.tick(0.45)
    assert leader.raft.role is Role.LEADER

    leader.tick(0.15)
    assert (leader.raft.role, leader.raft.leader_id) == (Role.FOLLOWER, None)


def test_thesis_6_2_a_leader_that_a_quorum_answers_stays():
    leader = a_leader(1)

    for _ in range(40):
        for heartbeat in sent(leader.tick(0.1), Heartbeat, B):
            leader.receive(B, HeartbeatAnswer(2, heartbeat.round))

    assert leader.raft.role is Role.LEADER


def test_a_follower_that_has_slept_listens_before_it_stands():
    follower = a_follower(1)
    follower.receive(B, Heartbeat(1, 1, 0))

    follower.now += 3_600.0
    follower.step(Tick())

    assert (follower.raft.role, follower.raft.leader_id) == (Role.FOLLOWER, B)


def test_a_leader_whose_disk_has_stalled_hands_over():
    leader = a_leader(1)
    leader.receive(B, AppendAccepted(2, 3))
    leader.disk_waits = True
    leader.step(Propose(1, b"x"))

    told: list[TimeoutNow] = []
    for _ in range(30):
        effects = leader.tick(0.1)
        told += sent(effects, TimeoutNow, B)
        for heartbeat in sent(effects, Heartbeat, B):
            leader.receive(B, HeartbeatAnswer(2, heartbeat.round))

    assert leader.raft.role is Role.FOLLOWER
    assert told == [TimeoutNow(2)]


# Thesis §3.10 Leadership transfer


def test_thesis_3_10_the_successor_is_told_once_it_has_the_whole_log():
    leader = a_leader(1)
    leader.receive(C, AppendAccepted(2, 3))

    waiting = leader.step(TransferLeadership(B))
    refused = leader.step(Propose(1, b"x"))
    told = leader.receive(B, AppendAccepted(2, 3))

    assert not sent(waiting, TimeoutNow)
    assert the(refused, ProposalRefused).reason is Refusal.TRANSFERRING
    assert sent(told, TimeoutNow, B) == [TimeoutNow(2)]


def test_thesis_3_10_who_is_told_stands_at_once_and_is_not_held_off_by_stickiness():
    successor, follower = a_follower(1), a_follower(1, node=C)
    successor.receive(B, Heartbeat(1, 1, 0))
    follower.receive(B, Heartbeat(1, 1, 0))

    (request,) = sent(successor.receive(B, TimeoutNow(1)), VoteRequest, C)
    effects = follower.receive(A, request)

    assert request.by_transfer
    assert sent(effects, VoteResponse) == [VoteResponse(2, granted=True)]


def test_thesis_3_10_a_transfer_that_fails_is_given_up_after_an_election_timeout():
    leader = a_leader(1)
    leader.step(TransferLeadership(B))

    for _ in range(12):
        for heartbeat in sent(leader.tick(0.1), Heartbeat, C):
            leader.receive(C, HeartbeatAnswer(2, heartbeat.round))

    assert the(leader.step(Propose(1, b"x")), ProposalAccepted).index == 4


def test_a_node_without_a_membership_never_stands_but_follows_and_votes():
    node = Driven(D, ())

    assert not node.tick(10.0)
    voted = node.receive(B, VoteRequest(1, 2, 1, by_transfer=False))
    taken = node.receive(B, AppendEntries(1, 0, 0, 0, a_log(1)))

    assert sent(voted, VoteResponse) == [VoteResponse(1, granted=True)]
    assert sent(taken, AppendAccepted) == [AppendAccepted(1, 2)]
