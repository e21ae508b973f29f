"""Services, tasks, and small servers that tests route to."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from swarmlet.dataplane.proxy import Proxy
from swarmlet.dataplane.routes import PublishedAddress, Route, RoutedEndpoint, RouteTable
from swarmlet.model.frozen import encode
from swarmlet.model.ids import NodeId, ServiceId, StackName, TaskId
from swarmlet.model.objects import Desired, Service, Task
from swarmlet.model.observed import Address, Endpoint, Health, Liveness, ObservedNode, ObservedState, Phase, TaskStatus
from swarmlet.model.spec import PublishedPort, ServiceSpec, TaskTemplate
from swarmlet.model.state import ClusterState

ALICE, BOB = NodeId("a" * 16), NodeId("b" * 16)
WEB = ServiceId("shop.web")
DEADLINE_S = 10.0
ANY_PORT = Address("127.0.0.1", 0)


async def until(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


def a_free_port() -> int:
    """Nobody listens there now, and the system gives it to nobody: it is below the range of ephemeral ports."""
    for _ in range(100):
        port = random.randrange(12_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port found")


def a_template(*ports: tuple[int, int]) -> TaskTemplate:
    """`ports` are pairs of published and target."""
    return TaskTemplate(image="web", ports=tuple(PublishedPort(published=p, target=t) for p, t in ports))


def a_service(name: str, template: TaskTemplate) -> Service:
    spec = ServiceSpec(name=name, template=template)
    stack = StackName("shop")
    return Service(id=ServiceId(f"shop.{name}"), stack=stack, spec=spec, revision=template.revision())


def a_task(
    task: str, node: NodeId, template: TaskTemplate, service: ServiceId = WEB, desired: Desired = Desired.RUN
) -> Task:
    return Task(
        id=TaskId(task),
        service=service,
        slot=1,
        node=node,
        revision=template.revision(),
        template=template,
        created_at=0.0,
        desired=desired,
    )


def a_status(task: Task, *endpoints: tuple[int, Address]) -> TaskStatus:
    return TaskStatus(
        task=task.id,
        service=task.service,
        revision=task.revision,
        phase=Phase.RUNNING,
        health=Health.HEALTHY,
        endpoints=tuple(Endpoint(target_port=target, host=at.host, port=at.port) for target, at in endpoints),
    )


def a_state(*objects: Service | Task) -> ClusterState:
    return ClusterState.of([(each.key, encode(each), number) for number, each in enumerate(objects, 1)], len(objects))


def observed_nodes(
    statuses: dict[NodeId, list[TaskStatus]], liveness: dict[NodeId, Liveness] | None = None
) -> ObservedState:
    return ObservedState(
        {
            node: ObservedNode(
                id=node,
                name=node[:1],
                address=Address("127.0.0.1", 1),
                liveness=(liveness or {}).get(node, Liveness.ALIVE),
                tasks={status.task: status for status in found},
            )
            for node, found in statuses.items()
        }
    )


def an_endpoint(task: str, at: Address | None = None, node: NodeId = ALICE) -> RoutedEndpoint:
    return RoutedEndpoint(node, TaskId(task), 80, at)


def a_table(port: int, *endpoints: RoutedEndpoint) -> RouteTable:
    return RouteTable({PublishedAddress("", port): Route(WEB, endpoints)})


@dataclass
class Backend:
    """A server that says its name, then echoes; ends its direction when the client ends its own."""

    name: bytes
    address: Address = ANY_PORT
    accepted: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.writers.append(writer)
        try:
            writer.write(self.name)
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except ConnectionError:
            return
        finally:
            writer.close()


@asynccontextmanager
async def a_backend(name: str) -> AsyncIterator[Backend]:
    backend = Backend(name.encode())
    server = await asyncio.start_server(backend.serve, "127.0.0.1", 0)
    backend.address = Address(*server.sockets[0].getsockname())
    try:
        yield backend
    finally:
        server.close()
        for writer in backend.writers:
            writer.transport.abort()
        await asyncio.sleep(0)


async def no_relay(node: NodeId, header: bytes, factory: Callable[[], asyncio.Protocol], timeout_s: float) -> object:
    raise ConnectionRefusedError("no relay in this test")


@asynccontextmanager
async def a_proxy(table: RouteTable) -> AsyncIterator[Proxy]:
    proxy = Proxy(ALICE, "127.0.0.1", no_relay)
    await proxy.update(table)
    try:
        yield proxy
    finally:
        await proxy.close()


async def ask(port: int, body: bytes = b"") -> bytes:
    """Everything the other end sends to a client that sends `body` and ends its direction."""
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            reading = asyncio.create_task(reader.read(-1))
            writer.write(body)
            writer.write_eof()
            return await reading
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)
