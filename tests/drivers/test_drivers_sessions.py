"""Request ids and wake-ups: the small parts that the drivers stand on."""

import asyncio

import pytest

from swarmlet.drivers.sessions import SESSIONS_MAX, Sessions, TooManyWrites
from swarmlet.drivers.signal import Signal, listening, wait_at_most


def test_a_session_counts_up_and_is_used_again() -> None:
    sessions = Sessions("node-1")

    first = sessions.take()
    sessions.give_back(first)
    second = sessions.take()

    assert (first.client, first.sequence) == ("node-1-1", 1)
    assert (second.client, second.sequence) == ("node-1-1", 2)


def test_requests_under_way_at_once_have_different_clients() -> None:
    sessions = Sessions("node-1")

    assert sessions.take().client != sessions.take().client


def test_writes_beyond_the_limit_are_refused() -> None:
    sessions = Sessions("node-1")
    taken = [sessions.take() for _ in range(SESSIONS_MAX)]

    with pytest.raises(TooManyWrites):
        sessions.take()
    sessions.give_back(taken[0])
    assert sessions.take().client == taken[0].client


async def test_any_of_several_signals_wakes_a_listener() -> None:
    first, second = Signal(), Signal()
    with listening(first, second) as woken:
        second.set()
        assert await wait_at_most(woken, 1.0)
        woken.clear()
        first.set()
        assert woken.is_set()


async def test_a_listener_that_went_away_is_not_kept() -> None:
    signal = Signal()
    with listening(signal) as woken:
        pass

    signal.set()

    assert not woken.is_set()


async def test_waiting_ends_with_its_time() -> None:
    assert not await wait_at_most(asyncio.Event(), 0.01)
