"""The far end of a relay: from a peer's proxy to a task on this node.

Rules: the header names the task and its target port; only a task that serves here now, by this node's own table, is
connected. The local connection is made before the relay is accepted, so a refusal lets the proxy try another
endpoint. At most `CONNECTIONS_MAX` at once.
"""

import asyncio
from collections.abc import Callable

import msgpack

from swarmlet.dataplane.pipe import Pipe, reset
from swarmlet.dataplane.sockets import connect_local
from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.observed import Address

CONNECT_TIMEOUT_S = 2.5
"""Less than the other end waits for the answer."""
CONNECTIONS_MAX = 8192


class RelayRefused(SwarmletError):
    """This node does not connect the relay; the proxy that asked tries another endpoint."""

    def __init__(self, task: str, reason: str) -> None:
        super().__init__(f"task {task}: {reason}")
        self.task = task
        self.reason = reason


def encode_header(task: TaskId, target_port: int) -> bytes:
    header: bytes = msgpack.packb((task, target_port))
    return header


def decode_header(header: bytes) -> tuple[TaskId, int]:
    """Raises `RelayRefused` for what no proxy sends."""
    try:
        found = msgpack.unpackb(header, use_list=False)
    except (ValueError, msgpack.UnpackException) as error:
        raise RelayRefused("?", "the relay's header is not msgpack") from error
    match found:
        case (str(task), int(target_port)):
            return TaskId(task), target_port
    raise RelayRefused("?", "the relay's header is not a task and a port")


class RelayServer:
    """It is itself the relay handler: `network.on_relay(server)`."""

    def __init__(self, local_endpoint: Callable[[TaskId, int], Address | None]) -> None:
        self._local_endpoint = local_endpoint
        self._pipes: set[Pipe] = set()
        self._closed = False
        self.accepted = 0
        self.refused = 0

    @property
    def active(self) -> int:
        return len(self._pipes)

    async def __call__(self, sender: NodeId, header: bytes) -> asyncio.Protocol:
        try:
            protocol = await self._connect(header)
        except RelayRefused:
            self.refused += 1
            raise
        self.accepted += 1
        return protocol

    async def close(self) -> None:
        """Ends all relays to local tasks."""
        self._closed = True
        for pipe in list(self._pipes):
            if pipe.transport is not None:
                reset(pipe.transport)
        # The transports tell their ends in the next turn of the loop.
        await asyncio.sleep(0)

    async def _connect(self, header: bytes) -> asyncio.Protocol:
        task, target_port = decode_header(header)
        address = self._local_endpoint(task, target_port)
        if address is None:
            raise RelayRefused(task, f"does not serve port {target_port} on this node")
        if self._closed:
            raise RelayRefused(task, "this agent is stopping")
        if len(self._pipes) >= CONNECTIONS_MAX:
            raise RelayRefused(task, f"{CONNECTIONS_MAX} relays are open on this node already")
        local = Pipe(self._pipes.discard)
        self._pipes.add(local)
        try:
            await connect_local(address, local, CONNECT_TIMEOUT_S)
        except BaseException as error:
            self._pipes.discard(local)
            if isinstance(error, OSError):
                raise RelayRefused(task, f"{address}: {error.strerror or 'no answer'}") from error
            raise
        return Pipe(lambda _: None, waits_for=local)
