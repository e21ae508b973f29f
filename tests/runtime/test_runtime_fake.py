"""The fake's knobs: what other packages' tests lean on."""

import asyncio

import pytest

from swarmlet.model.ids import ServiceId, TaskId
from swarmlet.model.spec import TaskTemplate
from swarmlet.runtime.fake import FakeRuntime
from swarmlet.runtime.interface import ContainerFailed, ContainerSpec, ExecResult, RuntimeUnavailable

TASK = TaskId("t1")


def a_container_spec() -> ContainerSpec:
    return ContainerSpec(TASK, ServiceId("demo.web"), "swarmlet-demo.web-1", TaskTemplate(image="web:1"))


async def test_a_held_pull_waits_to_be_released() -> None:
    runtime = FakeRuntime()
    runtime.hold_pull("web:1")
    pulling = asyncio.create_task(runtime.ensure_image("web:1"))
    await runtime.until(lambda: ("ensure_image", "web:1") in runtime.calls)

    assert not pulling.done()
    runtime.release_pull("web:1")

    await pulling
    assert runtime.images == {"web:1"}


async def test_failures_are_switched_on_and_off_by_task() -> None:
    runtime = FakeRuntime()
    runtime.start_failures[TASK] = "no such program"
    container_id = await runtime.create(a_container_spec())

    with pytest.raises(ContainerFailed, match="no such program"):
        await runtime.start(container_id)
    del runtime.start_failures[TASK]
    await runtime.start(container_id)

    assert runtime.running(TASK) == container_id


async def test_an_unavailable_engine_refuses_everything() -> None:
    runtime = FakeRuntime()
    runtime.unavailable = "connection refused"

    with pytest.raises(RuntimeUnavailable, match="connection refused"):
        await runtime.list()


async def test_commands_are_answered_by_the_test() -> None:
    runtime = FakeRuntime()
    runtime.exec_handler = lambda task, argv: ExecResult(1, f"{task} {argv[0]}")
    container_id = await runtime.create(a_container_spec())
    await runtime.start(container_id)

    assert await runtime.execute(container_id, ("check",), 1.0) == ExecResult(1, "t1 check")


async def test_the_same_calls_make_the_same_ids() -> None:
    assert [await FakeRuntime().create(a_container_spec()) for _ in range(2)] == ["fake-1", "fake-1"]
