"""Notifications, calls and streams between agents over real TLS connections on loopback."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator

import pytest
from transport_builders import ALICE, ANY_PORT, BOB, CAROL, FOREIGN_KEY, KEY, a_cluster, a_free_address, until

from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address
from swarmlet.security.keyring import KeyRing
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.transport import frames, outbox
from swarmlet.transport.errors import CannotListen, FrameTooLarge, PeerTimeout, PeerUnavailable, RemoteError
from swarmlet.transport.peers import PeerNetwork


class NotLeader(SwarmletError):
    """Some error of some handler."""


async def echo(sender: NodeId, body: bytes) -> bytes:
    return sender.encode() + b":" + body


async def test_a_call_reaches_the_peer_with_the_callers_verified_id() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
        bob.on_call("echo", echo)

        assert await alice.call(BOB, "echo", b"hi", timeout_s=5) == ALICE.encode() + b":hi"
        assert await alice.call(bob.address, "echo", b"by address", timeout_s=5) == ALICE.encode() + b":by address"


async def test_notifications_arrive_in_order_and_before_a_later_call() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
        seen: list[bytes] = []
        bob.on_notify("log", lambda sender, body: seen.append(body))
        bob.on_call("echo", echo)

        sent = [b"%d" % number for number in range(1000)]
        assert all(alice.notify(BOB, "log", body) for body in sent)
        await alice.call(BOB, "echo", b"", timeout_s=5)

        assert seen == sent


async def test_a_large_body_passes_and_one_over_the_limit_is_refused_without_harm() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
        bob.on_call("echo", echo)
        large = bytes(range(256)) * (7 << 12)

        assert await alice.call(BOB, "echo", large, timeout_s=10) == ALICE.encode() + b":" + large
        with pytest.raises(FrameTooLarge):
            await alice.call(BOB, "echo", bytes(frames.FRAME_SIZE_BYTES_MAX), timeout_s=5)
        assert not alice.notify(BOB, "log", bytes(frames.FRAME_SIZE_BYTES_MAX))
        with pytest.raises(RemoteError) as refused:
            # The question fits, its answer does not: the handler puts the sender's id in front.
            await alice.call(BOB, "echo", bytes(frames.FRAME_SIZE_BYTES_MAX - 14), timeout_s=10)

        assert refused.value.code == "FrameTooLarge"
        assert await alice.call(BOB, "echo", b"still here", timeout_s=5)


async def test_a_handlers_error_arrives_as_code_and_message() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)

        async def refuse(sender: NodeId, body: bytes) -> bytes:
            raise NotLeader("ask carol")

        async def crash(sender: NodeId, body: bytes) -> bytes:
            raise KeyError("a secret detail")

        for network in (alice, bob):
            network.on_call("refuse", refuse)
            network.on_call("crash", crash)
        for target in (BOB, ALICE):
            with pytest.raises(RemoteError, match="ask carol") as refused:
                await alice.call(target, "refuse", b"", timeout_s=5)
            assert refused.value.code == "NotLeader"
            with pytest.raises(RemoteError) as crashed:
                await alice.call(target, "crash", b"", timeout_s=5)
            assert crashed.value.code == "InternalError"
            assert "secret" not in str(crashed.value)
            with pytest.raises(RemoteError) as unknown:
                await alice.call(target, "absent", b"", timeout_s=5)
            assert unknown.value.code == "UnknownMethod"


async def test_a_call_to_oneself_and_a_notification_need_no_connection() -> None:
    async with a_cluster() as cluster:
        alice = await cluster.start(ALICE)
        seen: list[tuple[NodeId, bytes]] = []
        alice.on_call("echo", echo)
        alice.on_notify("log", lambda sender, body: seen.append((sender, body)))

        assert await alice.call(ALICE, "echo", b"me", timeout_s=5) == ALICE.encode() + b":me"
        assert alice.notify(ALICE, "log", b"me")
        await until(lambda: seen == [(ALICE, b"me")])
        assert alice.counters.links == 0


async def test_a_call_that_takes_too_long_times_out_and_is_cancelled_at_the_peer() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
        started, cancelled = asyncio.Event(), asyncio.Event()

        async def hang(sender: NodeId, body: bytes) -> bytes:
            started.set()
            try:
                return await asyncio.Future()
            finally:
                cancelled.set()

        bob.on_call("hang", hang)
        bob.on_call("echo", echo)
        await alice.call(BOB, "echo", b"", timeout_s=5)

        with pytest.raises(PeerTimeout):
            await alice.call(BOB, "hang", b"", timeout_s=0.3)

        async with asyncio.timeout(5):
            await started.wait()
            await cancelled.wait()
        assert await alice.call(BOB, "echo", b"", timeout_s=5)


async def test_an_unreachable_peer_is_reported_and_blocks_nobody() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
        bob.on_call("echo", echo)
        cluster.addresses[CAROL] = a_free_address()

        with pytest.raises(PeerUnavailable, match="refused"):
            await alice.call(CAROL, "echo", b"", timeout_s=5)
        assert not alice.notify(CAROL, "log", b"while waiting after a failed dial")
        with pytest.raises(PeerUnavailable, match="not known"):
            await alice.call(NodeId("d" * 16), "echo", b"", timeout_s=5)
        assert await alice.call(BOB, "echo", b"", timeout_s=5)


async def test_a_silent_address_times_out_while_others_are_served() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
        bob.on_call("echo", echo)
        silent = socket.create_server(ANY_PORT)
        cluster.addresses[CAROL] = Address(*silent.getsockname())

        waiting = asyncio.create_task(alice.call(CAROL, "echo", b"", timeout_s=0.5))
        assert await alice.call(BOB, "echo", b"", timeout_s=5)
        with pytest.raises(PeerTimeout):
            await waiting
        silent.close()


async def test_a_stream_yields_items_and_ends() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)

        async def count(sender: NodeId, body: bytes) -> AsyncIterator[bytes]:
            for number in range(int(body)):
                yield b"%d" % number

        async def fail_later(sender: NodeId, body: bytes) -> AsyncIterator[bytes]:
            yield b"one"
            raise NotLeader("no more")

        for network in (alice, bob):
            network.on_stream("count", count)
            network.on_stream("fail", fail_later)
        for target in (BOB, ALICE):
            assert [item async for item in alice.stream(target, "count", b"100")] == [b"%d" % n for n in range(100)]
            seen: list[bytes] = []
            with pytest.raises(RemoteError, match="no more"):
                async for item in alice.stream(target, "fail", b""):
                    seen.append(item)  # noqa: PERF401 - what came before the failure must be seen
            assert seen == [b"one"]


async def test_closing_a_stream_ends_the_remote_side() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
        ended = asyncio.Event()

        async def forever(sender: NodeId, body: bytes) -> AsyncIterator[bytes]:
            try:
                yield b"first"
                await asyncio.Future()
            finally:
                ended.set()

        bob.on_stream("forever", forever)
        stream = alice.stream(BOB, "forever", b"")

        assert await anext(stream) == b"first"
        await stream.aclose()

        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_stream_waits_for_a_reader_that_does_not_read() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
        produced = 0

        async def flood(sender: NodeId, body: bytes) -> AsyncIterator[bytes]:
            nonlocal produced
            while True:
                produced += 1
                yield bytes(64 << 10)

        bob.on_stream("flood", flood)
        bob.on_call("echo", echo)
        stream = alice.stream(BOB, "flood", b"")
        await anext(stream)
        await until(lambda: produced >= 16)
        for _ in range(20):
            await alice.call(BOB, "echo", b"", timeout_s=5)

        assert produced <= 20  # a window of 1 MiB holds 16 of them
        for _ in range(100):
            await anext(stream)
        assert produced > 100
        await stream.aclose()


async def test_a_peer_that_restarts_is_reached_again_and_open_calls_fail_at_once() -> None:
    async with a_cluster() as cluster:
        alice = await cluster.start(ALICE)
        listen = a_free_address()
        bob = cluster.make(BOB, listen=listen)
        cluster.addresses[BOB] = listen

        async def hang(sender: NodeId, body: bytes) -> bytes:
            return await asyncio.Future()

        bob.on_call("hang", hang)
        async with bob:
            open_call = asyncio.create_task(alice.call(BOB, "hang", b"", timeout_s=30))
            await until(lambda: bob.counters.inbound.accepted == 1)
            await until(lambda: alice.counters.connected == 1)
        with pytest.raises(PeerUnavailable):
            await open_call

        again = cluster.make(BOB, listen=listen)
        again.on_call("echo", echo)
        async with again:
            assert await alice.call(BOB, "echo", b"back", timeout_s=5) == ALICE.encode() + b":back"


async def test_a_peer_whose_process_ends_is_found_gone_without_being_asked_anything() -> None:
    async with a_cluster() as cluster:
        alice = await cluster.start(ALICE)
        gone: list[str] = []
        alice.on_refused(gone.append)
        bob = cluster.make(BOB, listen=a_free_address())
        bob.on_call("echo", echo)
        async with bob:
            cluster.addresses[BOB] = bob.address
            await alice.call(BOB, "echo", b"", timeout_s=5)
            assert gone == []

        await until(lambda: gone == [BOB])


async def test_a_call_whose_answer_is_a_future_is_answered_and_cancelled_like_any_other() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
        begun: list[asyncio.Future[bytes]] = []

        def begin(sender: NodeId, body: bytes) -> asyncio.Future[bytes]:
            if body == b"refuse":
                raise NotLeader("at once")
            begun.append(asyncio.get_running_loop().create_future())
            return begun[-1]

        bob.on_prompt_call("begin", begin)
        first, second = (asyncio.create_task(alice.call(BOB, "begin", b"", timeout_s=5)) for _ in range(2))
        await until(lambda: len(begun) == 2)
        begun[0].set_result(b"done")
        begun[1].set_exception(NotLeader("later"))

        assert await first == b"done"
        with pytest.raises(RemoteError, match="later") as raised:
            await second
        assert raised.value.code == "NotLeader"
        with pytest.raises(RemoteError, match="at once"):
            await alice.call(BOB, "begin", b"refuse", timeout_s=5)
        with pytest.raises(PeerTimeout):
            await alice.call(BOB, "begin", b"", timeout_s=0.05)
        await until(lambda: len(begun) == 3 and begun[2].cancelled())


async def test_a_changed_address_is_followed_at_once() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
        bob.on_call("echo", echo)
        await alice.call(BOB, "echo", b"", timeout_s=5)

        moved = await cluster.start(BOB)
        moved.on_call("echo", echo)

        assert moved.address != bob.address
        assert await alice.call(BOB, "echo", b"", timeout_s=5)
        await until(lambda: moved.counters.inbound.accepted == 1 and not bob._listener.connections)


async def test_an_address_where_another_node_answers_is_not_the_peer() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
        cluster.addresses[CAROL] = bob.address

        with pytest.raises(PeerUnavailable, match=f"belongs to node {BOB}"):
            await alice.call(CAROL, "echo", b"", timeout_s=5)


async def test_a_foreign_key_is_refused_in_both_directions() -> None:
    async with a_cluster() as cluster:
        alice, foreign = await cluster.start(ALICE), await cluster.start(BOB, key=FOREIGN_KEY)
        foreign.on_call("echo", echo)

        with pytest.raises(PeerUnavailable, match="not of this cluster"):
            await alice.call(BOB, "echo", b"", timeout_s=5)
        with pytest.raises(PeerUnavailable, match="not of this cluster"):
            await foreign.call(ALICE, "echo", b"", timeout_s=5)

        careless = PeerCredentials(KeyRing((FOREIGN_KEY,)), CAROL).client_context
        careless.verify_mode = ssl.CERT_NONE
        strangers = alice.counters.inbound.strangers
        with pytest.raises(OSError):
            reader, writer = await asyncio.open_connection(*alice.address, ssl=careless)
            try:
                await reader.readexactly(1)
            except asyncio.IncompleteReadError as error:
                raise ConnectionResetError from error
            finally:
                writer.transport.abort()
        await until(lambda: alice.counters.inbound.strangers > strangers)
        assert alice.counters.inbound.accepted == 0


async def test_strangers_without_tls_are_counted_and_dropped() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
        alice.on_call("echo", echo)

        reader, writer = await asyncio.open_connection(*alice.address)
        writer.write(b"GET / HTTP/1.1\r\n\r\n" * 10)
        async with asyncio.timeout(5):
            while await reader.read(1000):
                pass
        writer.transport.abort()

        await until(lambda: alice.counters.inbound.strangers == 1)
        assert await bob.call(ALICE, "echo", b"", timeout_s=5)


async def a_raw_connection(network: PeerNetwork) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = PeerCredentials(KeyRing((KEY,)), CAROL).client_context
    return await asyncio.open_connection(*network.address, ssl=context)


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"\xff\xff\xff\xff",
        frames.LENGTH.pack(3) + b"\xc1\xc1\xc1",
        frames.encode_frame("ftp", 1),
        frames.encode_frame("rpc", 1) + b"\x7f\xff\xff\xff",
        frames.encode_frame("rpc", 1) + frames.encode_frame(frames.Kind.CALL, "id", 1, 2),
        frames.encode_frame("rpc", 1) + frames.encode_frame(frames.Kind.REPLY, 1, b""),
        frames.encode_frame("rpc", 1) + frames.encode_frame(77),
    ],
)
async def test_what_is_not_the_protocol_closes_the_connection(bytes_sent: bytes) -> None:
    async with a_cluster() as cluster:
        alice = await cluster.start(ALICE)
        reader, writer = await a_raw_connection(alice)

        writer.write(bytes_sent)

        async with asyncio.timeout(5):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        writer.transport.abort()
        await until(lambda: not alice._listener.connections)
        assert alice.counters.violations == 1


async def test_a_notification_that_its_handler_can_not_read_is_counted_and_the_connection_goes_on() -> None:
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
        numbers: list[int] = []
        alice.on_notify("number", lambda _, body: numbers.append(int(body)))

        for body in (b"1", b"not a number", b"2"):
            assert bob.notify(ALICE, "number", body)
        await until(lambda: numbers == [1, 2])

        assert alice.counters.notifies_failed == 1


async def test_notifications_to_a_peer_that_reads_nothing_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BACKLOG_BYTES_MAX", 1 << 20)
    async with a_cluster() as cluster:
        alice, bob = await cluster.start(ALICE), await cluster.start(BOB)
        bob.on_call("echo", echo)
        await alice.call(BOB, "echo", b"", timeout_s=5)
        for connection in bob._listener.connections:
            assert connection._transport is not None
            connection._transport.pause_reading()

        body = bytes(64 << 10)
        taken = 0
        while alice.notify(BOB, "log", body):
            taken += 1
            await asyncio.sleep(0)
            assert taken < 1000, "nothing was ever dropped"

        assert alice.counters.notifies_dropped == 1


async def test_a_taken_port_is_reported_with_the_systems_words() -> None:
    async with a_cluster() as cluster:
        alice = await cluster.start(ALICE)

        with pytest.raises(CannotListen, match="already in use"):
            await cluster.start(BOB, listen=alice.address)
