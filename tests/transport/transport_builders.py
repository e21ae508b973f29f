"""Agents' networks on loopback, and waiting for what must come true."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address
from swarmlet.security.keyring import KeyRing
from swarmlet.security.keys import ClusterKey
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.transport.peers import PeerNetwork

KEY, FOREIGN_KEY = ClusterKey(b"k" * 32), ClusterKey(b"f" * 32)
ALICE, BOB, CAROL = NodeId("a" * 16), NodeId("b" * 16), NodeId("c" * 16)
ANY_PORT = Address("127.0.0.1", 0)
DEADLINE_S = 10.0


def a_free_address() -> Address:
    """Nobody listens there now, and the system gives it to nobody: it is below the range of ephemeral ports."""
    for _ in range(100):
        address = Address("127.0.0.1", random.randrange(12_000, 30_000))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(address)
            return address
    raise AssertionError("no free port found")


async def until(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


class Cluster:
    """Some agents that know each other's addresses."""

    def __init__(self) -> None:
        self.addresses: dict[NodeId, Address] = {}
        self._stack = AsyncExitStack()

    def make(self, node_id: NodeId, key: ClusterKey = KEY, listen: Address = ANY_PORT) -> PeerNetwork:
        return PeerNetwork(node_id, PeerCredentials(KeyRing((key,)), node_id), listen, self.addresses.get)

    async def start(self, node_id: NodeId, key: ClusterKey = KEY, listen: Address = ANY_PORT) -> PeerNetwork:
        network = self.make(node_id, key, listen)
        await self._stack.enter_async_context(network)
        self.addresses[node_id] = network.address
        return network

    async def close(self) -> None:
        await self._stack.aclose()


@asynccontextmanager
async def a_cluster() -> AsyncIterator[Cluster]:
    cluster = Cluster()
    try:
        yield cluster
    finally:
        await cluster.close()
