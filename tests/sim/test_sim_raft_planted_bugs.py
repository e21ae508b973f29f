"""The simulator is worth something only if it finds bugs: each of these is planted in the core, and has to be found."""

from collections.abc import Callable, Iterator

import pytest
from sim_faults import PROFILES, run_schedule
from sim_invariants import Violation

from swarmlet.model.ids import NodeId
from swarmlet.raft.effects import ApplyEntries, ReadReady
from swarmlet.raft.follower import Follower
from swarmlet.raft.leader import Leader
from swarmlet.raft.membership import MembershipLog
from swarmlet.raft.messages import AppendEntries
from swarmlet.raft.outbox import Outbox
from swarmlet.raft.quorum import JointConfig
from swarmlet.raft.reads import PendingReads
from swarmlet.raft.server import Server

SCHEDULES_MAX = 100

Plant = Callable[[pytest.MonkeyPatch], None]


def acknowledge_before_fsync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Outbox, "send_when_persisted", Outbox.send)


def vote_without_remembering(patch: pytest.MonkeyPatch) -> None:
    def vote_for(server: Server, candidate: NodeId) -> None:
        server.voted_for = candidate

    patch.setattr(Server, "vote_for", vote_for)


def commit_entries_of_earlier_terms_by_counting(patch: pytest.MonkeyPatch) -> None:
    original = Leader._commit

    def commit(leader: Leader) -> None:
        start, leader._term_start_index = leader._term_start_index, leader._server.log.base_index + 1
        original(leader)
        leader._term_start_index = start

    patch.setattr(Leader, "_commit", commit)


def read_without_asking_whether_it_still_leads(patch: pytest.MonkeyPatch) -> None:
    original = PendingReads.take_ready

    def take_ready(reads: PendingReads, _confirmed_round: int, commit_index: int) -> Iterator[ReadReady]:
        return original(reads, 2**63, commit_index)

    patch.setattr(PendingReads, "take_ready", take_ready)


def count_learners(patch: pytest.MonkeyPatch) -> None:
    def set_quorum(log: MembershipLog) -> None:
        log.quorum = JointConfig(log.latest.members)

    patch.setattr(MembershipLog, "_set_quorum", set_quorum)


def apply_before_it_is_on_disk(patch: pytest.MonkeyPatch) -> None:
    def apply_committed(server: Server) -> None:
        if server.commit_index > server.applied_index >= server.log.base_index:
            server.outbox.apply(ApplyEntries(server.log.slice(server.applied_index + 1, server.commit_index)))
            server.applied_index = server.commit_index

    patch.setattr(Server, "apply_committed", apply_committed)


def cut_the_log_at_every_append(patch: pytest.MonkeyPatch) -> None:
    original = Follower._append

    def append(follower: Follower, leader: NodeId, append: AppendEntries) -> None:
        server = follower._server
        if append.entries and server.commit_index <= append.prev_index < server.log.last_index:
            server.truncate(append.prev_index + 1)
        original(follower, leader, append)

    patch.setattr(Follower, "_append", append)


@pytest.mark.parametrize(
    ("plant", "profile", "found_as"),
    [
        (acknowledge_before_fsync, "crashes", "acknowledged before it was on disk"),
        (vote_without_remembering, "crashes", "voted before it was on disk"),
        (commit_entries_of_earlier_terms_by_counting, "crashes", "commits by its own term's entries"),
        (read_without_asking_whether_it_still_leads, "sleepers", "no stale read"),
        (count_learners, "membership", "commit on a quorum's disks"),
        (apply_before_it_is_on_disk, "crashes", "applied before it was on disk"),
        (cut_the_log_at_every_append, "lossy-links", "acknowledged before it was on disk|commit on a quorum's disks"),
    ],
)
def test_a_planted_bug_is_found(plant: Plant, profile: str, found_as: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)

    with pytest.raises(Violation, match=found_as):
        for seed in range(SCHEDULES_MAX):
            run_schedule(PROFILES[profile], seed)
