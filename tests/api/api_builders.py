"""A real peer for the API's tests: one voter with its log on disk and its port open on loopback, and its whole app."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from aiohttp.test_utils import TestClient, TestServer

from swarmlet.api.peer import Peer
from swarmlet.api.server import make_app
from swarmlet.drivers.consensus import Consensus
from swarmlet.drivers.log_positions import LogPositionCalls
from swarmlet.drivers.membership import Membership
from swarmlet.gossip import Gossip, GossipSettings, LocalIdentity
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import Task
from swarmlet.model.observed import Address
from swarmlet.raft import RaftSettings
from swarmlet.runtime.interface import LogLine
from swarmlet.security.keys import ClusterKey
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.security.seal import DatagramSealer
from swarmlet.storage import RaftStorage
from swarmlet.transport import DatagramEndpoint, PeerNetwork

KEY = ClusterKey(bytes(range(32)))
NODE = NodeId("node-1")
ANY_PORT = Address("127.0.0.1", 0)


async def _no_logs(_task: Task, _tail: int | None, _follow: bool) -> AsyncGenerator[LogLine, None]:
    return
    yield


@asynccontextmanager
async def a_peer(directory: Path) -> AsyncIterator[Peer]:
    """A cluster of one; again with all it had, where the directory was a peer's before."""
    network = PeerNetwork(NODE, PeerCredentials.create(KEY, NODE), ANY_PORT, lambda _: None)
    datagrams = DatagramEndpoint(ANY_PORT, DatagramSealer(KEY, "test"), lambda *_: None, lambda _: None)
    now = asyncio.get_running_loop().time()
    gossip = Gossip(LocalIdentity(NODE, "node1", ANY_PORT, "test"), GossipSettings(), Random(1), now, generation=1)
    with RaftStorage.open(directory / "raft.db") as storage:
        consensus = Consensus(NODE, RaftSettings(), storage, network, Random(1), snapshot_every=1_000)
        async with network:
            if not consensus.formed:
                await consensus.bootstrap()
            running = asyncio.create_task(consensus.run())
            try:
                yield Peer(
                    cluster="test",
                    name="node1",
                    consensus=consensus,
                    membership=Membership(gossip, datagrams, network),
                    log_positions=LogPositionCalls(consensus, network),
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
