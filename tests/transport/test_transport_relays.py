"""Relays between agents: raw bytes over TLS, with half-close, refusal and reuse."""

import asyncio
from typing import Any, cast

import pytest
from transport_builders import ALICE, BOB, Cluster, a_cluster, a_free_address, until

from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.transport.errors import PeerTimeout, PeerUnavailable, RemoteError
from swarmlet.transport.peers import PeerNetwork


class NoSuchTask(SwarmletError):
    """The handler's refusal."""


class Recorder(asyncio.Protocol):
    """Keeps what happens to it; closes once both directions have ended, as a relay's user must."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = False
        self.wrote_end = False
        self.lost: list[Exception | None] = []
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> bool:
        self.ended = True
        self._close_when_done()
        return True

    def end(self) -> None:
        assert self.transport is not None
        self.wrote_end = True
        self.transport.write_eof()
        self._close_when_done()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)

    def _close_when_done(self) -> None:
        if self.ended and self.wrote_end and self.transport is not None:
            self.transport.close()


class Answerer(Recorder):
    """Echoes everything once the asker's direction has ended."""

    def eof_received(self) -> bool:
        self.ended = True
        assert self.transport is not None
        self.transport.write(bytes(self.received))
        self.end()
        return True


async def two_agents(cluster: Cluster, answerers: list[Recorder]) -> tuple[PeerNetwork, PeerNetwork]:
    async def accept(sender: NodeId, header: bytes) -> asyncio.Protocol:
        if header == b"refuse":
            raise NoSuchTask("not here")
        if header == b"hang":
            await asyncio.Future[Any]()
        if header == b"crash":
            raise KeyError(header)
        answerers.append(Answerer())
        return answerers[-1]

    alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
    bob.on_relay(accept)
    return alice, bob


async def open_recorder(network: PeerNetwork, header: bytes = b"task", timeout_s: float = 5) -> Recorder:
    recorder = Recorder()
    await network.open_relay(BOB, header, lambda: recorder, timeout_s)
    return recorder


async def test_bytes_and_half_close_pass_in_both_directions() -> None:
    async with a_cluster() as cluster:
        alice, _ = await two_agents(cluster, [])
        recorder = await open_recorder(alice)
        assert recorder.transport is not None
        body = bytes(range(256)) * (20 << 10)

        recorder.transport.write(body)
        recorder.transport.write(b"tail")
        recorder.end()
        await until(lambda: recorder.lost != [])

        assert bytes(recorder.received) == body + b"tail"
        assert recorder.ended
        assert recorder.lost == [None]


async def test_a_cleanly_ended_relays_connection_serves_the_next() -> None:
    async with a_cluster() as cluster:
        answerers: list[Recorder] = []
        alice, bob = await two_agents(cluster, answerers)

        for number in range(20):
            recorder = await open_recorder(alice)
            assert recorder.transport is not None
            recorder.transport.write(b"%d" % number)
            recorder.end()
            await until(lambda recorder=recorder: recorder.lost == [None])
            assert recorder.received == b"%d" % number

        assert (alice.counters.relays.opened, alice.counters.relays.reused) == (20, 19)
        assert bob.counters.inbound.accepted == 1
        await until(lambda: all(answerer.lost == [None] for answerer in answerers))


async def test_a_refusal_carries_the_handlers_words_and_costs_no_connection() -> None:
    async with a_cluster() as cluster:
        alice, bob = await two_agents(cluster, [])

        for header, code in ((b"refuse", "NoSuchTask"), (b"crash", "InternalError")):
            with pytest.raises(RemoteError) as refused:
                await open_recorder(alice, header)
            assert refused.value.code == code
        await open_recorder(alice)

        assert bob.counters.inbound.accepted == 1


async def test_an_undecided_or_unreachable_peer_times_out() -> None:
    async with a_cluster() as cluster:
        alice, _ = await two_agents(cluster, [])

        with pytest.raises(PeerTimeout):
            await open_recorder(alice, b"hang", timeout_s=0.2)
        cluster.addresses[BOB] = a_free_address()
        with pytest.raises(PeerUnavailable, match="refused"):
            await open_recorder(alice)
        del cluster.addresses[BOB]
        with pytest.raises(PeerUnavailable, match="not known"):
            await open_recorder(alice)


async def test_an_abort_is_seen_as_a_reset_by_the_other_side() -> None:
    async with a_cluster() as cluster:
        answerers: list[Recorder] = []
        alice, _ = await two_agents(cluster, answerers)

        recorder = await open_recorder(alice)
        assert recorder.transport is not None
        recorder.transport.abort()

        await until(lambda: bool(answerers and answerers[0].lost))
        assert isinstance(answerers[0].lost[0], ConnectionError)
        assert not answerers[0].ended


async def test_a_dead_idle_connection_is_replaced_unseen() -> None:
    async with a_cluster() as cluster:
        alice = await cluster.start(ALICE)
        listen = a_free_address()
        cluster.addresses[BOB] = listen

        async def accept(sender: NodeId, header: bytes) -> asyncio.Protocol:
            return Answerer()

        for _ in range(2):
            bob = cluster.make(BOB, listen=listen)
            bob.on_relay(accept)
            async with bob:
                recorder = await open_recorder(alice)
                recorder.end()
                await until(lambda recorder=recorder: recorder.lost == [None])

        assert alice.counters.relays.opened == 2
        assert alice.counters.relays.reused == 0


async def test_a_reader_that_does_not_read_stops_the_writer() -> None:
    async with a_cluster() as cluster:
        answerers: list[Recorder] = []
        alice, _ = await two_agents(cluster, answerers)
        paused = asyncio.Event()

        class Writer(Recorder):
            def pause_writing(self) -> None:
                paused.set()

        writer = Writer()
        transport = await alice.open_relay(BOB, b"task", lambda: writer, timeout_s=5)
        await until(lambda: bool(answerers))
        reader = answerers[0].transport
        assert reader is not None
        reader.pause_reading()

        written = 0
        while not paused.is_set():
            transport.write(bytes(64 << 10))
            written += 64 << 10
            assert written < 64 << 20
            await asyncio.sleep(0)
        assert len(answerers[0].received) < written

        reader.resume_reading()
        await until(lambda: len(answerers[0].received) == written)
