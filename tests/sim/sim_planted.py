"""Known bugs, each planted on demand in the code that runs in production, and the invariant that has to find it.

A simulator is worth something only if it finds bugs. They are put in and taken out again by patches from here:
nothing in the code itself knows of them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sim_profiles import PROFILES
from sim_schedule import run_schedule
from sim_server import SimServer
from sim_violation import Violation

from swarmlet.model.ids import NodeId
from swarmlet.raft import RaftSettings, Refusal, Role, RoleChanged
from swarmlet.raft.effects import ApplyEntries, ReadReady
from swarmlet.raft.follower import Follower
from swarmlet.raft.leader import Leader
from swarmlet.raft.log import RaftLog
from swarmlet.raft.membership import MembershipChange, MembershipLog
from swarmlet.raft.messages import AppendEntries, InstallSnapshot
from swarmlet.raft.outbox import Outbox
from swarmlet.raft.quorum import JointConfig
from swarmlet.raft.reads import PendingReads
from swarmlet.raft.server import Server
from swarmlet.store import Store
from swarmlet.store.history import History
from swarmlet.store.requests import RequestTable

SCHEDULES_MAX = 2_000


class Patch:
    """Replaces attributes, and puts them back."""

    def __init__(self) -> None:
        self._originals: list[tuple[object, str, Any]] = []

    def set(self, owner: object, name: str, value: Any) -> Any:
        original = vars(owner)[name]
        self._originals.append((owner, name, original))
        setattr(owner, name, value)
        return original

    def undo(self) -> None:
        while self._originals:
            setattr(*self._originals.pop())


@dataclass(frozen=True, slots=True)
class Planted:
    name: str
    plant: Callable[[Patch], None]
    profile: str
    found_as: tuple[str, ...]
    """How a violation may begin that is natural to it."""


# What must be on disk first


def acknowledge_before_fsync(patch: Patch) -> None:
    patch.set(Outbox, "send_when_persisted", Outbox.send)


def vote_without_remembering(patch: Patch) -> None:
    def vote_for(server: Server, candidate: NodeId) -> None:
        server.voted_for = candidate

    patch.set(Server, "vote_for", vote_for)


def apply_before_it_is_on_disk(patch: Patch) -> None:
    def apply_committed(server: Server) -> None:
        if server.commit_index > server.applied_index >= server.log.base_index:
            server.outbox.apply(ApplyEntries(server.log.slice(server.applied_index + 1, server.commit_index)))
            server.applied_index = server.commit_index

    patch.set(Server, "apply_committed", apply_committed)


# Committing


def commit_entries_of_earlier_terms_by_counting(patch: Patch) -> None:
    original = Leader._commit

    def commit(leader: Leader) -> None:
        start, leader._term_start_index = leader._term_start_index, leader._server.log.base_index + 1
        original(leader)
        leader._term_start_index = start

    patch.set(Leader, "_commit", commit)


def count_learners(patch: Patch) -> None:
    def set_quorum(log: MembershipLog) -> None:
        log.quorum = JointConfig(log.latest.members)

    patch.set(MembershipLog, "_set_quorum", set_quorum)


def cut_the_log_at_every_append(patch: Patch) -> None:
    original = Follower._append

    def append(follower: Follower, leader: NodeId, append: AppendEntries) -> None:
        server = follower._server
        if append.entries and server.commit_index <= append.prev_index < server.log.last_index:
            server.truncate(append.prev_index + 1)
        original(follower, leader, append)

    patch.set(Follower, "_append", append)


def install_a_snapshot_over_a_newer_log(patch: Patch) -> None:
    """The follower does not look whether it has all that the snapshot brings, and more."""
    original = Follower._take_chunk

    def take_chunk(follower: Follower, leader: NodeId, chunk: InstallSnapshot) -> None:
        server = follower._server
        commit_index, known = server.commit_index, RaftLog.term_at
        server.commit_index = min(commit_index, chunk.last_index - 1)
        RaftLog.term_at = lambda log, index: None if index == chunk.last_index else known(log, index)  # type: ignore[method-assign]
        try:
            original(follower, leader, chunk)
        finally:
            RaftLog.term_at = known  # type: ignore[method-assign]
        if server.commit_index != chunk.last_index:
            server.commit_index = commit_index  # it is not complete yet

    patch.set(Follower, "_take_chunk", take_chunk)


def vote_for_a_shorter_log(patch: Patch) -> None:
    patch.set(RaftLog, "is_behind", lambda log, last_index, last_term: last_term >= log.last_term)


# Membership


def change_the_membership_before_the_terms_first_commit(patch: Patch) -> None:
    original = Leader._change_refusal

    def change_refusal(leader: Leader, change: MembershipChange) -> Refusal | None:
        start, leader._term_start_index = leader._term_start_index, 0
        try:
            return original(leader, change)
        finally:
            leader._term_start_index = start

    patch.set(Leader, "_change_refusal", change_refusal)


# Reads


def read_without_asking_whether_it_still_leads(patch: Patch) -> None:
    original = PendingReads.take_ready

    def take_ready(reads: PendingReads, _confirmed_round: int, commit_index: int) -> Iterator[ReadReady]:
        return original(reads, 2**63, commit_index)

    patch.set(PendingReads, "take_ready", take_ready)


def believe_a_lease_by_a_clock_that_stood_still(patch: Patch) -> None:
    """The server's own clock is cut while it is stopped; the lease runs out all the same."""

    def lease_holds(leader: Leader) -> bool:
        server = leader._server
        return leader._rounds.unanswered_s(server.quorum, server.now) < server.settings.lease_s

    patch.set(Leader, "_lease_holds", property(lease_holds))


def keep_a_lease_longer_than_followers_do(patch: Patch) -> None:
    patch.set(RaftSettings, "lease_s", property(lambda settings: 4 * settings.election_timeout_max_s))


# The store


def forget_requests_when_the_leader_changes(patch: Patch) -> None:
    """As if the table of requests were the leader's own, and not a part of the state."""
    original = SimServer._role_changed

    def role_changed(server: SimServer, changed: RoleChanged) -> None:
        original(server, changed)
        if changed.role is Role.LEADER:
            server.machine.store._requests = RequestTable()

    patch.set(SimServer, "_role_changed", role_changed)


def apply_every_retry(patch: Patch) -> None:
    patch.set(RequestTable, "earlier_result", lambda _table, _request, _revision: None)


def leave_the_requests_out_of_snapshots(patch: Patch) -> None:
    original = Store.__dict__["restore"]

    def restore(kind: type[Store], data: bytes) -> Store:
        store: Store = original.__get__(None, kind)(data)
        store._requests = RequestTable()
        return store

    patch.set(Store, "restore", classmethod(restore))


def hide_that_changes_are_compacted(patch: Patch) -> None:
    original = History.since

    def since(history: History, revision: int) -> Any:
        return original(history, max(revision, history.floor))

    patch.set(History, "since", since)


BUGS = (
    Planted("vote not persisted", vote_without_remembering, "crashes", ("voted before it was on disk",)),
    Planted("acknowledged before fsync", acknowledge_before_fsync, "crashes", ("acknowledged before it was on disk",)),
    Planted(
        "earlier term's entry committed by counting",
        commit_entries_of_earlier_terms_by_counting,
        "crashes",
        ("a leader commits by its own term's entries",),
    ),
    Planted("stale read", read_without_asking_whether_it_still_leads, "sleepers", ("no stale read",)),
    Planted(
        "stale lease read: a stopped clock", believe_a_lease_by_a_clock_that_stood_still, "leases", ("no stale read",)
    ),
    Planted("stale lease read: too long a lease", keep_a_lease_longer_than_followers_do, "leases", ("no stale read",)),
    Planted(
        "membership change without the term's no-op",
        change_the_membership_before_the_terms_first_commit,
        "membership",
        ("configuration safety",),
    ),
    Planted("dedupe lost at leader change", forget_requests_when_the_leader_changes, "contention", ("equal ",)),
    Planted("dedupe missing", apply_every_retry, "contention", ("linearizability",)),
    Planted("dedupe lost in snapshots", leave_the_requests_out_of_snapshots, "contention", ("equal states",)),
    Planted("snapshot over newer log", install_a_snapshot_over_a_newer_log, "snapshots", ("what is committed stays",)),
    Planted("learner counted in the quorum", count_learners, "membership", ("commit on a quorum's disks",)),
    Planted("applied before it is on disk", apply_before_it_is_on_disk, "crashes", ("applied before it was on disk",)),
    Planted(
        "log cut at every append",
        cut_the_log_at_every_append,
        "lossy-links",
        ("commit on a quorum's disks", "acknowledged before it was on disk"),
    ),
    Planted("vote for a shorter log", vote_for_a_shorter_log, "partitions", ("leader completeness",)),
    Planted("a watch with a gap", hide_that_changes_are_compacted, "maintenance", ("a watch has no gap",)),
)


@contextmanager
def planted(bug: Planted) -> Iterator[None]:
    patch = Patch()
    try:
        bug.plant(patch)
        yield
    finally:
        patch.undo()


def find(bug: Planted, schedules_max: int = SCHEDULES_MAX) -> tuple[int, Violation] | None:
    """The first schedule that finds it, counted from 1, and how; None when none does."""
    with planted(bug):
        for seed in range(schedules_max):
            try:
                run_schedule(PROFILES[bug.profile], seed)
            except Violation as violation:
                return seed + 1, violation
    return None


def is_natural(bug: Planted, violation: str) -> bool:
    return violation.startswith(bug.found_as)
