"""An agent that gossips and does nothing else: the real driver, datagrams and streams, for `scripts/bench gossip`.

    python -m benchmarks.gossip_agent NAME ADDRESS KEY_FILE [JOIN]

Logs as JSON on standard error, as an agent does; ends at SIGTERM, leaving.
"""

import asyncio
import signal
import sys
import time
from pathlib import Path
from random import SystemRandom

import uvloop

from swarmlet.drivers.membership import Membership
from swarmlet.gossip import Gossip, GossipSettings, LocalIdentity
from swarmlet.logging import configure_logging
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address, NodeFacts
from swarmlet.security.keyring import KeyRing, load_ring
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.security.seal import DatagramSealer
from swarmlet.transport import DatagramEndpoint, PeerNetwork

CLUSTER = "bench"


class GossipAgent:
    """The parts of an agent that gossip needs, connected as in `swarmlet.agent`."""

    def __init__(self, name: str, address: Address, ring: KeyRing) -> None:
        node_id = NodeId(f"node-{name}")
        self.network = PeerNetwork(node_id, PeerCredentials(ring, node_id), address, self._address_of)
        sealer = DatagramSealer(ring, CLUSTER, asyncio.get_running_loop().time())
        self.datagrams = DatagramEndpoint(address, sealer, self._on_datagram, self._on_unreachable)
        identity = LocalIdentity(node_id, name, address, CLUSTER)
        generation = int(time.time() * 1000)
        gossip = Gossip(identity, GossipSettings(), SystemRandom(), time.monotonic(), generation)
        self.membership = Membership(gossip, self.datagrams, self.network)
        self._facts = NodeFacts(name=name, version="bench", runtime="none", cpus=1.0, memory_bytes=1)

    async def run(self, join: tuple[Address, ...], stop: asyncio.Event) -> None:
        async with self.network, self.datagrams, asyncio.TaskGroup() as group:
            self.membership.publish_facts(self._facts)
            self.membership.join(join)
            running = group.create_task(self.membership.run())
            await stop.wait()
            self.membership.leave()
            running.cancel()

    def _address_of(self, node: NodeId) -> Address | None:
        return self.membership.address(node)

    def _on_datagram(self, source: Address, payload: bytes) -> None:
        self.membership.on_datagram(source, payload)

    def _on_unreachable(self, address: Address) -> None:
        self.membership.on_unreachable(address)


def parsed(text: str) -> Address:
    host, port = text.rsplit(":", 1)
    return Address(host, int(port))


async def _main(name: str, address: str, key_file: str, *join: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    agent = GossipAgent(name, parsed(address), load_ring(Path(key_file)))
    await agent.run(tuple(map(parsed, join)), stop)


if __name__ == "__main__":
    configure_logging("info", "json")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(*sys.argv[1:]))
