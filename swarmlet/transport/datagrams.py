"""Sealed datagrams between agents over UDP: the ground that gossip stands on.

Rules:
- Nothing is queued here: what the socket's buffers don't take is dropped and counted, as UDP is allowed to.
- A packet that is not taken is counted by its reason and dropped without a log line: anyone may send us one.
- A port that answers "nobody listens" (ICMP port unreachable) is reported with its address. Linux tells it on the
  socket's error queue once IP_RECVERR is set (ip(7)); errors of earlier packets then also surface at the next send
  or receive, which is why both are tried again.
- The socket is watched through an epoll descriptor of its own: an error-queue entry raises POLLERR, which libuv (and
  so uvloop) takes for a broken descriptor and stops watching. A nested epoll only ever becomes readable.
"""

import asyncio
import errno
import select
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from swarmlet.model.observed import Address
from swarmlet.security.seal import OVERHEAD_BYTES, DatagramSealer, Opened, Refusal
from swarmlet.transport.errors import CannotListen

DATAGRAM_SIZE_BYTES_MAX = 1400
"""On the wire, sealed: fits one Ethernet frame with IPv6 and common tunnels' headers, so nothing is fragmented."""
PAYLOAD_SIZE_BYTES_MAX = DATAGRAM_SIZE_BYTES_MAX - OVERHEAD_BYTES
BATCH_MAX = 64
"""Packets taken per wake-up; then the event loop gets its turn. What is left wakes us again."""
SOCKET_BUFFER_BYTES = 1 << 20
"""Asked of the kernel in both directions: a burst of 700 packets survives one slow turn of the loop."""

# Not in Python's socket module before 3.14; from linux/in.h, linux/in6.h and linux/errqueue.h.
IP_RECVERR: Final = 11
IPV6_RECVERR: Final = 25
ORIGIN_ICMP: Final = 2
ORIGIN_ICMP6: Final = 3
EXTENDED_ERROR = struct.Struct("=IBBBxII")
ANCILLARY_SIZE_BYTES = 512


@dataclass(slots=True)
class DatagramCounters:
    """Every packet ends in exactly one of these."""

    received: int = 0
    sent: int = 0
    dropped_oversized: int = 0
    """Longer than any agent sends."""
    dropped_malformed: int = 0
    """Not of the form that agents send."""
    dropped_foreign_version: int = 0
    """Of another version of that form."""
    dropped_foreign: int = 0
    """Not made with one of this cluster's keys, or damaged on the way."""
    dropped_replayed: int = 0
    """Genuine, but taken before, or an answer to nothing that was asked."""
    dropped_unproven: int = 0
    """Genuine, but of a sender that first has to show that it lives now; it repeats them."""
    challenges: int = 0
    """Challenges that came and answers to ours: the conversation of the seals, no payload."""
    dropped_send_refused: int = 0
    """The kernel took it not: full buffer, no route, a firewall."""
    dropped_send_oversized: int = 0
    unreachable: int = 0
    """ICMP port unreachable came back."""


class DatagramEndpoint:
    """One UDP socket. `on_datagram` and `on_unreachable` are called from the event loop and must not block."""

    def __init__(
        self,
        listen: Address,
        sealer: DatagramSealer,
        on_datagram: Callable[[Address, bytes], None],
        on_unreachable: Callable[[Address], None],
    ) -> None:
        self._listen = listen
        self._sealer = sealer
        self._on_datagram = on_datagram
        self._on_unreachable = on_unreachable
        self._socket: socket.socket | None = None
        self._watcher: select.epoll | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.counters = DatagramCounters()

    @property
    def address(self) -> Address:
        """Where it really listens: `listen` with the port the system chose if that was 0."""
        assert self._socket is not None, "not started"
        host, port, *_ = self._socket.getsockname()
        return Address(host, port)

    async def start(self) -> None:
        """Raises `CannotListen`."""
        assert self._socket is None, "started twice"
        self._loop = asyncio.get_running_loop()
        self._socket = _open_socket(self._listen)
        self._watcher = select.epoll()
        self._watcher.register(self._socket.fileno(), select.EPOLLIN)
        self._loop.add_reader(self._watcher.fileno(), self._on_readable)

    async def close(self) -> None:
        if self._socket is None or self._watcher is None or self._loop is None:
            return
        self._loop.remove_reader(self._watcher.fileno())
        self._watcher.close()
        self._socket.close()
        self._socket = self._watcher = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def send(self, address: Address, payload: bytes) -> bool:
        """False: dropped here, and counted. True says nothing about its arrival."""
        if self._socket is None:
            return False
        if len(payload) > PAYLOAD_SIZE_BYTES_MAX:
            self.counters.dropped_send_oversized += 1
            return False
        assert self._loop is not None
        return self._send(self._socket, address, self._sealer.seal(payload, address, self._loop.time()))

    def _send(self, udp: socket.socket, address: Address, sealed: bytes) -> bool:
        if self._send_sealed(udp, address, sealed) or self._send_sealed(udp, address, sealed):
            self.counters.sent += 1
            return True
        self.counters.dropped_send_refused += 1
        return False

    def _send_sealed(self, udp: socket.socket, address: Address, sealed: bytes) -> bool:
        """One attempt. A failure may be the echo of an earlier packet, so the caller tries twice."""
        try:
            udp.sendto(sealed, address)
        except OSError:
            return False
        return True

    def _on_readable(self) -> None:
        for _ in range(BATCH_MAX):
            # A callback may have closed us; it must not happen to a half-read batch either.
            if self._socket is None or not self._receive_one(self._socket):
                return

    def _receive_one(self, udp: socket.socket) -> bool:
        """False: nothing left to read for now."""
        try:
            sealed, sender = udp.recvfrom(DATAGRAM_SIZE_BYTES_MAX + 1)
        except OSError as error:
            found = self._read_error_queue(udp)
            return found or error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK)
        if len(sealed) > DATAGRAM_SIZE_BYTES_MAX:
            self.counters.dropped_oversized += 1
            return True
        self._take(udp, Address(sender[0], sender[1]), sealed)
        return True

    def _take(self, udp: socket.socket, sender: Address, sealed: bytes) -> None:
        assert self._loop is not None
        opened = self._sealer.open(sealed, sender, self._loop.time())
        self._count(opened)
        for answer in opened.answers:
            self._send(udp, sender, answer)
        if opened.payload is not None:
            self._on_datagram(sender, opened.payload)

    def _count(self, opened: Opened) -> None:
        counters = self.counters
        match opened.refusal:
            case None if opened.payload is not None:
                counters.received += 1
            case None:
                counters.challenges += 1
            case Refusal.MALFORMED:
                counters.dropped_malformed += 1
            case Refusal.FOREIGN_VERSION:
                counters.dropped_foreign_version += 1
            case Refusal.FOREIGN:
                counters.dropped_foreign += 1
            case Refusal.REPLAYED:
                counters.dropped_replayed += 1
            case Refusal.UNPROVEN:
                counters.dropped_unproven += 1

    def _read_error_queue(self, udp: socket.socket) -> bool:
        try:
            _, ancillary, _, destination = udp.recvmsg(1, ANCILLARY_SIZE_BYTES, socket.MSG_ERRQUEUE)
        except OSError:
            return False
        if any(_says_port_unreachable(level, kind, data) for level, kind, data in ancillary) and destination:
            self.counters.unreachable += 1
            self._on_unreachable(Address(destination[0], destination[1]))
        return True


def _says_port_unreachable(level: int, kind: int, data: bytes) -> bool:
    if (level, kind) not in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
        return False
    if len(data) < EXTENDED_ERROR.size:
        return False
    number, origin, *_ = EXTENDED_ERROR.unpack_from(data)
    # Refusals that this host made up itself (a firewall, no route) say nothing about the peer.
    return number == errno.ECONNREFUSED and origin in (ORIGIN_ICMP, ORIGIN_ICMP6)


def _open_socket(listen: Address) -> socket.socket:
    is_ipv6 = ":" in listen.host
    udp = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            udp.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        if is_ipv6:
            udp.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        else:
            udp.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        udp.bind(listen)
    except OSError as error:
        udp.close()
        raise CannotListen(listen, error.strerror or str(error)) from error
    return udp
