"""From a client at one node's published port to a task on another node, through both agents."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from dataplane_builders import ALICE, BOB, a_backend, a_free_port, a_table, an_endpoint, ask, until

from swarmlet.dataplane.proxy import Proxy
from swarmlet.dataplane.relay import RelayRefused, RelayServer, decode_header, encode_header
from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.observed import Address
from swarmlet.security.keyring import KeyRing
from swarmlet.security.keys import ClusterKey
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.transport.peers import PeerNetwork

LARGE = bytes(range(256)) * (32 << 10)


class TwoNodes:
    """Alice's proxy relays to Bob; `serving` is what Bob's node says it runs."""

    def __init__(self) -> None:
        self.serving: dict[tuple[TaskId, int], Address] = {}
        self.addresses: dict[NodeId, Address] = {}
        self.alice, self.bob = self._network(ALICE), self._network(BOB)
        self.relay_server = RelayServer(lambda task, port: self.serving.get((task, port)))
        self.bob.on_relay(self.relay_server)
        self.proxy = Proxy(ALICE, "127.0.0.1", self.alice.open_relay)

    def _network(self, node_id: NodeId) -> PeerNetwork:
        credentials = PeerCredentials(KeyRing((ClusterKey(b"k" * 32),)), node_id)
        return PeerNetwork(node_id, credentials, Address("127.0.0.1", 0), self.addresses.get)


@asynccontextmanager
async def two_nodes() -> AsyncIterator[TwoNodes]:
    nodes = TwoNodes()
    async with nodes.alice, nodes.bob:
        nodes.addresses.update({ALICE: nodes.alice.address, BOB: nodes.bob.address})
        try:
            yield nodes
        finally:
            await nodes.proxy.close()
            await nodes.relay_server.close()


async def test_a_remote_task_answers_byte_by_byte_with_half_close() -> None:
    port = a_free_port()
    async with two_nodes() as nodes, a_backend("bob:") as backend:
        nodes.serving[TaskId("t1"), 80] = backend.address
        await nodes.proxy.update(a_table(port, an_endpoint("t1", node=BOB)))

        answers = await asyncio.gather(*(ask(port, LARGE) for _ in range(4)))

        assert all(answer == b"bob:" + LARGE for answer in answers)
        await until(lambda: nodes.proxy.counters.active == 0 and nodes.relay_server.active == 0)
        for _ in range(10):
            assert await ask(port, b"again") == b"bob:again"
            await until(lambda: nodes.proxy.counters.active == 0)
        assert nodes.alice.counters.relays.reused >= 10


async def test_a_refused_relay_is_tried_elsewhere_without_losing_the_first_bytes() -> None:
    port = a_free_port()
    async with two_nodes() as nodes, a_backend("bob:") as backend:
        nodes.serving[TaskId("t1"), 80] = backend.address
        nodes.serving[TaskId("dead"), 80] = Address("127.0.0.1", a_free_port())
        endpoints = [an_endpoint(name, node=BOB) for name in ("absent", "dead", "t1")]
        await nodes.proxy.update(a_table(port, *endpoints))

        for _ in range(5):
            assert await ask(port, b"hello") == b"bob:hello"

        assert nodes.proxy.counters.attempts_failed >= 2
        assert nodes.relay_server.refused >= 2


async def test_an_unreachable_node_is_passed_over() -> None:
    port = a_free_port()
    async with two_nodes() as nodes, a_backend("here:") as backend:
        nodes.addresses[BOB] = Address("127.0.0.1", a_free_port())
        endpoints = [an_endpoint("t1", node=BOB), an_endpoint("t2", backend.address)]
        await nodes.proxy.update(a_table(port, *endpoints))

        for _ in range(4):
            assert await ask(port, b"hello") == b"here:hello"


async def test_an_endpoint_that_dies_resets_the_client() -> None:
    port = a_free_port()
    async with two_nodes() as nodes, a_backend("bob:") as backend:
        nodes.serving[TaskId("t1"), 80] = backend.address
        await nodes.proxy.update(a_table(port, an_endpoint("t1", node=BOB)))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readexactly(4)

        await nodes.bob.close()

        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(5):
                await reader.read(-1)
        writer.transport.abort()
        await until(lambda: nodes.relay_server.active == 0)


@pytest.mark.parametrize("header", [b"", b"\xc1", b"\x01", b"\x92\x01\x02", encode_header(TaskId("t"), 1) + b"x"])
def test_a_header_that_no_proxy_sends_is_refused(header: bytes) -> None:
    with pytest.raises(RelayRefused):
        decode_header(header)


def test_a_header_names_a_task_and_a_port() -> None:
    assert decode_header(encode_header(TaskId("t1"), 8080)) == ("t1", 8080)
