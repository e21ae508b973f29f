"""Sealed datagrams over UDP on loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from transport_builders import ANY_PORT, FOREIGN_KEY, KEY, a_free_address, until

from swarmlet.model.observed import Address
from swarmlet.security.keyring import KeyRing
from swarmlet.security.keys import ClusterKey
from swarmlet.security.seal import DatagramSealer
from swarmlet.transport.datagrams import DATAGRAM_SIZE_BYTES_MAX, PAYLOAD_SIZE_BYTES_MAX, DatagramEndpoint
from swarmlet.transport.errors import CannotListen


class Witness:
    """An endpoint and what it reported."""

    def __init__(self, key: ClusterKey = KEY, listen: Address = ANY_PORT) -> None:
        self.received: list[tuple[Address, bytes]] = []
        self.unreachable: list[Address] = []
        self.sealer = DatagramSealer(KeyRing((key,)), "blue", asyncio.get_running_loop().time())
        self.endpoint = DatagramEndpoint(
            listen,
            self.sealer,
            lambda sender, payload: self.received.append((sender, payload)),
            self.unreachable.append,
        )


@asynccontextmanager
async def a_witness(key: ClusterKey = KEY, listen: Address = ANY_PORT) -> AsyncIterator[Witness]:
    witness = Witness(key, listen)
    async with witness.endpoint:
        yield witness


async def acquaint(alice: Witness, bob: Witness) -> None:
    alice.endpoint.send(bob.endpoint.address, b"hello")
    await until(lambda: bool(bob.received))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_payload_arrives_with_its_senders_address(host: str) -> None:
    async with a_witness(listen=Address(host, 0)) as alice, a_witness(listen=Address(host, 0)) as bob:
        largest = bytes(PAYLOAD_SIZE_BYTES_MAX)

        assert alice.endpoint.send(bob.endpoint.address, b"hi")
        await until(lambda: len(bob.received) == 1)
        assert alice.endpoint.send(bob.endpoint.address, largest)
        await until(lambda: len(bob.received) == 2)

        assert bob.received == [(alice.endpoint.address, b"hi"), (alice.endpoint.address, largest)]
        counters = bob.endpoint.counters
        assert (counters.received, counters.dropped_unproven, counters.challenges) == (2, 1, 1)
        assert alice.endpoint.counters.challenges == 1


async def test_what_no_member_made_is_counted_and_dropped() -> None:
    async with a_witness() as alice, a_witness() as bob, a_witness(key=FOREIGN_KEY) as stranger:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
            raw.sendto(b"", bob.endpoint.address)
            raw.sendto(b"\x01" * 100, bob.endpoint.address)
            raw.sendto(b"\x02" * 100, bob.endpoint.address)
            raw.sendto(bytes(DATAGRAM_SIZE_BYTES_MAX + 1), bob.endpoint.address)
            raw.sendto(bytes(60_000), bob.endpoint.address)
        stranger.endpoint.send(bob.endpoint.address, b"let me in")
        alice.endpoint.send(bob.endpoint.address, b"hi")
        await until(lambda: bool(bob.received))

        assert [payload for _, payload in bob.received] == [b"hi"]
        counters = bob.endpoint.counters
        assert (counters.dropped_malformed, counters.dropped_foreign_version, counters.dropped_foreign) == (1, 1, 2)
        assert counters.dropped_oversized == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_closed_port_is_reported_each_time_and_the_socket_goes_on(host: str) -> None:
    async with a_witness(listen=Address(host, 0)) as alice, a_witness(listen=Address(host, 0)) as bob:
        gone = Address(host, a_free_address().port)

        for attempt in range(1, 4):
            assert alice.endpoint.send(gone, b"anybody?")
            await until(lambda: len(alice.unreachable) == attempt)  # noqa: B023 - awaited within the turn
        alice.endpoint.send(gone, b"and again")
        assert alice.endpoint.send(bob.endpoint.address, b"hi")
        await until(lambda: bool(bob.received))
        bob.endpoint.send(alice.endpoint.address, b"hi back")
        await until(lambda: bool(alice.received))

        assert set(alice.unreachable) == {gone}
        assert alice.endpoint.counters.unreachable == 4


async def test_a_burst_larger_than_one_batch_is_read_to_its_end() -> None:
    async with a_witness() as alice, a_witness() as bob:
        await acquaint(alice, bob)
        for number in range(299):
            assert alice.endpoint.send(bob.endpoint.address, b"%d" % number)
        await until(lambda: len(bob.received) == 300)


async def test_what_somebody_recorded_and_sends_again_is_counted_and_dropped() -> None:
    async with a_witness() as alice, a_witness() as bob:
        await acquaint(alice, bob)
        now = asyncio.get_running_loop().time()
        recorded = alice.sealer.seal(b"once", bob.endpoint.address, now)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
            for _ in range(3):
                raw.sendto(recorded, bob.endpoint.address)
        await until(lambda: bob.endpoint.counters.dropped_replayed == 2)

        assert [payload for _, payload in bob.received] == [b"hello", b"once"]


async def test_an_oversized_payload_is_not_sent() -> None:
    async with a_witness() as alice:
        assert not alice.endpoint.send(alice.endpoint.address, bytes(PAYLOAD_SIZE_BYTES_MAX + 1))
        assert alice.endpoint.counters.dropped_send_oversized == 1


async def test_a_taken_port_and_a_closed_endpoint_are_told() -> None:
    async with a_witness() as alice:
        with pytest.raises(CannotListen, match="already in use"):
            await Witness(listen=alice.endpoint.address).endpoint.start()

    assert not alice.endpoint.send(ANY_PORT, b"after close")
