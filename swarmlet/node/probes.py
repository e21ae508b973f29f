"""Carries out one health probe: a command in the container, an HTTP request, or a TCP connect. Never raises.

HTTP is spoken by hand: one request, of which only the status line is read. A client library would bring redirects,
pools and cookies, none of which a probe may have. Healthy is any status from 200 to 399.
"""

import asyncio

from swarmlet.model.observed import Address, Endpoint
from swarmlet.model.spec import CommandProbe, HttpProbe, TcpProbe
from swarmlet.node.health import Verdict
from swarmlet.node.task_events import ProbeAnswered, RunProbe
from swarmlet.runtime.interface import ContainerFailed, ContainerRuntimeError, ExecTimedOut, Runtime

STATUS_LINE_BYTES_MAX = 4096
OUTPUT_CHARS_MAX = 200
"""Of a failing command's output: the last line usually says it."""


async def run_probe(request: RunProbe, runtime: Runtime, margin_s: float) -> ProbeAnswered:
    """`margin_s`: what the engine may take on top of a command's own timeout."""
    match request.probe:
        case CommandProbe():
            verdict, message = await _probe_command(request, request.probe, runtime, margin_s)
        case HttpProbe() | TcpProbe():
            verdict, message = await _probe_endpoint(request, request.probe)
    return ProbeAnswered(request.run, verdict, message, request.readiness)


async def _probe_command(
    request: RunProbe, probe: CommandProbe, runtime: Runtime, margin_s: float
) -> tuple[Verdict, str]:
    try:
        async with asyncio.timeout(request.timeout_s + margin_s):
            result = await runtime.execute(request.container, probe.argv, request.timeout_s)
    except (ExecTimedOut, ContainerFailed) as refused:
        return Verdict.FAILED, str(refused)
    except (ContainerRuntimeError, TimeoutError) as unavailable:
        return Verdict.INCONCLUSIVE, str(unavailable)
    if result.exit_code == 0:
        return Verdict.PASSED, ""
    said = result.output.strip().rpartition("\n")[2][:OUTPUT_CHARS_MAX]
    return Verdict.FAILED, f"{probe.argv[0]} exited with status {result.exit_code}" + (f": {said}" if said else "")


async def _probe_endpoint(request: RunProbe, probe: HttpProbe | TcpProbe) -> tuple[Verdict, str]:
    if request.endpoint is None:
        return Verdict.FAILED, f"port {probe.port} has no address yet"
    try:
        async with asyncio.timeout(request.timeout_s):
            if isinstance(probe, HttpProbe):
                return await _get(request.endpoint, probe.path)
            return await _connect(request.endpoint)
    except TimeoutError:
        return Verdict.FAILED, f"no answer on port {probe.port} within {request.timeout_s:g} s"
    except OSError as refused:
        return Verdict.FAILED, f"port {probe.port}: {refused.strerror or refused}"


async def _connect(endpoint: Endpoint) -> tuple[Verdict, str]:
    _, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    writer.transport.abort()
    return Verdict.PASSED, ""


async def _get(endpoint: Endpoint, path: str) -> tuple[Verdict, str]:
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, limit=STATUS_LINE_BYTES_MAX)
    try:
        host = Address(endpoint.host, endpoint.port)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: swarmlet-probe\r\nConnection: close\r\n\r\n".encode()
        )
        status_line = await reader.readuntil(b"\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return Verdict.FAILED, f"no HTTP answer from port {endpoint.target_port}"
    finally:
        writer.transport.abort()
    version, _, rest = status_line.decode("latin-1").strip().partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/") or not status.isdigit():
        return Verdict.FAILED, f"no HTTP answer from port {endpoint.target_port}"
    if 200 <= int(status) < 400:
        return Verdict.PASSED, ""
    return Verdict.FAILED, f"GET {path} answered {rest[:OUTPUT_CHARS_MAX]}"
