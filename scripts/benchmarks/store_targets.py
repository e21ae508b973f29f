"""What the load generator talks to: swarmlet by HTTP, swarmlet by its peers' protocol, and etcd by gRPC.

All are raw protocols on one uvloop event loop, so that a request costs the generator about the same for each.
"""

import asyncio
import os
import secrets
from pathlib import Path
from typing import Any, Protocol

from benchmarks.h2 import CallFailed, H2Connection
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address
from swarmlet.model.transaction import Put, RequestId, Transaction
from swarmlet.security.keyring import load_ring
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.store import decode_result, encode_transaction
from swarmlet.transport import PeerNetwork

VALUE_BYTES = 256
KEYS_PER_CLIENT = 100
PEER_PORT, HTTP_PORT, ETCD_PORT = 8421, 8420, 2379
CALL_TIMEOUT_S = 10.0
ETCD_CONNECTIONS = 8
"""Calls are spread over them: etcd is not faster with 1 or with 64."""


class Target(Protocol):
    async def open(self, clients: int) -> None: ...
    async def close(self) -> None: ...
    async def write(self, client: int, number: int) -> None:
        """Returns when it is acknowledged; raises what went wrong."""

    async def read(self, client: int, number: int, linearizable: bool) -> None: ...


def key_of(client: int, number: int) -> str:
    return f"bench/{client}/{number % KEYS_PER_CLIENT}"


# HTTP


class _HttpConnection(asyncio.Protocol):
    """Keep-alive, one request at a time; answers have a Content-Length."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[None] | None = None
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end(CallFailed(f"connection lost: {exc}"))

    def request(self, data: bytes) -> asyncio.Future[None]:
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None:
            self._end(CallFailed("connection lost"))
            return self._answer
        self._transport.write(data)
        return self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._pending += data
        head, separator, rest = self._pending.partition(b"\r\n\r\n")
        if not separator:
            return
        at = head.index(b"Content-Length:") + 15
        if len(rest) >= int(head[at : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else len(head)]):
            self._pending = b""
            self._end(None if head[9:12] == b"200" else CallFailed(head[:40].decode() + rest.decode(errors="replace")))

    def _end(self, error: CallFailed | None) -> None:
        if self._answer is None or self._answer.done():
            return
        if error is None:
            self._answer.set_result(None)
        else:
            self._answer.set_exception(error)


class HttpTarget:
    def __init__(self, hosts: list[str]) -> None:
        self._hosts = hosts
        self._connections: list[_HttpConnection] = []
        self._value = os.urandom(VALUE_BYTES)

    async def open(self, clients: int) -> None:
        loop = asyncio.get_running_loop()
        for number in range(clients):
            host = self._hosts[number % len(self._hosts)]
            _, connection = await loop.create_connection(_HttpConnection, host, HTTP_PORT)
            self._connections.append(connection)

    async def close(self) -> None:
        for connection in self._connections:
            connection.close()

    async def write(self, client: int, number: int) -> None:
        head = (
            f"PUT /v1/kv/{key_of(client, number)} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {VALUE_BYTES}\r\n\r\n"
        )
        await self._connections[client].request(head.encode() + self._value)

    async def read(self, client: int, number: int, linearizable: bool) -> None:
        query = "?consistency=linearizable" if linearizable else ""
        head = f"GET /v1/kv/{key_of(client, number)}{query} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        await self._connections[client].request(head.encode())


# The peers' protocol


class PeerTarget:
    """Joins the conversation as a peer of its own, with the cluster's key; writes are exactly-once."""

    def __init__(self, hosts: list[str], key_file: Path) -> None:
        self._hosts = hosts
        self._node_id = NodeId(secrets.token_hex(8))
        credentials = PeerCredentials(load_ring(key_file), self._node_id)
        self._network = PeerNetwork(self._node_id, credentials, Address("127.0.0.1", 0), lambda _: None)
        self._value = os.urandom(VALUE_BYTES)

    async def open(self, clients: int) -> None:
        await self._network.start()

    async def close(self) -> None:
        await self._network.close()

    async def write(self, client: int, number: int) -> None:
        put = Put(f"kv/{key_of(client, number)}", self._value)
        body = encode_transaction(Transaction((), (put,), RequestId(f"{self._node_id}-{client}", number)))
        answer = await self._network.begin_call(self._address(client), "store.submit", body)
        if not decode_result(await answer).succeeded:
            raise CallFailed("not applied")

    async def read(self, client: int, number: int, linearizable: bool) -> None:
        assert linearizable, "what a peer reads without asking is its own memory"
        await (await self._network.begin_call(self._address(client), "store.read_index", b""))

    def _address(self, client: int) -> Address:
        return Address(self._hosts[client % len(self._hosts)], PEER_PORT)


# etcd


def field(number: int, value: bytes) -> bytes:
    """A protobuf field of bytes."""
    size = len(value)
    encoded = b""
    while size > 127:
        encoded += bytes((size & 127 | 128,))
        size >>= 7
    return bytes((number << 3 | 2,)) + encoded + bytes((size,)) + value


class EtcdTarget:
    """`etcdserverpb.KV` of etcd's API v3."""

    def __init__(self, hosts: list[str]) -> None:
        self._hosts = hosts
        self._connections: list[H2Connection] = []
        self._value = field(2, os.urandom(VALUE_BYTES))

    async def open(self, clients: int) -> None:
        for number in range(ETCD_CONNECTIONS):
            host = self._hosts[number % len(self._hosts)]
            self._connections.append(await H2Connection.open(host, ETCD_PORT))

    async def close(self) -> None:
        for connection in self._connections:
            connection.close()

    async def write(self, client: int, number: int) -> None:
        message = field(1, key_of(client, number).encode()) + self._value
        await self._connections[client % len(self._connections)].call("/etcdserverpb.KV/Put", message)

    async def read(self, client: int, number: int, linearizable: bool) -> None:
        message = field(1, key_of(client, number).encode()) + (b"" if linearizable else b"\x38\x01")
        await self._connections[client % len(self._connections)].call("/etcdserverpb.KV/Range", message)


def make_target(kind: str, hosts: list[str], key_file: str) -> Any:
    match kind:
        case "http":
            return HttpTarget(hosts)
        case "peer":
            return PeerTarget(hosts, Path(key_file))
        case "etcd":
            return EtcdTarget(hosts)
    raise ValueError(f"no target of kind {kind}")
