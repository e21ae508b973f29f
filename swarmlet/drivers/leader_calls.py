"""Calls that only the leader can answer, made from any peer: find it, ask it, try again until the deadline.

A call is given up as soon as another peer leads, since the old leader may never answer.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from swarmlet.drivers.signal import Signal, listening, wait_at_most
from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.raft import Refusal
from swarmlet.transport import PeerNetwork, PeerTimeout, PeerUnavailable, RemoteError

RETRY_PAUSE_S = 0.05
SWEEP_S = 0.05
"""Between two looks for calls whose time is over."""


class NotTaken(SwarmletError):
    """This node's Raft did not take a proposal or a read, mostly because it does not lead. Others may."""

    def __init__(self, reason: Refusal, leader: NodeId | None) -> None:
        super().__init__(f"not taken: {reason}; the leader is {leader or 'not known'}")
        self.reason = reason
        self.leader = leader


class NoLeader(SwarmletError):
    """A write or a linearizable read found no leader, or no answer from it, in its time."""

    def __init__(self, waited_s: float, last: str) -> None:
        """`last`: what came of asking a leader; empty where none was there to be asked."""
        super().__init__(f"no leader answered within {waited_s:.1f} s ({last or 'none is elected'})")
        self.waited_s = waited_s
        self.asked = bool(last)
        """A leader may have done, or may still do, what it was asked for."""


class _Interrupted(SwarmletError):
    """The leader changed while it was asked."""


def interruptible(answering: Coroutine[Any, Any, bytes]) -> asyncio.Future[bytes]:
    """A local answer that takes several steps, as a call wants it: a future that can be given up, which ends the work.

    A task itself can't be told that its result is no longer waited for.
    """
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    work = asyncio.ensure_future(answering)

    def pass_on(work: asyncio.Task[bytes]) -> None:
        if work.cancelled():
            answer.cancel()
            return
        error = work.exception()
        if answer.done():
            return
        if error is None:
            answer.set_result(work.result())
        else:
            answer.set_exception(error)

    work.add_done_callback(pass_on)
    answer.add_done_callback(lambda _: work.cancel())
    return answer


class LeaderCalls:
    """`leader` names the present leader. The owner calls `leader_changed` whenever it may be another one, and keeps
    `run` going as long as calls are made."""

    def __init__(self, node_id: NodeId, network: PeerNetwork, leader: Callable[[], NodeId | None]) -> None:
        self._node_id, self._network, self._leader = node_id, network, leader
        self._changed = Signal()
        self._asked: dict[asyncio.Future[bytes], float] = {}
        """What is under way, and until when."""

    def leader_changed(self) -> None:
        for answer in self._asked:
            if not answer.done():
                answer.set_exception(_Interrupted("the leader changed"))
        self._changed.set()

    async def run(self) -> None:
        """Ends, until cancelled, what nobody waits for any longer. A timer a call would cost a tenth of a write."""
        while True:
            self._expire(time.monotonic())
            await asyncio.sleep(SWEEP_S)

    def _expire(self, now: float) -> None:
        for answer, deadline in self._asked.items():
            if now >= deadline and not answer.done():
                answer.set_exception(_Interrupted("it did not answer in time"))

    async def call(
        self, method: str, body: bytes, locally: Callable[[], asyncio.Future[bytes]], timeout_s: float
    ) -> bytes:
        """The leader's answer, from `locally` where this peer leads. Raises `NoLeader`, and what the leader raised."""
        deadline = time.monotonic() + timeout_s
        last = ""
        while (left_s := deadline - time.monotonic()) > 0:
            leader = self._leader()
            if leader is None:
                await self._wait_for_change(left_s)
                continue
            try:
                answer = locally() if leader == self._node_id else await self._begin(leader, method, body, left_s)
                return await self._answer(answer, deadline)
            except (NotTaken, PeerUnavailable, PeerTimeout, _Interrupted) as error:
                last = str(error)
            except RemoteError as error:
                if error.code not in (NotTaken.__name__, NoLeader.__name__):
                    raise
                last = str(error)
            if self._leader() == leader:
                # Nobody else leads yet: the next attempt would meet the same.
                await self._wait_for_change(min(RETRY_PAUSE_S, deadline - time.monotonic()))
        raise NoLeader(timeout_s, last)

    async def _begin(self, leader: NodeId, method: str, body: bytes, timeout_s: float) -> asyncio.Future[bytes]:
        begun = self._network.begin_connected_call(leader, method, body)
        if begun is not None:
            return begun
        try:
            async with asyncio.timeout(timeout_s):
                return await self._network.begin_call(leader, method, body)
        except TimeoutError as error:
            raise PeerTimeout(leader, method, timeout_s) from error

    async def _answer(self, answer: asyncio.Future[bytes], deadline: float) -> bytes:
        self._asked[answer] = deadline
        try:
            return await answer
        finally:
            del self._asked[answer]

    async def _wait_for_change(self, timeout_s: float) -> None:
        with listening(self._changed) as changed:
            await wait_at_most(changed, timeout_s)
