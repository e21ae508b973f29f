"""Asking whoever leads: given up when another one leads or when its time is over, and then tried again or told."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from swarmlet.drivers.leader_calls import LeaderCalls, NoLeader, NotTaken, interruptible
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address
from swarmlet.raft import Refusal
from swarmlet.security.keyring import KeyRing
from swarmlet.security.keys import ClusterKey
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.transport import PeerNetwork

OWN = NodeId("own")
NOBODY = NodeId("nobody")


@dataclass
class Asked:
    """A peer that asks, and what it was told of the leader."""

    calls: LeaderCalls
    leader: list[NodeId | None]
    begun: list[asyncio.Future[bytes]] = field(default_factory=list)

    def ask(self, timeout_s: float = 5.0) -> asyncio.Task[bytes]:
        return asyncio.create_task(self.calls.call("method", b"", self._locally, timeout_s))

    async def begun_calls(self, count: int) -> None:
        async with asyncio.timeout(5.0):
            while len(self.begun) < count:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0)

    def lead(self, leader: NodeId | None) -> None:
        self.leader[0] = leader
        self.calls.leader_changed()

    def _locally(self) -> asyncio.Future[bytes]:
        self.begun.append(asyncio.get_running_loop().create_future())
        return self.begun[-1]


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    credentials = PeerCredentials(KeyRing((ClusterKey(bytes(32)),)), OWN)
    leader: list[NodeId | None] = [OWN]
    async with PeerNetwork(OWN, credentials, Address("127.0.0.1", 0), lambda _: None) as network:
        calls = LeaderCalls(OWN, network, lambda: leader[0])
        running = asyncio.create_task(calls.run())
        yield Asked(calls, leader)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_call_begun_before_there_is_a_leader_waits_for_one(asked: Asked) -> None:
    asked.leader[0] = None
    call = asked.ask()
    await asyncio.sleep(0)

    asked.lead(OWN)
    await asked.begun_calls(1)
    asked.begun[0].set_result(b"done")

    assert await call == b"done"


async def test_a_call_is_given_up_and_made_again_when_the_leader_changes(asked: Asked) -> None:
    call = asked.ask()
    await asked.begun_calls(1)

    asked.lead(OWN)
    await asked.begun_calls(2)
    asked.begun[1].set_result(b"from the new leader")

    assert await call == b"from the new leader"
    assert asked.begun[0].done()


async def test_a_call_that_was_not_taken_is_made_again(asked: Asked) -> None:
    call = asked.ask()
    await asked.begun_calls(1)

    asked.begun[0].set_exception(NotTaken(Refusal.OVERLOADED, OWN))
    await asked.begun_calls(2)
    asked.begun[1].set_result(b"taken")

    assert await call == b"taken"


async def test_a_leader_that_never_answers_is_not_waited_for_beyond_the_time(asked: Asked) -> None:
    call = asked.ask(timeout_s=0.02)
    await asked.begun_calls(1)

    async with asyncio.timeout(5.0):
        with pytest.raises(NoLeader, match="in time"):
            await call


async def test_an_unknown_address_of_the_leader_is_told_when_the_time_is_over(asked: Asked) -> None:
    asked.leader[0] = NOBODY

    with pytest.raises(NoLeader, match="address is not known"):
        await asked.ask(timeout_s=0.05)


async def test_a_call_without_an_answer_knows_whether_any_leader_was_asked(asked: Asked) -> None:
    with pytest.raises(NoLeader) as unanswered:
        await asked.ask(timeout_s=0.02)
    asked.leader[0] = None
    with pytest.raises(NoLeader) as unasked:
        await asked.ask(timeout_s=0.02)

    assert (unanswered.value.asked, unasked.value.asked) == (True, False)


async def test_a_local_answer_of_several_steps_is_given_up_with_the_lead(asked: Asked) -> None:
    given_up = asyncio.Event()

    async def steps() -> bytes:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            given_up.set()
        raise AssertionError("nothing ends the wait")

    answers = iter([interruptible(steps()), interruptible(_told(b"anew"))])
    call = asyncio.create_task(asked.calls.call("method", b"", lambda: next(answers), 5.0))
    await asyncio.sleep(0)

    asked.lead(OWN)

    async with asyncio.timeout(5.0):
        assert await call == b"anew"
        await given_up.wait()


async def test_what_goes_wrong_in_a_local_answer_of_several_steps_is_told(asked: Asked) -> None:
    async def fails() -> bytes:
        raise ValueError("not a request")

    with pytest.raises(ValueError, match="not a request"):
        await asked.calls.call("method", b"", lambda: interruptible(fails()), 5.0)


async def _told(answer: bytes) -> bytes:
    return answer
