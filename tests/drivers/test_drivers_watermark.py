"""Waiting for a number to be reached: each waiter is woken when its own is, and not before."""

import asyncio

from swarmlet.drivers.watermark import Watermark


async def test_who_waits_for_what_is_reached_already_does_not_wait() -> None:
    assert await Watermark(7).reach(7, 0.0)


async def test_each_waiter_is_woken_when_its_own_number_is_reached() -> None:
    mark = Watermark()
    waiting = {wanted: asyncio.create_task(mark.reach(wanted, 5.0)) for wanted in (3, 1, 2)}
    await asyncio.sleep(0)

    mark.advance(2)

    assert await waiting[1] and await waiting[2]
    assert not waiting[3].done()
    mark.advance(5)
    assert await waiting[3]


async def test_waiting_ends_with_its_time_and_leaves_others_alone() -> None:
    mark = Watermark()
    patient = asyncio.create_task(mark.reach(1, 5.0))

    assert not await mark.reach(1, 0.01)
    mark.advance(1)

    assert await patient
