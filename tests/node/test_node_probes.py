"""Probes against real sockets, and commands through the fake runtime."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from node_builders import a_task

from swarmlet.model.observed import Endpoint
from swarmlet.model.spec import CommandProbe, HttpProbe, Probe, TcpProbe
from swarmlet.node.health import Verdict
from swarmlet.node.probes import run_probe
from swarmlet.node.task_events import RunProbe
from swarmlet.runtime.fake import FakeRuntime
from swarmlet.runtime.interface import ContainerId, ContainerSpec, ExecResult


@asynccontextmanager
async def a_server(answer: bytes | None) -> AsyncIterator[tuple[Endpoint, list[bytes]]]:
    """Answers each connection with these bytes; None: reads and never answers."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            if answer is not None:
                writer.write(answer)
                await writer.drain()
            else:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Endpoint(target_port=80, host="127.0.0.1", port=server.sockets[0].getsockname()[1]), requests


async def _probe(
    probe: Probe, endpoint: Endpoint | None = None, timeout_s: float = 5.0, runtime: FakeRuntime | None = None
) -> tuple[Verdict, str]:
    request = RunProbe(7, probe, ContainerId("fake-1"), endpoint, timeout_s)
    answer = await run_probe(request, runtime or FakeRuntime(), margin_s=1.0)
    assert answer.run == 7
    return answer.verdict, answer.message


async def test_http_asks_for_the_path_and_reads_the_status_only() -> None:
    async with a_server(b"HTTP/1.1 204 No Content\r\n\r\n") as (endpoint, requests):
        assert await _probe(HttpProbe(port=80, path="/ready?x=1"), endpoint) == (Verdict.PASSED, "")

        assert requests[0].startswith(b"GET /ready?x=1 HTTP/1.1\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(
    ("answer", "verdict", "message"),
    [
        (b"HTTP/1.0 200 OK\r\n", Verdict.PASSED, ""),
        (b"HTTP/1.1 302 Found\r\n", Verdict.PASSED, ""),
        (b"HTTP/1.1 503 Service Unavailable\r\n", Verdict.FAILED, "GET / answered 503 Service Unavailable"),
        (b"HTTP/1.1 404\r\n", Verdict.FAILED, "GET / answered 404"),
        (b"SSH-2.0-OpenSSH\r\n", Verdict.FAILED, "no HTTP answer from port 80"),
        (b"x" * 10_000 + b"\n", Verdict.FAILED, "no HTTP answer from port 80"),
        (b"", Verdict.FAILED, "no HTTP answer from port 80"),
    ],
)
async def test_http_is_healthy_from_200_to_399(answer: bytes, verdict: Verdict, message: str) -> None:
    async with a_server(answer) as (endpoint, _):
        assert await _probe(HttpProbe(port=80), endpoint) == (verdict, message)


async def test_a_server_that_hangs_is_given_up_in_time() -> None:
    async with a_server(None) as (endpoint, _):
        verdict, message = await _probe(HttpProbe(port=80), endpoint, timeout_s=0.05)

    assert (verdict, message) == (Verdict.FAILED, "no answer on port 80 within 0.05 s")


async def test_tcp_is_healthy_when_the_port_accepts() -> None:
    async with a_server(b"") as (endpoint, _):
        assert await _probe(TcpProbe(port=80), endpoint) == (Verdict.PASSED, "")

    verdict, message = await _probe(TcpProbe(port=80), endpoint)
    assert verdict is Verdict.FAILED and message.startswith("port 80: ")


async def test_a_port_without_an_address_fails_in_words() -> None:
    assert await _probe(TcpProbe(port=80)) == (Verdict.FAILED, "port 80 has no address yet")


async def _a_running_container() -> FakeRuntime:
    runtime = FakeRuntime()
    task = a_task()
    await runtime.start(await runtime.create(ContainerSpec(task.id, task.service, "c", task.template)))
    return runtime


async def test_a_command_is_healthy_when_it_exits_with_0() -> None:
    runtime = await _a_running_container()
    probe = CommandProbe(argv=("check", "-x"))
    assert await _probe(probe, runtime=runtime) == (Verdict.PASSED, "")

    runtime.exec_handler = lambda _task, _argv: ExecResult(2, "looking\nno disk left\n")

    assert await _probe(probe, runtime=runtime) == (Verdict.FAILED, "check exited with status 2: no disk left")


async def test_a_command_that_does_not_end_fails_and_an_engine_that_is_away_says_nothing() -> None:
    runtime = await _a_running_container()
    probe = CommandProbe(argv=("check",))

    def hang(_task: object, _argv: object) -> ExecResult:
        raise TimeoutError

    runtime.exec_handler = hang
    assert await _probe(probe, runtime=runtime) == (Verdict.FAILED, "check did not end within 5 s")

    runtime.unavailable = "connection refused"
    verdict, message = await _probe(probe, runtime=runtime)
    assert verdict is Verdict.INCONCLUSIVE and "connection refused" in message
