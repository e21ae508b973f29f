"""Calls that only the leader can answer, made from any peer: find it, ask it, try again until the deadline.

A call is given up as soon as another peer leads, since the old leader may never answer.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from swarmlet.drivers.signal import Signal, listening, wait_at_most
from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.raft import Refusal
from swarmlet.transport import PeerNetwork, PeerTimeout, PeerUnavailable, RemoteError

RETRY_PAUSE_S = 0.05


class NotTaken(SwarmletError):
    """This node's Raft did not take a proposal or a read, mostly because it does not lead. Others may."""

    def __init__(self, reason: Refusal, leader: NodeId | None) -> None:
        super().__init__(f"not taken: {reason}; the leader is {leader or 'not known'}")
        self.reason = reason
        self.leader = leader


class NoLeader(SwarmletError):
    """A write or a linearizable read found no leader, or no answer from it, in its time. It may be tried again."""

    def __init__(self, waited_s: float, last: str) -> None:
        super().__init__(f"no leader answered within {waited_s:.1f} s ({last or 'none is elected'})")
        self.waited_s = waited_s


class LeaderCalls:
    """`leader` names the present leader; `changed` says that it may be another one."""

    def __init__(
        self, node_id: NodeId, network: PeerNetwork, leader: Callable[[], NodeId | None], changed: Signal
    ) -> None:
        self._node_id, self._network, self._leader, self._changed = node_id, network, leader, changed

    async def call(
        self, method: str, body: bytes, locally: Callable[[bytes], Awaitable[bytes]], timeout_s: float
    ) -> bytes:
        """The leader's answer, from `locally` where this peer leads. Raises `NoLeader`, and what the leader raised."""
        deadline = time.monotonic() + timeout_s
        last = ""
        with listening(self._changed) as changed:
            while (left_s := deadline - time.monotonic()) > 0:
                changed.clear()
                leader = self._leader()
                if leader is None:
                    await wait_at_most(changed, left_s)
                    continue
                own = leader == self._node_id
                asked = locally(body) if own else self._network.call(leader, method, body, left_s)
                try:
                    answer = await _unless(asyncio.ensure_future(asked), changed, left_s)
                except (NotTaken, PeerUnavailable, PeerTimeout) as error:
                    last = str(error)
                except RemoteError as error:
                    if error.code not in (NotTaken.__name__, NoLeader.__name__):
                        raise
                    last = str(error)
                else:
                    if answer is not None:
                        return answer
                await wait_at_most(changed, min(RETRY_PAUSE_S, deadline - time.monotonic()))
        raise NoLeader(timeout_s, last)


async def _unless(attempt: asyncio.Future[bytes], changed: asyncio.Event, timeout_s: float) -> bytes | None:
    """The attempt's answer, or None when the leader changed or time ran out first (the attempt is then given up)."""
    interrupted = asyncio.ensure_future(changed.wait())
    both: set[asyncio.Future[Any]] = {attempt, interrupted}
    try:
        await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return attempt.result() if attempt.done() else None
    finally:
        for future in both:
            future.cancel()
        await asyncio.gather(*both, return_exceptions=True)
