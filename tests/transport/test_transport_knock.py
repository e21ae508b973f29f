"""Whether a host takes connections: for an agent that works, one that stands still, and one that is gone."""

import socket

import pytest
from transport_builders import ALICE, a_cluster, a_free_address, until

from swarmlet.model.observed import Address
from swarmlet.transport import takes_connections


async def test_a_process_that_stands_still_takes_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:  # and never accepts
        assert await takes_connections(Address(*listening.getsockname()), 0.5)


async def test_where_nobody_listens_the_host_says_so() -> None:
    with pytest.raises(ConnectionRefusedError):
        await takes_connections(a_free_address(), 0.5)


async def test_a_full_queue_looks_like_a_lost_host() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first:
        first.connect(full.getsockname())

        assert not await takes_connections(Address(*full.getsockname()), 0.3)


async def test_a_peer_counts_knocks_apart_from_strangers() -> None:
    async with a_cluster() as cluster:
        alice = await cluster.start(ALICE)

        assert await takes_connections(alice.address, 0.5)

        await until(lambda: alice.counters.inbound.knocks >= 1)
        assert alice.counters.inbound.strangers == 0
