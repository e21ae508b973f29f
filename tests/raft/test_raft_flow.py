"""How much is under way to a follower, and how the leader finds where two logs agree."""

from hypothesis import given
from hypothesis import strategies as st
from raft_builders import A, B, C, D, Driven, a_follower, a_leader, a_log, of_kind, sent

from swarmlet.raft import ProposalAccepted, Propose, RaftSettings, Role
from swarmlet.raft.messages import (
    AppendAccepted,
    AppendEntries,
    AppendRejected,
    CommitAdvanced,
    Heartbeat,
    HeartbeatAnswer,
    PreVoteRequest,
    PreVoteResponse,
)


def a_replicating_leader(settings: RaftSettings) -> Driven:
    leader = a_leader(1, settings=settings, learners="d")
    for follower in (B, C):
        leader.receive(follower, AppendAccepted(2, 3))
    return leader


def test_the_window_is_bounded_in_bytes_too():
    leader = a_replicating_leader(RaftSettings(inflight_bytes_max=2_000))

    appends = [sent(leader.step(Propose(number, bytes(900))), AppendEntries, B) for number in range(5)]

    assert [len(each) for each in appends] == [1, 1, 1, 0, 0]
    after = sent(leader.receive(B, AppendAccepted(2, 6)), AppendEntries, B)
    assert [entry.index for append in after for entry in append.entries] == [7, 8]


def test_a_follower_that_does_not_answer_holds_up_nobody_else():
    leader = a_replicating_leader(RaftSettings(inflight_appends_max=1))

    for number in range(5):
        leader.step(Propose(number, b"x"))
        leader.receive(B, AppendAccepted(2, 4 + number))

    assert leader.raft.commit_index == 8
    assert leader.raft.progress()[C].match_index == 3


def test_the_answers_of_learners_do_not_keep_a_leader_in_office():
    leader = a_replicating_leader(RaftSettings())

    for _ in range(8):
        for heartbeat in sent(leader.tick(0.1), Heartbeat, D):
            leader.receive(D, HeartbeatAnswer(2, heartbeat.round))

    assert leader.raft.role is Role.FOLLOWER


def test_sixty_four_proposals_of_one_step_are_one_append_to_each_follower():
    leader = a_replicating_leader(RaftSettings())

    effects = leader.step_all(*(Propose(number, bytes(256)) for number in range(64)))

    assert len(of_kind(effects, ProposalAccepted)) == 64
    assert [len(append.entries) for append in sent(effects, AppendEntries, B)] == [64]


def test_a_pre_vote_for_an_old_term_or_a_stale_log_is_refused():
    asked = a_follower(1, 3)
    asked.forget_leader()

    for request in (PreVoteRequest(3, 9, 3), PreVoteRequest(4, 9, 2), PreVoteRequest(4, 2, 3)):
        assert sent(asked.receive(B, request), PreVoteResponse) == [PreVoteResponse(3, granted=False)]


def exchange(leader: Driven, follower: Driven, effects: list) -> int:
    """Carry what the two say to each other until they are silent; how often the follower rejected."""
    rejections = 0
    to_follower = sent(effects, AppendEntries, B)
    while to_follower:
        answers = []
        for message in to_follower:
            answered = follower.receive(A, message)
            answers += sent(answered, AppendRejected, A) + sent(answered, AppendAccepted, A)
        rejections += sum(isinstance(answer, AppendRejected) for answer in answers)
        to_follower = []
        for answer in answers:
            effects = leader.receive(B, answer)
            to_follower += sent(effects, AppendEntries, B) + sent(effects, CommitAdvanced, B)
    return rejections


LOGS = st.lists(st.integers(1, 5), max_size=30).map(sorted)


@given(st.lists(st.just(1), max_size=4), LOGS, LOGS)
def test_logs_are_made_equal_with_no_more_rejections_than_there_are_terms(common, leaders_own, followers_own):
    leader = Driven(A, a_log(*common, *leaders_own), term=6)
    follower = Driven(B, a_log(*common, *followers_own), term=6)

    rejections = exchange(leader, follower, leader.elect(B, C))

    assert follower.raft.last_index == leader.raft.last_index
    assert leader.raft.progress()[B].match_index == leader.raft.last_index
    assert rejections <= len({*common, *followers_own, *leaders_own}) + 1
