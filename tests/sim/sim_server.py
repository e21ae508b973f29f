"""One simulated server: the real core, a simulated disk, a state machine that remembers all it was given."""

import zlib
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import msgpack
from sim_disk import Disk, LogImage

from swarmlet.model.ids import NodeId
from swarmlet.raft import (
    ApplyEntries,
    ApplySnapshot,
    Compact,
    Effect,
    Event,
    MessageReceived,
    Persist,
    PersistDone,
    Raft,
    RaftSettings,
    ReadReady,
    ReadRefused,
    ReadRequest,
    RestoredState,
    Role,
    RoleChanged,
    Send,
    Tick,
    decode_message,
    encode_message,
)

if TYPE_CHECKING:
    from sim_cluster import SimCluster

TICK_S = 0.05
COMPACT_EVERY = 25
"""Entries between two snapshots: small, so that every run compacts and installs many."""


class Machine:
    """Its state is a checksum over everything applied, in order."""

    def __init__(self) -> None:
        self.index = 0
        self.state = 0

    def apply(self, index: int, data: bytes) -> None:
        self.index, self.state = index, zlib.crc32(b"%d " % index + data, self.state)

    def snapshot(self) -> bytes:
        packed: bytes = msgpack.packb([self.index, self.state, bytes(300)])
        return packed

    def install(self, data: bytes) -> None:
        self.index, self.state, _ = msgpack.unpackb(data)


class SimServer:
    def __init__(self, node_id: NodeId, cluster: "SimCluster", settings: RaftSettings, restored: RestoredState | None):
        self.node_id = node_id
        self.disk = Disk(restored)
        self.raft: Raft | None = None
        self.machine = Machine()
        self.asleep_until = 0.0
        self.snapshots_installed = 0
        self._cluster = cluster
        self._settings = settings
        self._incarnation = 0
        self._image = self.disk.durable
        self._requests = 0
        self._reading: dict[int, int] = {}
        self._clock_rate = cluster.rng.uniform(0.9, 1.1)
        self._led_term = 0

    @property
    def is_leader(self) -> bool:
        return self.raft is not None and self.raft.role is Role.LEADER

    # Life

    def start(self) -> None:
        assert self.raft is None
        self._incarnation += 1
        restored = self.disk.durable.restored()
        self._image = self.disk.durable.copy()
        self.machine = Machine()
        if restored.snapshot is not None:
            self.machine.install(restored.snapshot.data)
        self.raft = Raft(self.node_id, self._settings, restored, Random(self._cluster.rng.random()), self._clock())
        self._reading.clear()
        self.asleep_until = 0.0
        self._cluster.timeline.after(self._cluster.rng.uniform(0, TICK_S), partial(self._tick, self._incarnation))

    def crash(self) -> None:
        self.raft = None
        self.disk.crash(self._cluster.rng)

    def sleep(self, duration_s: float) -> None:
        """As with SIGSTOP: nothing is handled until it wakes, then everything that came meanwhile."""
        self.asleep_until = self._cluster.timeline.now + duration_s

    # Events

    def next_request(self) -> int:
        self._requests += 1
        return self._requests

    def read(self) -> None:
        request = self.next_request()
        self._reading[request] = self._cluster.invariants.applied_index
        self.step(ReadRequest(request))

    def step(self, event: Event) -> list[Effect]:
        """Nothing while it is down."""
        if self.raft is None:
            return []
        self._cluster.note(self.node_id, event)
        led = self.is_leader
        commit_before = self.raft.commit_index
        effects = self.raft.step(event, self._clock())
        for effect in effects:
            self._carry_out(effect, led)
        if self.is_leader and self.raft.commit_index > commit_before:
            self._check_commit(self.raft)
        return effects

    def _clock(self) -> float:
        return 1_000.0 + self._cluster.timeline.now * self._clock_rate

    def _tick(self, incarnation: int) -> None:
        if incarnation == self._incarnation and self.raft is not None:
            self._cluster.timeline.after(TICK_S, partial(self._tick, incarnation))
            if self._cluster.timeline.now >= self.asleep_until:
                self.step(Tick())

    def receive(self, sender: NodeId, data: bytes) -> None:
        self._when_awake(lambda: self.step(MessageReceived(sender, decode_message(data))))

    def _when_awake(self, happening: Callable[[], object]) -> None:
        wait_s = self.asleep_until - self._cluster.timeline.now
        if wait_s <= 0:
            happening()
            return
        incarnation = self._incarnation
        self._cluster.timeline.after(wait_s, lambda: happening() if incarnation == self._incarnation else None)

    # Effects

    def _carry_out(self, effect: Effect, led: bool) -> None:
        cluster, invariants = self._cluster, self._cluster.invariants
        match effect:
            case Send(to, message):
                invariants.said(self.node_id, to, message, self.disk.durable)
                target = cluster.servers[to]
                deliver = partial(target.receive, self.node_id, encode_message(message))
                cluster.network.carry(self.node_id, to, deliver)
            case Persist():
                self._image.carry_out(effect)
                invariants.written(self.node_id, led and self.is_leader, effect, self._image)
                done_at = self.disk.write(effect, cluster.timeline.now, cluster.rng)
                cluster.timeline.after(
                    done_at - cluster.timeline.now, partial(self._synced, self._incarnation, effect.sequence)
                )
            case RoleChanged(role, term, _):
                cluster.note(self.node_id, effect)
                if role is Role.LEADER and term != self._led_term:
                    self._led_term = term
                    invariants.leader_elected(self.node_id, term, self._image)
            case ReadReady(request, index):
                invariants.read_served(self.node_id, index, self._reading.pop(request))
                cluster.reads_served += 1
            case ReadRefused(request=request):
                self._reading.pop(request)
            case ApplySnapshot(snapshot):
                self.machine.install(snapshot.data)
                assert self.machine.index == snapshot.last_index
                invariants.state_reached(self.node_id, self.machine.index, self.machine.state)
                self.snapshots_installed += 1
            case ApplyEntries():
                self._apply(effect)

    def _apply(self, effect: ApplyEntries) -> None:
        for entry in effect.entries:
            assert entry.index == self.machine.index + 1, "in order, each once"
            self.machine.apply(entry.index, entry.data)
            self._cluster.invariants.entry_applied(self.node_id, entry, self.machine.state, self.disk.durable)
        snapshot = self._image.snapshot
        if self.machine.index - (snapshot.last_index if snapshot else 0) >= COMPACT_EVERY:
            self.step(Compact(self.machine.index, self.machine.snapshot()))

    def _synced(self, incarnation: int, sequence: int) -> None:
        if incarnation != self._incarnation or self.raft is None:
            return
        if self._cluster.timeline.now < self.disk.stalled_until:
            wait_s = self.disk.stalled_until - self._cluster.timeline.now
            self._cluster.timeline.after(wait_s, partial(self._synced, incarnation, sequence))
            return
        done = self.disk.sync(sequence, self._cluster.rng)
        if done is not None:
            self._when_awake(lambda: self.step(PersistDone(done)))

    def _check_commit(self, raft: Raft) -> None:
        disks: dict[NodeId, LogImage] = {node: other.disk.durable for node, other in self._cluster.servers.items()}
        term = self._image.term_at(raft.commit_index)
        if term is not None:
            self._cluster.invariants.committed(self.node_id, raft.term, raft.commit_index, term, raft.membership, disks)
