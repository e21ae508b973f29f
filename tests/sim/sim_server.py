"""One simulated server: the real core, the real storage over a simulated disk, the real store."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from sim_disk import Disk, DiskUnusable
from sim_log_image import LogImage
from sim_machine import Machine
from sim_service import Service
from sim_versions import wire_of

from swarmlet.model.ids import NodeId
from swarmlet.raft import (
    ApplyEntries,
    ApplySnapshot,
    Compact,
    Effect,
    EntryKind,
    Event,
    MessageReceived,
    Persist,
    PersistDone,
    ProposalAccepted,
    ProposalRefused,
    Raft,
    RaftSettings,
    ReadReady,
    ReadRefused,
    Role,
    RoleChanged,
    Send,
    Tick,
    VersionUnknown,
)

if TYPE_CHECKING:
    from sim_cluster import SimCluster

TICK_S = 0.05
TURN_MAX_S = 0.002
"""How long one turn of the event loop takes at most."""
COMPACT_EVERY = 25
"""Entries between two snapshots: small, so that every run compacts and installs many."""


class SimServer:
    def __init__(self, node_id: NodeId, cluster: "SimCluster", settings: RaftSettings, disk: Disk) -> None:
        self.node_id = node_id
        self.cluster = cluster
        self.disk = disk
        self.settings = settings
        self.later_version = False
        self.raft: Raft | None = None
        self.machine = Machine()
        self.service = Service(self)
        self.incarnation = 0
        self.asleep_until = 0.0
        self.crash_while_writing = False
        """It is to crash at some point of its next write."""
        self.damaged = False
        """Its disk has lost what it held: it stays down for good."""
        self.starts = self.snapshots_installed = self.versions_unknown = 0
        self._wire = wire_of(later=False)
        self._image = self.disk.durable
        self._clock_rate = cluster.rng.uniform(0.9, 1.1)
        self._led_term = 0
        self._gathers = cluster.rng.random() < cluster.gathering
        self._posted: list[Event] = []

    @property
    def is_leader(self) -> bool:
        return self.raft is not None and self.raft.role is Role.LEADER

    @property
    def is_awake(self) -> bool:
        return self.raft is not None and self.cluster.timeline.now >= self.asleep_until

    # Life

    def start(self) -> None:
        assert self.raft is None and not self.damaged
        try:
            restored = self.disk.start()
        except DiskUnusable:
            self.damaged = True
            return
        self.incarnation += 1
        self.crash_while_writing = False
        self._posted.clear()
        self.starts += 1
        self._image = self.disk.durable.copy()
        self.machine = Machine(restored.snapshot)
        if restored.snapshot is not None:
            self.cluster.invariants.state_reached(self.node_id, self.machine)
        self.service = Service(self)
        self._wire = wire_of(self.later_version)
        self.raft = Raft(self.node_id, self.settings, restored, Random(self.cluster.rng.random()), self._clock())
        self.asleep_until = 0.0
        self.cluster.timeline.after(self.cluster.rng.uniform(0, TICK_S), partial(self._tick, self.incarnation))

    def crash(self) -> None:
        self.raft, self.crash_while_writing = None, False
        try:
            self.disk.crash(self.cluster.rng)
        except DiskUnusable:
            self._end_for_good()

    def _end_for_good(self) -> None:
        self.raft, self.damaged = None, True
        self.disk.close()

    def _crash(self, incarnation: int) -> None:
        if self.crash_while_writing and incarnation == self.incarnation and self.raft is not None:
            self.crash()

    def sleep(self, duration_s: float) -> None:
        """As with SIGSTOP: nothing is handled until it wakes, then everything that came meanwhile."""
        self.asleep_until = self.cluster.timeline.now + duration_s

    def if_same(self, incarnation: int, happening: Callable[..., object], *arguments: Any) -> None:
        """Unless it has crashed since, and once it is awake."""
        if incarnation == self.incarnation and self.raft is not None:
            self._when_awake(partial(happening, *arguments))

    # Events

    def serve(self, request: Callable[[Service], None]) -> None:
        """A client or a peer asks for something. Nobody answers while it is down."""
        if self.raft is not None:
            self._when_awake(lambda: request(self.service))

    def read(self) -> None:
        """Ask for the index that a linearizable read waits for, and no more."""
        if self.raft is not None:
            self.service.read_index(lambda _index: None)

    def post(self, event: Event) -> None:
        """As one turn of the event loop does: what has come until then is one step. On servers that gather."""
        if not self._gathers:
            self.step(event)
            return
        self._posted.append(event)
        if len(self._posted) == 1:
            turn_s = self.cluster.rng.uniform(0, TURN_MAX_S)
            self.cluster.timeline.after(turn_s, partial(self.if_same, self.incarnation, self.step))

    def step(self, *events: Event) -> list[Effect]:
        """What was posted so far and then these, at once. Nothing while it is down."""
        posted, self._posted = [*self._posted, *events], []
        if self.raft is None or not posted:
            return []
        for event in posted:
            self.cluster.note(self.node_id, event)
        led = self.is_leader
        commit_before = self.raft.commit_index
        effects = self.raft.step_all(posted, self._clock())
        for effect in effects:
            self._carry_out(effect, led)
        if self.is_leader and self.raft.commit_index > commit_before:
            self._check_commit(self.raft)
        return effects

    def receive(self, sender: NodeId, data: bytes) -> None:
        if self.raft is not None:
            self._when_awake(lambda: self._handle_message(sender, data))

    def _handle_message(self, sender: NodeId, data: bytes) -> None:
        try:
            message = self._wire.decode(sender, data)
        except VersionUnknown:
            self.versions_unknown += 1
            self._send(sender, self._wire.notice())
            return
        if message is not None:
            self.post(MessageReceived(sender, message))

    def _send(self, to: NodeId, data: bytes) -> None:
        target = self.cluster.servers.get(to)
        if target is not None:
            self.cluster.network.carry(self.node_id, to, partial(target.receive, self.node_id, data))

    def _clock(self) -> float:
        return 1_000.0 + self.cluster.timeline.now * self._clock_rate

    def _tick(self, incarnation: int) -> None:
        if incarnation == self.incarnation and self.raft is not None:
            self.cluster.timeline.after(TICK_S, partial(self._tick, incarnation))
            if self.is_awake:
                self.step(Tick())

    def _when_awake(self, happening: Callable[[], object]) -> None:
        wait_s = self.asleep_until - self.cluster.timeline.now
        if wait_s <= 0:
            happening()
            return
        self.cluster.timeline.after(wait_s, partial(self.if_same, self.incarnation, happening))

    # Effects

    def _carry_out(self, effect: Effect, led: bool) -> None:
        match effect:
            case Send(to, message):
                self.cluster.invariants.said(self.node_id, to, message, self.disk.durable)
                self._send(to, self._wire.encode(to, message))
            case Persist():
                self._persist(effect, led and self.is_leader)
            case RoleChanged():
                self._role_changed(effect)
            case ProposalAccepted():
                self.service.accepted(effect)
            case ProposalRefused():
                self.service.refused(effect)
            case ReadReady():
                self.service.read_ready(effect)
            case ReadRefused():
                self.service.read_refused(effect)
            case ApplySnapshot(snapshot):
                self.machine.install(snapshot)
                self.cluster.invariants.state_reached(self.node_id, self.machine)
                self.snapshots_installed += 1
                self.service.installed(snapshot.last_index)
            case ApplyEntries():
                self._apply(effect)

    def _persist(self, persist: Persist, leads: bool) -> None:
        timeline, invariants = self.cluster.timeline, self.cluster.invariants
        before = self._image
        if persist.truncate_from is not None:
            self._image = before.copy()
        self._image.carry_out(persist)
        invariants.written(self.node_id, leads, persist, before, self._image)
        if self.is_leader:
            for entry in persist.entries:
                if entry.kind is EntryKind.MEMBERSHIP:
                    raft = self.raft
                    assert raft is not None
                    invariants.membership_proposed(self.node_id, raft.term, raft.commit_index, self._image, entry.index)
        done_at = self.disk.write(persist, timeline.now, self.cluster.rng)
        timeline.after(done_at - timeline.now, partial(self._synced, self.incarnation, persist.sequence))
        if self.crash_while_writing:
            crash_at = self.cluster.rng.uniform(timeline.now, done_at)
            timeline.after(crash_at - timeline.now, partial(self._crash, self.incarnation))

    def _role_changed(self, changed: RoleChanged) -> None:
        self.cluster.note(self.node_id, changed)
        if changed.role is Role.LEADER and changed.term != self._led_term:
            self._led_term = changed.term
            self.cluster.elections += 1
            self.cluster.invariants.leader_elected(self.node_id, changed.term, self._image)

    def _apply(self, effect: ApplyEntries) -> None:
        for entry in effect.entries:
            result = self.machine.apply(entry)
            self.cluster.invariants.entry_applied(self.node_id, entry, result, self.machine, self.disk.durable)
            self.service.entry_applied(entry, result)
        self.service.applied()
        snapshot = self._image.snapshot
        if self.machine.index - (snapshot.last_index if snapshot else 0) >= COMPACT_EVERY:
            self.step(Compact(self.machine.index, self.machine.snapshot()))

    def _synced(self, incarnation: int, sequence: int) -> None:
        if incarnation != self.incarnation or self.raft is None:
            return
        if self.cluster.timeline.now < self.disk.stalled_until:
            wait_s = self.disk.stalled_until - self.cluster.timeline.now
            self.cluster.timeline.after(wait_s, partial(self._synced, incarnation, sequence))
            return
        try:
            done = self.disk.sync(sequence, self.cluster.rng)
        except DiskUnusable:
            self._end_for_good()
            return
        if done is not None:
            self._when_awake(lambda: self.post(PersistDone(done)))

    def _check_commit(self, raft: Raft) -> None:
        disks: dict[NodeId, LogImage] = {node: other.disk.durable for node, other in self.cluster.servers.items()}
        if self._image.term_at(raft.commit_index) is not None:
            self.cluster.invariants.committed(
                self.node_id, raft.term, raft.commit_index, self._image, raft.membership, disks
            )
