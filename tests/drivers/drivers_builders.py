"""Real nodes without agents: network, gossip, log on disk, consensus, voters looked after, states compared."""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from swarmlet.controllers.voters import DEFAULT_SETTINGS, VoterSettings
from swarmlet.drivers.consensus import Consensus
from swarmlet.drivers.death_quorum import DeathQuorum
from swarmlet.drivers.leadership import Leadership
from swarmlet.drivers.membership import Membership
from swarmlet.drivers.state_guard import StateGuard
from swarmlet.gossip import Gossip, GossipSettings, LocalIdentity
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address
from swarmlet.model.transaction import Put, Transaction
from swarmlet.raft import RaftSettings
from swarmlet.security.keyring import KeyRing
from swarmlet.security.keys import ClusterKey
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.security.seal import DatagramSealer
from swarmlet.storage import RaftStorage
from swarmlet.storage.log_database import SIZE_BYTES_MAX
from swarmlet.transport import DatagramEndpoint, PeerNetwork

Disk = tuple[Path, int]
"""A directory and the size that a log in it may have."""
RING = KeyRing((ClusterKey(b"k" * 32),))
DEADLINE_S = 20.0
RAFT = RaftSettings(heartbeat_interval_s=0.05, election_timeout_min_s=0.3, election_timeout_max_s=0.6)


def a_free_address() -> Address:
    """Nobody listens there now, and the system gives it to nobody: it is below the range of ephemeral ports."""
    for _ in range(100):
        address = Address("127.0.0.1", random.randrange(12_000, 30_000))
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, suppress(OSError):
            tcp.bind(address)
            udp.bind(address)
            return address
    raise AssertionError("no free port found")


async def until(condition: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def puts(prefix: str, count: int, size_bytes: int = 10) -> Transaction:
    return Transaction((), tuple(Put(f"{prefix}{number:04d}", b"x" * size_bytes) for number in range(count)))


class Node:
    """One node; `run` is its life from start to stop. Its directory stays."""

    def __init__(
        self,
        name: str,
        directory: Path,
        addresses: dict[NodeId, Address],
        snapshot_every: int,
        voter_settings: VoterSettings = DEFAULT_SETTINGS,
        log_size_max: int = SIZE_BYTES_MAX,
    ) -> None:
        self.id, self.path = NodeId(name * 16), directory / f"{name}.db"
        address = addresses.setdefault(self.id, a_free_address())
        self.network = PeerNetwork(self.id, PeerCredentials(RING, self.id), address, addresses.get)
        now = asyncio.get_running_loop().time()
        sealer = DatagramSealer(RING, "test", now)
        self.datagrams = DatagramEndpoint(address, sealer, self._on_datagram, lambda _: None)
        identity = LocalIdentity(self.id, name, address, "test")
        settings = GossipSettings(probe_interval_s=0.1)
        gossip = Gossip(identity, settings, random.Random(name), now, generation=time.time_ns())
        self.membership = Membership(gossip, self.datagrams, self.network)
        self.storage = RaftStorage.open(self.path, log_size_max)
        self.consensus = Consensus(self.id, RAFT, self.storage, self.network, random.Random(name), snapshot_every)
        self.guard = StateGuard(self.consensus, self.membership, self.network)
        self.deaths = DeathQuorum(self.consensus, self.membership, self.network)
        self.leadership = Leadership(self.consensus, self.membership, self.deaths, voter_settings)
        self._stack = AsyncExitStack()

    async def start(self, join: tuple[Address, ...]) -> None:
        stack = self._stack
        stack.push_async_callback(asyncio.to_thread, self.storage.close)
        await stack.enter_async_context(self.network)
        await stack.enter_async_context(self.datagrams)
        if not join and not self.consensus.formed:
            await self.consensus.bootstrap()
        self.membership.join(join)
        parts: tuple[Coroutine[Any, Any, None], ...] = (
            self.consensus.run(), self.membership.run(), self.deaths.run(), self.leadership.run(), self.guard.run()
        )  # fmt: skip
        running = asyncio.gather(*parts)
        stack.push_async_callback(_ended, running)

    async def stop(self) -> None:
        await self._stack.aclose()

    def _on_datagram(self, source: Address, payload: bytes) -> None:
        self.membership.on_datagram(source, payload)

    def corrupt(self, key: str, value: bytes) -> None:
        """As if a fault had written something else than was agreed, and the hash had followed."""
        store = self.consensus.store
        store._keep(key, value, 1, 1)
        if key not in store._sorted_keys:
            store._sorted_keys.append(key)
            store._sorted_keys.sort()


async def _ended(running: "asyncio.Future[Any]") -> None:
    failed = running.exception() if running.done() else None
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    if failed is not None:
        raise failed


class Nodes:
    """A cluster. Nodes are called a, b, c …; the first one forms it, all become voters as far as there is need."""

    def __init__(
        self, directory: Path, snapshot_every: int, voter_settings: VoterSettings, disks: dict[str, Disk]
    ) -> None:
        self._directory, self._snapshot_every, self._voter_settings = directory, snapshot_every, voter_settings
        self._disks = disks
        self._addresses: dict[NodeId, Address] = {}
        self.by_name: dict[str, Node] = {}

    async def start(self, name: str) -> Node:
        join = tuple(self._addresses.values())
        directory, log_size_max = self._disks.get(name, (self._directory, SIZE_BYTES_MAX))
        node = Node(name, directory, self._addresses, self._snapshot_every, self._voter_settings, log_size_max)
        self.by_name[name] = node
        await node.start(join)
        return node

    async def stop(self, name: str) -> None:
        await self.by_name.pop(name).stop()

    def name_of(self, node: Node) -> str:
        return next(name for name, known in self.by_name.items() if known is node)

    def __iter__(self) -> Any:
        return iter(self.by_name.values())

    @property
    def leader(self) -> Node | None:
        leading = [node for node in self if node.consensus.is_leader]
        return leading[0] if len(leading) == 1 else None

    def follower(self) -> Node:
        return next(node for node in self if not node.consensus.is_leader)

    async def led(self) -> Node:
        await until(lambda: self.leader)
        leader = self.leader
        assert leader is not None
        return leader

    async def all_applied(self) -> None:
        """Everybody has what the one that is furthest has."""
        furthest = max(node.consensus.applied_index for node in self)
        await until(lambda: all(node.consensus.applied_index >= furthest for node in self))

    def settled(self, voters: int, members: int) -> bool:
        """All know of the same members, and no change is under way, which the former voters too must agree to."""
        known = {node.consensus.raft.membership for node in self}
        (first, *others) = known
        return not others and not first.is_joint and len(first.voters) >= voters and len(first.members) == members

    def hashes(self) -> set[str]:
        return {node.consensus.store.state_hash() for node in self}


@asynccontextmanager
async def nodes(
    directory: Path,
    count: int = 3,
    snapshot_every: int = 10_000,
    voter_settings: VoterSettings = DEFAULT_SETTINGS,
    disks: dict[str, Disk] | None = None,
) -> AsyncIterator[Nodes]:
    """`disks` are those of nodes whose disk is another than the others'."""
    made = Nodes(directory, snapshot_every, voter_settings, disks or {})
    try:
        for name in "abcde"[:count]:
            await made.start(name)
        voters = 1 if count < 3 else 3
        await until(lambda: made.leader and len(made.leader.consensus.raft.membership.voters) >= voters)
        await until(lambda: made.settled(voters, count))
        yield made
    finally:
        for name in list(made.by_name):
            await made.stop(name)
