"""The proxy over loopback: what a client of a published port sees."""

import asyncio
import socket

import pytest
from dataplane_builders import (
    a_backend,
    a_free_port,
    a_proxy,
    a_table,
    an_endpoint,
    ask,
    until,
)

from swarmlet.dataplane import listener
from swarmlet.dataplane.proxy import PortProblem
from swarmlet.dataplane.routes import PublishedAddress, RouteTable
from swarmlet.model.observed import Address

LARGE = bytes(range(256)) * (64 << 10)


async def test_large_transfers_arrive_byte_by_byte_in_both_directions() -> None:
    port = a_free_port()
    async with a_backend("one:") as one, a_proxy(a_table(port, an_endpoint("a", one.address))) as proxy:
        answers = await asyncio.gather(*(ask(port, LARGE) for _ in range(4)))

        assert all(answer == b"one:" + LARGE for answer in answers)
        await until(lambda: proxy.counters.active == 0)
        assert (proxy.counters.accepted, proxy.counters.connected, proxy.counters.failed) == (4, 4, 0)


async def test_one_direction_may_end_before_the_other() -> None:
    port = a_free_port()
    async with a_backend("one:") as one, a_proxy(a_table(port, an_endpoint("a", one.address))):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.readexactly(4) == b"one:"

        writer.write(b"question")
        writer.write_eof()

        assert await reader.read(-1) == b"question"
        writer.close()
        await writer.wait_closed()


async def test_connections_are_spread_evenly() -> None:
    port = a_free_port()
    async with a_backend("1") as one, a_backend("2") as two, a_backend("3") as three:
        backends = [one, two, three]
        endpoints = [an_endpoint(str(number), backend.address) for number, backend in enumerate(backends)]
        async with a_proxy(a_table(port, *endpoints)):
            for _ in range(30):
                await ask(port)

            assert [backend.accepted for backend in backends] == [10, 10, 10]


async def test_a_refused_endpoint_is_passed_over_without_losing_the_first_bytes() -> None:
    port = a_free_port()
    dead = Address("127.0.0.1", a_free_port())
    async with a_backend("one:") as one:
        table = a_table(port, an_endpoint("a", dead), an_endpoint("b", dead._replace(host="127.0.0.2")))
        table = a_table(port, *table.routes[PublishedAddress("", port)].endpoints, an_endpoint("c", one.address))
        async with a_proxy(table) as proxy:
            for _ in range(10):
                assert await ask(port, b"hello") == b"one:hello"

            assert 1 <= proxy.counters.attempts_failed <= 4
            assert proxy.counters.connected == 10


async def test_a_client_is_reset_when_nothing_answers_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "CONNECT_TIMEOUT_S", 0.3)
    port = a_free_port()
    for endpoints in ([], [an_endpoint("a", Address("127.0.0.1", a_free_port()))]):
        async with a_proxy(a_table(port, *endpoints)) as proxy:
            with pytest.raises(ConnectionResetError):
                await ask(port, b"anybody?")
            assert proxy.counters.failed == 1


async def test_a_client_waits_for_the_first_endpoint_to_appear() -> None:
    port = a_free_port()
    async with a_backend("one:") as one, a_proxy(a_table(port)) as proxy:
        asking = asyncio.create_task(ask(port, b"early"))
        await until(lambda: proxy.counters.accepted == 1)

        await proxy.update(a_table(port, an_endpoint("a", one.address)))

        assert await asking == b"one:early"


async def test_what_leaves_the_table_keeps_its_connections_and_gets_no_new_ones() -> None:
    port = a_free_port()
    async with a_backend("1") as one, a_backend("2") as two, a_proxy(a_table(port, an_endpoint("1", one.address))) as p:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.readexactly(1) == b"1"

        await p.update(a_table(port, an_endpoint("2", two.address)))
        assert [await ask(port) for _ in range(3)] == [b"2"] * 3
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"

        await p.update(RouteTable())
        with pytest.raises(ConnectionRefusedError):
            await ask(port)
        writer.write(b"and now")
        writer.write_eof()
        assert await reader.read(-1) == b"and now"
        writer.close()
        await writer.wait_closed()


async def test_a_reader_that_does_not_read_stops_the_sender_and_grows_nothing() -> None:
    port = a_free_port()
    async with a_backend("") as one, a_proxy(a_table(port, an_endpoint("a", one.address))) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.set_write_buffer_limits(high=1)
        reader._transport.pause_reading()  # type: ignore[attr-defined]

        sent = 0
        with pytest.raises(TimeoutError):
            while True:
                writer.write(bytes(1 << 20))
                sent += 1 << 20
                assert sent < 200 << 20, "somebody keeps it all in memory"
                async with asyncio.timeout(0.5):
                    await writer.drain()

        pipes = [pipe for each in proxy._listeners.values() for pipe in (*each._clients, *each._upstreams)]
        assert len(pipes) == 2
        for pipe in pipes:
            assert pipe.transport is not None
            assert pipe.transport.get_write_buffer_size() <= 1 << 20
        writer.transport.abort()


async def test_a_clients_reset_reaches_the_endpoint() -> None:
    port = a_free_port()
    async with a_backend("one:") as one, a_proxy(a_table(port, an_endpoint("a", one.address))) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readexactly(4)
        connected = writer.get_extra_info("socket")
        with socket.socket(fileno=socket.dup(connected.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

        await until(lambda: proxy.counters.active == 0 and one.writers[0].transport.is_closing())


async def test_clients_over_the_limit_are_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "CONNECTIONS_MAX", 1)
    port = a_free_port()
    async with a_backend("1") as one, a_proxy(a_table(port, an_endpoint("a", one.address))) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readexactly(1)

        with pytest.raises(ConnectionResetError):
            await ask(port, b"one too many")

        assert proxy.counters.over_limit == 1
        writer.transport.abort()


async def test_a_taken_port_is_a_problem_until_it_is_free() -> None:
    port = a_free_port()
    with socket.create_server(("127.0.0.1", port)):
        async with a_backend("1") as one:
            proxy_context = a_proxy(a_table(port, an_endpoint("a", one.address)))
            proxy = await proxy_context.__aenter__()
            [problem] = proxy.problems()
            assert isinstance(problem, PortProblem)
            assert problem.published == PublishedAddress("", port)
            assert str(problem).endswith(f"cannot listen on 127.0.0.1:{port}: Address already in use")
    try:
        await until(lambda: not proxy.problems())
    finally:
        await proxy_context.__aexit__(None, None, None)


async def test_closing_resets_what_is_in_flight() -> None:
    port = a_free_port()
    async with a_backend("1") as one:
        async with a_proxy(a_table(port, an_endpoint("a", one.address))):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await reader.readexactly(1)
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
        writer.transport.abort()
