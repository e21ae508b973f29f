"""The rpc connection to one peer: dialled on demand, kept, and dialled again when it is lost.

Rules:
- After a failed dial the next one waits: 50 ms doubling to 1 s, with jitter. Notifications in that time are dropped
  (their senders repeat themselves), calls wait for the next dial. A connection from that peer ends the wait.
- Notifications made while a dial is under way are kept, within a bound, and leave in order before anything else.
- A connection that is lost is dialled again at once; a refusal then says that the peer's process is gone.
- When the peer's address changes, the connection to the old one and a dial of it are given up at once.
"""

import asyncio
from collections.abc import Callable, Collection
from random import Random

import structlog

from swarmlet.model.observed import Address
from swarmlet.security.keys import KeyId
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.transport.dial import dial
from swarmlet.transport.errors import PeerRefused, PeerUnavailable, Target
from swarmlet.transport.rpc_client import RpcClient
from swarmlet.transport.tasks import TaskScope

BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 1.0
REDIALS_MAX = 3
"""Dials after a connection was lost until one is refused: a process that dies takes its connections down one by one,
and the first dial may still get through to its port."""
WAITING_FRAMES_MAX = 1024
WAITING_BYTES_MAX = 16 << 20

log = structlog.get_logger()


class PeerLink:
    def __init__(
        self,
        target: Target,
        resolve: Callable[[], Address | None],
        credentials: PeerCredentials,
        scope: TaskScope,
        rng: Random,
        on_failed: Callable[[PeerUnavailable], None],
    ) -> None:
        self._target = target
        self._resolve = resolve
        self._credentials = credentials
        self._scope = scope
        self._rng = rng
        self._closed = False
        self._redials_left = 0
        self._report_failed = on_failed
        self._loop = asyncio.get_running_loop()
        self._client: RpcClient | None = None
        self._address: Address | None = None
        """Of the connection, or of the dial under way."""
        self._dial: asyncio.Task[None] | None = None
        self._dialled: asyncio.Future[RpcClient] | None = None
        """Set when the dial under way ends; shared by all who wait for it."""
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._failures = 0
        self._retry_at = 0.0
        self.used_at = self._loop.time()
        self.dials_failed = 0

    @property
    def is_connected(self) -> bool:
        return self._client is not None

    @property
    def is_busy(self) -> bool:
        return self._dial is not None or (self._client is not None and not self._client.is_idle)

    def notify(self, frame: bytes) -> bool:
        """Never blocks. False: dropped."""
        self.used_at = self._loop.time()
        if not self._follow_address():
            return False
        if self._client is not None:
            return self._client.put(frame)
        if self.used_at < self._retry_at:
            return False
        if len(self._waiting) >= WAITING_FRAMES_MAX or self._waiting_bytes + len(frame) > WAITING_BYTES_MAX:
            return False
        self._waiting.append(frame)
        self._waiting_bytes += len(frame)
        self._start_dial()
        return True

    def client(self) -> RpcClient | None:
        """The present connection."""
        self.used_at = self._loop.time()
        return self._client if self._follow_address() else None

    async def connected(self) -> RpcClient:
        """Raises `PeerUnavailable` after one failed dial."""
        self.used_at = self._loop.time()
        if not self._follow_address():
            raise PeerUnavailable(self._target, "its address is not known")
        if self._client is not None:
            return self._client
        # Shielded: one caller's deadline must not end the dial for all others.
        return await asyncio.shield(self._start_dial())

    def encourage(self) -> None:
        """The peer was heard of: no need to wait any longer before the next dial."""
        if self._failures:
            self._failures, self._retry_at = 0, 0.0
            if self._dial is not None:
                self._restart_dial()

    def drop_unless_vouched(self, keys: Collection[KeyId]) -> bool:
        """Give up the connection if another key vouched for the peer; the next use makes a new one."""
        if self._client is None or self._client.vouched_by in keys:
            return False
        self._client.abort()
        return True

    def close(self) -> None:
        self._closed = True
        if self._dial is not None:
            self._dial.cancel()
        if self._dialled is not None and not self._dialled.done():
            self._fail_dialled(PeerUnavailable(self._target, "this agent is stopping"))
        if self._client is not None:
            self._client.abort()

    def _follow_address(self) -> bool:
        """Give up what leads to an address that is no longer the peer's. False: it has none."""
        address = self._resolve()
        if address == self._address or self._address is None:
            return address is not None
        self._address = None
        self._failures, self._retry_at = 0, 0.0
        if self._client is not None:
            self._client.abort()
            self._client = None
        if self._dial is not None:
            self._restart_dial()
        return address is not None

    def _start_dial(self) -> asyncio.Future[RpcClient]:
        if self._dialled is None:
            self._dialled = self._loop.create_future()
            self._dial = self._scope.spawn(self._dial_once(self._dialled))
        return self._dialled

    def _restart_dial(self) -> None:
        assert self._dial is not None and self._dialled is not None
        self._dial.cancel()
        self._dial = self._scope.spawn(self._dial_once(self._dialled))

    async def _dial_once(self, dialled: asyncio.Future[RpcClient]) -> None:
        await asyncio.sleep(max(0.0, self._retry_at - self._loop.time()))
        address = self._address = self._resolve()
        try:
            if address is None:
                raise PeerUnavailable(self._target, "its address is not known")
            factory = lambda: RpcClient(self._target, self._on_lost)  # noqa: E731
            _, client = await dial(self._target, address, self._credentials, factory, is_rpc=True)
        except PeerUnavailable as error:
            self._on_failed(error)
            return
        except Exception as error:
            # A fault of ours, not of the network; whoever waits must still get an answer.
            log.exception("dial_failed_unexpectedly", target=str(self._target))
            self._on_failed(PeerUnavailable(self._target, f"{type(error).__name__} while connecting"))
            return
        self._dial = self._dialled = None
        self._failures, self._retry_at = 0, 0.0
        self._client = client
        for frame in self._waiting:
            client.put(frame)
        self._drop_waiting()
        if not dialled.done():
            dialled.set_result(client)

    def _on_failed(self, error: PeerUnavailable) -> None:
        self.dials_failed += 1
        self._address = None
        self._drop_waiting()
        pause_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self._retry_at = self._loop.time() + pause_s * self._rng.uniform(0.5, 1.0)
        self._fail_dialled(error)
        if isinstance(error, PeerRefused):
            self._redials_left = 0
        elif self._redials_left > 0:
            self._redials_left -= 1
            self._start_dial()
        self._report_failed(error)

    def _fail_dialled(self, error: PeerUnavailable) -> None:
        dialled, self._dial, self._dialled = self._dialled, None, None
        if dialled is not None and not dialled.done():
            dialled.set_exception(error)
            # Nobody may be waiting: a notification started the dial. Reading it marks it as seen.
            dialled.exception()

    def _on_lost(self, client: RpcClient) -> None:
        if self._client is client:
            self._client = None
            self._address = None
            if not self._closed:
                self._redials_left = REDIALS_MAX
                self._start_dial()

    def _drop_waiting(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0
