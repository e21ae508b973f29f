"""Nodes on loopback that gossip, talk over peer streams and have a ring of keys: real parts, without consensus."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

from drivers_builders import a_free_address, until

from swarmlet.drivers.key_rotation import KeyRotation
from swarmlet.drivers.keyring import Keyring
from swarmlet.drivers.membership import Membership
from swarmlet.drivers.replica import Replica
from swarmlet.gossip import Gossip, GossipSettings, LocalIdentity
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address, Liveness
from swarmlet.security.keyring import KeyRing, save_ring
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.security.seal import DatagramSealer
from swarmlet.store import Store
from swarmlet.transport import DatagramEndpoint, PeerNetwork


class Node:
    """What an agent is made of, as far as membership and keys go."""

    def __init__(self, name: str, ring: KeyRing, directory: Path) -> None:
        self.name, self.id, self.address = name, NodeId(f"id-{name}"), a_free_address()
        self.key_file = directory / f"{name}.key"
        save_ring(self.key_file, ring)
        now = asyncio.get_running_loop().time()
        self.sealer = DatagramSealer(ring, "test", now)
        self.credentials = PeerCredentials(ring, self.id)
        self.network = PeerNetwork(self.id, self.credentials, self.address, self._address_of)
        self.datagrams = DatagramEndpoint(self.address, self.sealer, self._on_datagram, self._on_unreachable)
        gossip = Gossip(
            LocalIdentity(self.id, name, self.address, "test"), GossipSettings(), Random(), time.monotonic(), 1
        )
        self.membership = Membership(gossip, self.datagrams, self.network)
        self.keyring = Keyring(
            ring,
            self.key_file,
            self.network,
            self.membership,
            self._renew,
            lambda: self.datagrams.counters.dropped_foreign,
        )
        self.replica = Replica(Store())
        self.rotation = KeyRotation(self.keyring, self.network, self.membership, lambda: self.replica)

    @asynccontextmanager
    async def running(self, *join: Address) -> AsyncIterator["Node"]:
        async with self.network, self.datagrams:
            self.membership.join(join)
            tasks = [asyncio.create_task(self.membership.run()), asyncio.create_task(self.keyring.run())]
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def sees_alive(self) -> set[str]:
        return {each.name for each in self.membership.members().values() if each.liveness is Liveness.ALIVE}

    def _address_of(self, node: NodeId) -> Address | None:
        return self.membership.address(node)

    def _on_datagram(self, source: Address, payload: bytes) -> None:
        self.membership.on_datagram(source, payload)

    def _on_unreachable(self, address: Address) -> None:
        self.membership.on_unreachable(address)

    def _renew(self, ring: KeyRing) -> None:
        self.sealer.rotate(ring, asyncio.get_running_loop().time())
        self.credentials.renew(ring)


@asynccontextmanager
async def some_nodes(directory: Path, ring: KeyRing, *names: str) -> AsyncIterator[list[Node]]:
    """Nodes with one ring that know each other."""
    nodes = [Node(name, ring, directory) for name in names]
    async with AsyncExitStack() as stack:
        for node in nodes:
            await stack.enter_async_context(node.running(nodes[0].address))
        await until(lambda: all(node.sees_alive() == set(names) for node in nodes))
        yield nodes
