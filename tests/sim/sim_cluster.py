"""A cluster of simulated servers, what can be done to it, and how a run is told when it has failed."""

import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from sim_clock import Timeline
from sim_disk import Disk
from sim_invariants import Invariants
from sim_network import Network
from sim_server import SimServer
from sim_violation import Violation

from swarmlet.model.ids import NodeId
from swarmlet.model.transaction import Put, Transaction
from swarmlet.raft import (
    AddLearner,
    Event,
    MembershipChange,
    MessageReceived,
    Promote,
    Propose,
    ProposeMembership,
    Raft,
    RaftSettings,
    RestoredState,
    RoleChanged,
    Tick,
    bootstrap_state,
)
from swarmlet.store import encode_transaction

TRACE_MAX = 200
SMALL = RaftSettings(
    append_bytes_max=200,
    append_entries_max=8,
    inflight_appends_max=4,
    snapshot_chunk_bytes=128,
    snapshot_retry_s=0.3,
    compaction_tail_entries=8,
    apply_entries_max=16,
    promotion_lag_max=10,
)
"""Limits so small that every run meets them."""
DISKS = Path("/dev/shm")
"""In memory where there is such a thing: a simulated disk syncs when the simulation says so."""


class SimCluster:
    def __init__(
        self,
        seed: int,
        size: int,
        settings: RaftSettings = SMALL,
        first: RestoredState | None = None,
        gathering: float = 0.0,
    ) -> None:
        """`first` is what the first server begins with, in place of a new cluster's first state.

        So large a part of the servers take the events of a short while as one step.
        """
        self.rng = Random(seed)
        self.timeline = Timeline()
        self.network = Network(self.timeline, self.rng)
        self.invariants = Invariants()
        if first is not None and first.snapshot is not None:
            self.invariants.begin(first.snapshot)
        self.elections = self.reads_ready = 0
        self.settings = settings
        self.gathering = gathering
        self._trace: deque[tuple[float, NodeId, Event | RoleChanged]] = deque(maxlen=TRACE_MAX)
        self._proposals = 0
        self._directory = tempfile.mkdtemp(prefix="swarmlet-sim-", dir=DISKS if DISKS.is_dir() else None)
        self._disks: list[Disk] = []
        self.close = weakref.finalize(self, _discard, self._disks, self._directory)
        """Closes and removes the disks; happens by itself, too, when the cluster goes."""
        names = [NodeId(f"n{number}") for number in range(1, size + 1)]
        self.servers: dict[NodeId, SimServer] = {}
        for name in names:
            self.add_server(name, (first or bootstrap_state(name)) if name == names[0] else None)

    def add_server(self, node: NodeId, restored: RestoredState | None = None) -> SimServer:
        disk = Disk(Path(self._directory) / f"{node}.db", restored)
        self._disks.append(disk)
        self.servers[node] = server = SimServer(node, self, self.settings, disk)
        self.network.join(node)
        server.start()
        return server

    # Looking

    def leaders(self) -> list[SimServer]:
        return [server for server in self.servers.values() if server.is_leader]

    def leader(self) -> SimServer | None:
        """The leader of the latest term."""
        return max(self.leaders(), key=lambda server: running(server).term, default=None)

    def trace(self) -> Iterator[str]:
        for at, node, what in self._trace:
            shown = f"{what.sender} -> {what.message}" if isinstance(what, MessageReceived) else str(what)
            yield f"{at:9.4f} {node}  {shown[:220]}"

    def note(self, node: NodeId, what: Event | RoleChanged) -> None:
        if not isinstance(what, Tick):
            self._trace.append((self.timeline.now, node, what))

    # Doing

    def run(self, duration_s: float) -> None:
        self.timeline.run_until(self.timeline.now + duration_s)

    def run_until(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        deadline = self.timeline.now + within_s
        while not condition():
            if self.timeline.now >= deadline:
                raise Violation(f"progress: not within {within_s} s: {what}")
            self.run(0.05)

    def propose(self, server: SimServer) -> None:
        self._proposals += 1
        write = Transaction((), (Put("progress", b"%d" % self._proposals),))
        server.step(Propose(server.service.next_request(), encode_transaction(write)))

    def change(self, server: SimServer, change: MembershipChange) -> None:
        server.step(ProposeMembership(server.service.next_request(), change))

    def elect(self) -> SimServer:
        """Run until there is a leader whom all its members follow."""
        self.run_until(self._is_led, 15.0, "one leader, followed by all")
        leader = self.leader()
        assert leader is not None
        return leader

    def form(self, voters: int) -> SimServer:
        """Grow from the first server to so many voters; all others stay outside."""
        leader = self.elect()
        for node in list(self.servers)[1:voters]:
            self.change_until(AddLearner(node), lambda node=node: node in running(leader).membership.members)
            self.change_until(Promote(node), lambda node=node: node in running(leader).membership.voters)
        self.commit_everywhere()
        return leader

    def change_until(self, change: MembershipChange, done: Callable[[], bool]) -> None:
        """Ask for it until it is in the log: it may be refused while another one, or the term's start, is open."""

        def attempt() -> bool:
            if not done() and (leader := self.leader()) is not None:
                self.change(leader, change)
            return done()

        self.run_until(attempt, 15.0, f"{change} in the log")

    def commit_everywhere(self, within_s: float = 15.0) -> None:
        """Have a new command applied by every member that can."""
        leader = self.elect()
        self.propose(leader)
        wanted = running(leader).last_index

        def applied() -> bool:
            current = self.leader()
            if current is None:
                return False
            if running(current).last_index < wanted:
                self.propose(current)
            return all(server.machine.index >= wanted for server in self.sound_members(current))

        self.run_until(applied, within_s, f"entry {wanted} applied by every member")

    def sound_members(self, leader: SimServer) -> list[SimServer]:
        members = [self.servers[node] for node in running(leader).membership.members]
        return [server for server in members if not server.damaged]

    def calm(self) -> None:
        """Faults end: all links, disks and servers are well."""
        self.network.calm()
        for server in self.servers.values():
            server.disk.stalled_until = 0.0
            server.disk.latency_max_s = 0.01
            server.asleep_until = 0.0
            server.crash_while_writing = False
            if server.raft is None and not server.damaged:
                server.start()

    def check_end(self) -> None:
        """Once faults have ended: progress, and the same state for all."""
        self.calm()
        self.commit_everywhere()
        leader = self.elect()
        members = self.sound_members(leader)
        self.run_until(
            lambda: len({server.machine.index for server in members}) == 1, 15.0, "all members at the same index"
        )
        self.invariants.same_state((server.node_id, server.machine) for server in members)

    def _is_led(self) -> bool:
        leader = self.leader()
        if leader is None:
            return False
        followers = [server.raft for server in self.sound_members(leader)]
        return all(follower is not None and follower.leader_id == leader.node_id for follower in followers)


def running(server: SimServer) -> Raft:
    assert server.raft is not None, f"{server.node_id} is down"
    return server.raft


def _discard(disks: list[Disk], directory: str) -> None:
    for disk in disks:
        disk.close()
    shutil.rmtree(directory)
