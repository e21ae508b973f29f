"""A real peer for the API's tests: one voter with its log on disk and its port open on loopback, and its whole app."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

from aiohttp.test_utils import TestClient, TestServer

from swarmlet.api.peer import Peer
from swarmlet.api.server import make_app
from swarmlet.drivers.consensus import Consensus
from swarmlet.drivers.key_rotation import KeyRotation
from swarmlet.drivers.keyring import Keyring
from swarmlet.drivers.log_positions import LogPositionCalls
from swarmlet.drivers.membership import Membership
from swarmlet.gossip import Gossip, GossipSettings, LocalIdentity
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import Task
from swarmlet.model.observed import Address
from swarmlet.raft import RaftSettings
from swarmlet.runtime.interface import LogLine
from swarmlet.security.keyring import KeyRing
from swarmlet.security.keys import ClusterKey
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.security.seal import DatagramSealer
from swarmlet.storage import RaftStorage
from swarmlet.transport import DatagramEndpoint, PeerNetwork

RING = KeyRing((ClusterKey(bytes(range(32))),))
NODE = NodeId("node-1")
ANY_PORT = Address("127.0.0.1", 0)


async def _no_logs(_task: Task, _tail: int | None, _follow: bool) -> AsyncGenerator[LogLine, None]:
    return
    yield


def _renew(sealer: DatagramSealer, ring: KeyRing) -> None:
    sealer.rotate(ring, asyncio.get_running_loop().time())


@asynccontextmanager
async def a_peer(directory: Path) -> AsyncIterator[Peer]:
    """A cluster of one; again with all it had, where the directory was a peer's before."""
    network = PeerNetwork(NODE, PeerCredentials(RING, NODE), ANY_PORT, lambda _: None)
    now = asyncio.get_running_loop().time()
    sealer = DatagramSealer(RING, "test", now)
    datagrams = DatagramEndpoint(ANY_PORT, sealer, lambda *_: None, lambda _: None)
    gossip = Gossip(LocalIdentity(NODE, "node1", ANY_PORT, "test"), GossipSettings(), Random(1), now, generation=1)
    with RaftStorage.open(directory / "raft.db") as storage:
        consensus = Consensus(NODE, RaftSettings(), storage, network, Random(1), snapshot_every=1_000)
        async with network:
            if not consensus.formed:
                await consensus.bootstrap()
            running = asyncio.create_task(consensus.run())
            try:
                membership = Membership(gossip, datagrams, network)
                renew = partial(_renew, sealer)
                keyring = Keyring(RING, directory / "cluster.key", network, membership, renew, lambda: 0)
                yield Peer(
                    cluster="test",
                    name="node1",
                    consensus=consensus,
                    membership=membership,
                    log_positions=LogPositionCalls(consensus, network),
                    rotation=KeyRotation(keyring, network, membership, lambda: consensus.replica),
                    logs=_no_logs,
                    problems=list,
                )
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def an_api(peer: Peer) -> AsyncIterator[TestClient]:  # type: ignore[type-arg]
    async with TestClient(TestServer(make_app(peer, None, dict))) as client:
        yield client
