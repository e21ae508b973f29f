"""A virtual-time network of gossip cores: delays, loss, cuts, crashes, stalls; the same seed gives the same run.

Nothing here waits: `run_until` steps from one happening to the next. A crashed node's datagrams vanish, as those of
a lost host do; with `refuse=True` its host is still there and refuses the port.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from swarmlet.gossip import (
    AddressChanged,
    DatagramReceived,
    Effect,
    Event,
    Exchange,
    ExchangeAnswered,
    ExchangeFailed,
    ExchangeReply,
    ExchangeRequested,
    Gossip,
    GossipSettings,
    Join,
    LivenessChanged,
    LocalIdentity,
    Member,
    PortUnreachable,
    RecordChanged,
    SendDatagram,
    Tick,
)
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address, Liveness

DELAY_S = (0.0002, 0.002)
STREAM_TIMEOUT_S = 3.0


@dataclass
class SimNode:
    name: str
    address: Address
    core: Gossip
    starts: int = 1
    running: bool = True
    refuses: bool = False
    stalled_until: float = 0.0
    changes: list[tuple[float, Member]] = field(default_factory=list)
    records: dict[tuple[NodeId, str], bytes] = field(default_factory=dict)
    sent_bytes: int = 0
    ticks: int = 0

    @property
    def node_id(self) -> NodeId:
        return self.core.node_id


class GossipNetwork:
    def __init__(self, seed: int, settings: GossipSettings | None = None) -> None:
        self.now = 1000.0
        self.loss = 0.0
        self.nodes: dict[str, SimNode] = {}
        self._rng = Random(seed)
        self._settings = settings or GossipSettings()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._by_address: dict[Address, SimNode] = {}
        self._cut: Callable[[str, str], bool] = lambda sender, receiver: False

    # The cluster

    def start(self, *names: str, join: str | None = None) -> None:
        for name in names:
            self._boot(name, Address(f"10.0.{len(self.nodes) // 250}.{len(self.nodes) % 250 + 1}", 8421), 1, join)

    def form(self, size: int) -> list[str]:
        """A cluster of this size in which everyone knows everyone."""
        names = [f"n{number}" for number in range(1, size + 1)]
        self.start(names[0])
        self.start(*names[1:], join=names[0])
        assert self.run_until(self.agree, 60.0)
        self.run(2.0)
        return names

    def restart(self, name: str, address: Address | None = None, join: str | None = None) -> None:
        old = self.nodes[name]
        self._by_address.pop(old.address, None)
        self._boot(name, address or old.address, old.starts + 1, join)

    def crash(self, *names: str, refuse: bool = False) -> None:
        for name in names:
            self.nodes[name].running = False
            self.nodes[name].refuses = refuse

    def stall(self, name: str, for_s: float) -> None:
        """It stops; what arrives meanwhile waits in its socket."""
        self.nodes[name].stalled_until = self.now + for_s

    def cut(self, broken: Callable[[str, str], bool]) -> None:
        """`broken(sender, receiver)` says whether nothing gets from one name to the other."""
        self._cut = broken

    def heal(self) -> None:
        self._cut = lambda sender, receiver: False

    def move(self, name: str, address: Address) -> None:
        """The host gets another address while its agent runs."""
        node = self.nodes[name]
        del self._by_address[node.address]
        node.address = address
        self._by_address[address] = node
        self.feed(name, AddressChanged(address))

    def feed(self, name: str, event: Event) -> None:
        self._step(self.nodes[name], event)

    # What is seen

    def liveness(self, viewer: str, subject: str) -> Liveness | None:
        member = self.nodes[viewer].core.members().get(self.nodes[subject].node_id)
        return member.liveness if member else None

    def running(self) -> list[SimNode]:
        return [node for node in self.nodes.values() if node.running]

    def agree(self) -> bool:
        """Every running node holds exactly the running ones for alive."""
        expected = {node.node_id for node in self.running()}
        return all(
            {m.node_id for m in node.core.members().values() if m.liveness is Liveness.ALIVE} == expected
            for node in self.running()
        )

    def everyone_holds(self, subject: str, liveness: Liveness) -> bool:
        return all(self.liveness(n.name, subject) is liveness for n in self.running() if n.name != subject)

    def everyone_has(self, owner: str, key: str, value: bytes | None) -> bool:
        node_id = self.nodes[owner].node_id
        return all(n.core.records(node_id).get(key) == value for n in self.running())

    # Time

    def run(self, for_s: float) -> None:
        self.run_until(lambda: False, for_s)

    def run_until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """True as soon as the condition holds, looked at each 10 ms of virtual time."""
        ends_at = self.now + within_s
        look_at = self.now
        while True:
            if self.now >= look_at:
                if condition():
                    return True
                look_at = self.now + 0.01
            if not self._queue or self._queue[0][0] > ends_at:
                self.now = ends_at
                return condition()
            at, _, happen = heapq.heappop(self._queue)
            self.now = max(self.now, at)
            happen()

    # Inside

    def _boot(self, name: str, address: Address, starts: int, join: str | None) -> None:
        identity = LocalIdentity(NodeId(f"id-{name}"), name, address, "test")
        core = Gossip(identity, self._settings, Random(self._rng.random()), self.now, generation=starts)
        node = SimNode(name, address, core, starts)
        self.nodes[name] = self._by_address[address] = node
        self._step(node, Tick())
        if join is not None:
            self._step(node, Join((self.nodes[join].address,)))
        self._sleep(node)

    def _at(self, at: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (at, next(self._order), happen))

    def _sleep(self, node: SimNode) -> None:
        """As the shell does: wake at the core's deadline, as it is when the time has come."""
        if self.nodes.get(node.name) is not node or not node.running:
            return
        due = node.core.next_deadline(self.now)
        if due <= self.now and self.now >= node.stalled_until:
            node.ticks += 1
            self._step(node, Tick())
            due = node.core.next_deadline(self.now)
        # Events may bring a deadline forward, so none is slept through for long.
        self._at(max(node.stalled_until, min(due, self.now + 0.02), self.now + 0.001), lambda: self._sleep(node))

    def _step(self, node: SimNode, event: Event) -> list[Effect]:
        effects = node.core.step(event, self.now)
        for effect in effects:
            self._carry_out(node, effect)
        return effects

    def _carry_out(self, node: SimNode, effect: Effect) -> None:
        match effect:
            case SendDatagram(address, payload):
                assert len(payload) <= 1350
                node.sent_bytes += len(payload)
                self._deliver(node, address, payload)
            case Exchange(address, payload):
                self._at(self._arrival(), lambda: self._exchange(node, address, payload))
            case LivenessChanged(member):
                node.changes.append((self.now, member))
            case RecordChanged(node_id, key, value):
                if value is None:
                    node.records.pop((node_id, key), None)
                else:
                    assert node_id in node.core.members()
                    node.records[node_id, key] = value
            case _:
                pass

    def _arrival(self) -> float:
        return self.now + self._rng.uniform(*DELAY_S)

    def _deliver(self, sender: SimNode, address: Address, payload: bytes) -> None:
        receiver = self._by_address.get(address)
        if receiver is None or self._rng.random() < self.loss or self._cut(sender.name, receiver.name):
            return
        source = sender.address
        self._at(self._arrival(), lambda: self._arrive(sender, receiver, source, payload))

    def _arrive(self, sender: SimNode, receiver: SimNode, source: Address, payload: bytes) -> None:
        if not receiver.running:
            if receiver.refuses and sender.running:
                self._step(sender, PortUnreachable(receiver.address))
            return
        if self.now < receiver.stalled_until:
            self._at(receiver.stalled_until, lambda: self._arrive(sender, receiver, source, payload))
            return
        self._step(receiver, DatagramReceived(source, payload))

    def _exchange(self, node: SimNode, address: Address, payload: bytes) -> None:
        peer = self._by_address.get(address)
        if (
            peer is None
            or not peer.running
            or self.now < peer.stalled_until
            or self._cut(node.name, peer.name)
            or self._cut(peer.name, node.name)
        ):
            self._at(self.now + STREAM_TIMEOUT_S, lambda: self._answered(node, ExchangeFailed(address)))
            return
        effects = self._step(peer, ExchangeRequested(payload))
        (reply,) = [effect for effect in effects if isinstance(effect, ExchangeReply)]
        self._at(self._arrival(), lambda: self._answered(node, ExchangeAnswered(reply.payload)))

    def _answered(self, node: SimNode, event: Event) -> None:
        if node.running:
            self._step(node, event)
