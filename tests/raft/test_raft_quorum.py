from hypothesis import given
from hypothesis import strategies as st

from swarmlet.raft.quorum import EVERYTHING, JointConfig, MajorityConfig, VoteResult

VOTERS = st.sets(st.integers(1, 9), max_size=7)
ACKED = st.dictionaries(st.integers(1, 9), st.integers(0, 20))
VOTES = st.dictionaries(st.integers(1, 9), st.booleans())


def test_a_majority_of_three_commits_what_two_have():
    config = MajorityConfig({"a", "b", "c"})

    assert config.committed_index({"a": 7, "b": 5, "c": 3}) == 5
    assert config.committed_index({"a": 7, "b": 5}) == 5
    assert config.committed_index({"a": 7}) == 0


def test_the_empty_configuration_commits_everything_and_wins():
    assert MajorityConfig().committed_index({}) == EVERYTHING
    assert MajorityConfig().vote_result({}) is VoteResult.WON


def test_who_does_not_vote_here_is_not_counted():
    config = MajorityConfig({1, 2, 3})

    assert config.committed_index({1: 4, 8: 9, 9: 9}) == 0
    assert config.vote_result({1: True, 8: True, 9: True}) is VoteResult.PENDING


def test_a_joint_configuration_needs_both_majorities():
    joint = JointConfig({1, 2, 3}, {3, 4, 5})

    assert joint.committed_index({1: 9, 2: 9, 3: 9}) == 0
    assert joint.committed_index({1: 9, 2: 8, 4: 7, 5: 6}) == 6
    assert joint.vote_result({1: True, 2: True}) is VoteResult.PENDING
    assert joint.vote_result({1: True, 2: True, 4: False, 5: False}) is VoteResult.LOST
    assert joint.vote_result({1: True, 3: True, 4: True}) is VoteResult.WON


@given(VOTERS, ACKED)
def test_the_committed_index_is_the_highest_that_a_majority_has(voters, acked):
    config = MajorityConfig(voters)

    def majority_has(index: int) -> bool:
        return sum(acked.get(voter, 0) >= index for voter in voters) > len(voters) / 2

    if voters:
        assert config.committed_index(acked) == max(index for index in range(21) if index == 0 or majority_has(index))


@given(VOTERS, VOTES)
def test_a_vote_is_decided_when_those_who_are_missing_cannot_change_it(voters, votes):
    config = MajorityConfig(voters)
    missing = [voter for voter in voters if voter not in votes]

    def won(missing_vote: bool) -> bool:
        every = {**votes, **dict.fromkeys(missing, missing_vote)}
        return not voters or sum(every[voter] for voter in voters) > len(voters) / 2

    expected = {(True, True): VoteResult.WON, (True, False): VoteResult.PENDING, (False, False): VoteResult.LOST}
    assert config.vote_result(votes) is expected[won(True), won(False)]


@given(VOTERS, VOTERS, ACKED, VOTES)
def test_a_joint_configuration_is_as_strict_as_both_of_its_halves(incoming, outgoing, acked, votes):
    joint, halves = JointConfig(incoming, outgoing), (MajorityConfig(incoming), MajorityConfig(outgoing))

    assert joint.committed_index(acked) == min(half.committed_index(acked) for half in halves)
    assert (joint.vote_result(votes) is VoteResult.WON) == all(
        half.vote_result(votes) is VoteResult.WON for half in halves
    )
    assert JointConfig(halves[0], halves[1]) == joint


@given(VOTERS, VOTERS, VOTES)
def test_a_joint_vote_is_decided_when_those_who_are_missing_cannot_change_it(incoming, outgoing, votes):
    def won(missing_vote: bool) -> bool:
        halves = (half for half in (incoming, outgoing) if half)
        return all(sum(votes.get(voter, missing_vote) for voter in half) > len(half) / 2 for half in halves)

    expected = {(True, True): VoteResult.WON, (True, False): VoteResult.PENDING, (False, False): VoteResult.LOST}
    assert JointConfig(incoming, outgoing).vote_result(votes) is expected[won(True), won(False)]


@given(VOTERS, VOTERS, ACKED)
def test_a_joint_configuration_commits_what_a_majority_of_each_half_has(incoming, outgoing, acked):
    def each_has(index: int) -> bool:
        halves = [half for half in (incoming, outgoing) if half]
        return all(sum(acked.get(voter, 0) >= index for voter in half) > len(half) / 2 for half in halves)

    if incoming or outgoing:
        expected = max(index for index in range(21) if each_has(index))
        assert JointConfig(incoming, outgoing).committed_index(acked) == expected


def test_voters_may_be_any_hashable_values():
    assert MajorityConfig([("a", 1), ("b", 2), ("c", 3)]).committed_index({("a", 1): 4, ("c", 3): 2}) == 2
    assert JointConfig({1, 2, 3}) == JointConfig(iter([3, 2, 1]), ())
    assert JointConfig({1, 2, 3}).committed_index({1: 5, 2: 4}) == 4
    assert {result.name: str(result) for result in VoteResult} == {"PENDING": "pending", "WON": "won", "LOST": "lost"}
