"""What an agent answers: its methods by name, the same for peers and for itself."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.transport.errors import RemoteError

NotifyHandler = Callable[[NodeId, bytes], None]
"""Called from the event loop; must not block."""
CallHandler = Callable[[NodeId, bytes], Awaitable[bytes]]
PromptHandler = Callable[[NodeId, bytes], asyncio.Future[bytes]]
"""A call's handler that only begins the work, at once, and gives the answer as a future: for what is asked thousands of
times a second, where a task for each would cost more than the work. It must not block."""
StreamHandler = Callable[[NodeId, bytes], AsyncIterator[bytes]]
RelayHandler = Callable[[NodeId, bytes], Awaitable[asyncio.Protocol]]
"""Gets a relay's header; returns the protocol for its bytes, or raises `SwarmletError` to refuse it."""

UNKNOWN_METHOD = "UnknownMethod"
INTERNAL_ERROR = "InternalError"

log = structlog.get_logger()


@dataclass(slots=True)
class Handlers:
    notify: dict[str, NotifyHandler] = field(default_factory=dict)
    call: dict[str, CallHandler] = field(default_factory=dict)
    prompt: dict[str, PromptHandler] = field(default_factory=dict)
    """Those of `call` whose answers need no task."""
    stream: dict[str, StreamHandler] = field(default_factory=dict)
    relay: RelayHandler | None = None
    notifies_failed: int = 0
    """Notifications that their handler did not take: malformed, or a fault of ours."""
    violations: int = 0
    """Connections that were closed since their peer broke the protocol."""

    def run_notify(self, sender: NodeId, method: str, body: bytes) -> bool:
        """False: nobody here takes it, or the handler failed (logged)."""
        handler = self.notify.get(method)
        if handler is None:
            return False
        try:
            handler(sender, body)
        except Exception:
            # One bad notification must not take the connection, and every other message on it, along.
            self.notifies_failed += 1
            log.exception("notify_handler_failed", method=method, peer=sender)
            return False
        return True

    def begin_call(self, sender: NodeId, method: str, body: bytes) -> asyncio.Future[bytes] | None:
        """The answer to come, where the method's handler gives a future; None where it has to be run in a task.

        Raises `RemoteError`.
        """
        handler = self.prompt.get(method)
        if handler is None:
            return None
        try:
            return handler(sender, body)
        except Exception as error:
            raise as_remote_error(error, method, sender) from error

    async def run_call(self, sender: NodeId, method: str, body: bytes) -> bytes:
        """Raises `RemoteError` only (and cancellation)."""
        handler = self.call.get(method)
        if handler is None:
            raise RemoteError(UNKNOWN_METHOD, f"this peer has no method {method!r}")
        try:
            return await handler(sender, body)
        except Exception as error:
            raise as_remote_error(error, method, sender) from error

    async def run_stream(self, sender: NodeId, method: str, body: bytes) -> AsyncGenerator[bytes, None]:
        """Raises `RemoteError` only (and cancellation). Ending it early ends the handler's generator."""
        handler = self.stream.get(method)
        if handler is None:
            raise RemoteError(UNKNOWN_METHOD, f"this peer has no stream {method!r}")
        items = handler(sender, body)
        try:
            async for item in items:
                yield item
        except Exception as error:
            raise as_remote_error(error, method, sender) from error
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()


def as_remote_error(error: Exception, method: str, sender: NodeId) -> RemoteError:
    """What the asker gets to see. Errors that nobody foresaw are logged here and stay here."""
    if isinstance(error, RemoteError):
        return error
    if isinstance(error, SwarmletError):
        return RemoteError(type(error).__name__, str(error))
    log.error("handler_failed", method=method, peer=sender, exc_info=error)
    return RemoteError(INTERNAL_ERROR, f"{type(error).__name__} in the peer's handler of {method}; see its log")
