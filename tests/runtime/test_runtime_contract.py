"""What every runtime promises, asserted on the fake, on processes and on Podman alike."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest
from runtime_builders import (
    DEADLINE_S,
    World,
    a_spec,
    all_lines,
    eventually,
    next_event,
    seen,
    started,
    texts,
)

from swarmlet.model.stock import image_key
from swarmlet.runtime.fake import FakeRuntime
from swarmlet.runtime.interface import (
    ContainerFailed,
    ContainerId,
    ContainerState,
    EventKind,
    ImageUnavailable,
    LogLine,
    NoSuchContainer,
    Used,
)

STUBBORN = "trap '' TERM; echo ready; while true; do sleep 0.05; done"
NOWHERE = ContainerId("0123456789abcdef")


async def test_a_created_container_is_listed_and_does_not_run(world: World) -> None:
    spec = a_spec(world)

    container_id = await world.runtime.create(spec)

    container = await seen(world.runtime, container_id)
    assert (container.task, container.state, container.exit_code) == (spec.task, ContainerState.CREATED, None)
    assert container.started_at is None
    assert container.image == world.image


async def test_a_started_container_runs_and_starting_it_twice_changes_nothing(world: World) -> None:
    container_id = await started(world, a_spec(world))
    first = await seen(world.runtime, container_id)

    await world.runtime.start(container_id)

    assert first.state is ContainerState.RUNNING
    assert await seen(world.runtime, container_id) == first


async def test_endpoints_are_there_while_it_runs_in_the_order_of_its_ports(world: World) -> None:
    container_id = await started(world, a_spec(world, ports=(8080, 80)))

    running = await seen(world.runtime, container_id)
    await world.runtime.kill(container_id)

    assert [endpoint.target_port for endpoint in running.endpoints] == [8080, 80]
    assert all(endpoint.host and endpoint.port for endpoint in running.endpoints)
    assert (await seen(world.runtime, container_id)).endpoints == ()


async def test_a_name_that_is_taken_is_refused(world: World) -> None:
    spec = a_spec(world)
    await world.runtime.create(spec)

    with pytest.raises(ContainerFailed, match=r"already in use"):
        await world.runtime.create(spec)


async def test_a_missing_image_is_told_in_the_engines_words(world: World) -> None:
    with pytest.raises(ImageUnavailable) as raised:
        await world.runtime.ensure_image("no-such-image")

    assert raised.value.image == "no-such-image"
    assert raised.value.message


async def test_events_begin_with_a_resync_and_tell_starts_and_exits_in_order(world: World) -> None:
    async with aclosing(world.runtime.events()) as events:
        assert (await anext(events)).kind is EventKind.RESYNC
        spec = a_spec(world, script="trap 'exit 7' TERM; while true; do sleep 0.02; done")
        container_id = await started(world, spec)

        began = await next_event(events, EventKind.STARTED, container_id)
        await world.runtime.kill(container_id)
        ended = await next_event(events, EventKind.EXITED, container_id)

    assert began.task == ended.task == spec.task
    assert ended.exit_code == 137


async def test_a_container_that_ends_by_itself_is_told_with_its_exit_code(world: World) -> None:
    async with aclosing(world.runtime.events()) as events:
        await anext(events)
        spec = a_spec(world, script="sleep 0.2; exit 3")
        container_id = await started(world, spec)
        world.ends(spec.task, 3)

        event = await next_event(events, EventKind.EXITED, container_id)

    assert event.exit_code == 3
    container = await seen(world.runtime, container_id)
    assert (container.state, container.exit_code) == (ContainerState.EXITED, 3)


async def test_an_ended_container_can_be_started_again_and_each_run_is_told_once(world: World) -> None:
    told: list[tuple[EventKind, int | None]] = []
    async with aclosing(world.runtime.events()) as events:
        await anext(events)
        spec = a_spec(world)
        container_id = await started(world, spec)
        for _ in range(2):
            await world.runtime.kill(container_id)
            await world.runtime.start(container_id)
        await world.runtime.stop(container_id, 0)
        async with asyncio.timeout(DEADLINE_S):
            while len(told) < 6:
                event = await anext(events)
                if event.container_id == container_id:
                    told.append((event.kind, event.exit_code))

    assert told == [(EventKind.STARTED, None), (EventKind.EXITED, 137)] * 3


async def test_stopping_asks_first(world: World) -> None:
    spec = a_spec(world, script="trap 'exit 143' TERM; echo ready; while true; do sleep 0.02; done")
    container_id = await started(world, spec)
    world.says(spec.task, "ready")
    await _said(world, container_id, "ready")

    await world.runtime.stop(container_id, grace_s=DEADLINE_S)

    assert (await seen(world.runtime, container_id)).exit_code == 143


async def test_a_container_that_ignores_the_question_is_killed_after_its_grace(world: World) -> None:
    spec = a_spec(world, script=STUBBORN)
    world.ignores_sigterm(spec.task)
    container_id = await started(world, spec)
    world.says(spec.task, "ready")
    await _said(world, container_id, "ready")

    stopping = asyncio.create_task(world.runtime.stop(container_id, grace_s=0.2))
    await asyncio.sleep(0)
    if world.kind == "fake":
        world.runtime.end_grace(spec.task)  # type: ignore[attr-defined]  # only the fake waits for this

    async with asyncio.timeout(DEADLINE_S):
        await stopping
    assert (await seen(world.runtime, container_id)).exit_code == 137


async def test_stopping_and_killing_what_ended_changes_nothing(world: World) -> None:
    container_id = await started(world, a_spec(world))
    await world.runtime.kill(container_id)
    before = await seen(world.runtime, container_id)

    await world.runtime.kill(container_id)
    await world.runtime.stop(container_id, 1)

    assert await seen(world.runtime, container_id) == before


async def test_removing_ends_it_and_forgets_it_and_is_harmless_twice(world: World) -> None:
    spec = a_spec(world)
    container_id = await started(world, spec)

    await world.runtime.remove(container_id)
    await world.runtime.remove(container_id)

    assert await world.runtime.list() == []
    with pytest.raises(NoSuchContainer):
        await world.runtime.start(container_id)
    await world.runtime.create(spec)


async def test_what_does_not_exist_is_an_error_by_its_own_name(world: World) -> None:
    for call in (
        world.runtime.start(NOWHERE),
        world.runtime.stop(NOWHERE, 1),
        world.runtime.kill(NOWHERE),
        world.runtime.execute(NOWHERE, ("true",), 1),
        anext(world.runtime.logs(NOWHERE, None, False)),
    ):
        with pytest.raises(NoSuchContainer):
            await call


async def test_containers_of_another_cluster_are_not_seen(world: World) -> None:
    other = world.stranger()
    await started(world, a_spec(world))

    assert await other.list() == []

    await other.close()


async def test_containers_outlive_their_agent_and_are_found_again(world: World) -> None:
    spec = a_spec(world, ports=(80,))
    container_id = await started(world, spec)
    before = await seen(world.runtime, container_id)
    if world.kind != "fake":
        await world.runtime.close()

    returned = world.another()
    async with aclosing(returned.events()) as events:
        assert (await anext(events)).kind is EventKind.RESYNC
        after = await seen(returned, container_id)
        await returned.kill(container_id)
        ended = await next_event(events, EventKind.EXITED, container_id)

    assert (after.id, after.state, after.endpoints) == (before.id, before.state, before.endpoints)
    assert ended.exit_code == 137
    world.runtime = returned


async def test_logs_keep_both_streams_and_their_last_lines(world: World) -> None:
    spec = a_spec(world, script="echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three")
    container_id = await started(world, spec)
    if world.kind == "fake":
        world.says(spec.task, "one")
        world.runtime.log(spec.task, "two", "stderr")  # type: ignore[attr-defined]
        world.says(spec.task, "three")
        world.ends(spec.task, 0)
    await _ended(world, container_id)

    lines = await all_lines(world.runtime, container_id)

    assert [(line.stream, line.text) for line in lines] == [("stdout", "one"), ("stderr", "two"), ("stdout", "three")]
    assert texts(await all_lines(world.runtime, container_id, tail=2)) == ["two", "three"]
    assert await all_lines(world.runtime, container_id, tail=0) == []


async def test_logs_of_all_runs_of_a_container_are_kept(world: World) -> None:
    spec = a_spec(world, script="echo hello")
    container_id = await started(world, spec)
    world.says(spec.task, "hello")
    for _ in range(1):
        world.ends(spec.task, 0)
        await _ended(world, container_id)
        await world.runtime.start(container_id)
        world.says(spec.task, "hello")

    await _said(world, container_id, "hello", times=2)


async def test_followed_logs_come_as_they_are_written_and_end_with_the_container(world: World) -> None:
    spec = a_spec(world, script="echo one; sleep 0.5; echo two")
    container_id = await started(world, spec)
    world.says(spec.task, "one")
    lines: list[LogLine] = []

    async with asyncio.timeout(DEADLINE_S), aclosing(world.runtime.logs(container_id, None, follow=True)) as followed:
        async for line in followed:
            lines.append(line)
            if len(lines) == 1:
                world.says(spec.task, "two")
                world.ends(spec.task, 0)

    assert texts(lines) == ["one", "two"]


async def test_a_follower_of_a_silent_container_can_be_cancelled(world: World) -> None:
    container_id = await started(world, a_spec(world))

    reading = asyncio.ensure_future(anext(world.runtime.logs(container_id, 0, follow=True)))
    done, _ = await asyncio.wait([reading], timeout=0.2)
    reading.cancel()

    assert not done
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_a_container_that_never_ran_has_no_logs(world: World) -> None:
    container_id = await world.runtime.create(a_spec(world))

    assert await all_lines(world.runtime, container_id) == []


async def test_commands_in_what_does_not_run_are_refused(world: World) -> None:
    container_id = await world.runtime.create(a_spec(world))

    with pytest.raises(ContainerFailed, match="running"):
        await world.runtime.execute(container_id, ("true",), 5)


async def test_the_image_of_a_task_is_in_stock(world: World) -> None:
    await world.runtime.ensure_image(world.image)
    await started(world, a_spec(world))

    assert image_key(world.image) in {image_key(name) for name in (await world.runtime.stock()).images}


async def test_capacity_is_what_the_machine_has(world: World) -> None:
    capacity = await world.runtime.capacity()

    assert capacity.cpus >= 1
    assert capacity.memory_bytes > 1 << 20


async def test_closing_ends_the_readers(world: World) -> None:
    async with aclosing(world.runtime.events()) as events:
        await anext(events)
        reading = asyncio.create_task(_drain(events))

        for container in await world.runtime.list():
            await world.runtime.remove(container.id)
        await world.runtime.close()

        async with asyncio.timeout(DEADLINE_S):
            await reading
    if world.kind == "podman":
        world.runtime = world.another()


async def _drain(events: object) -> None:
    async for _ in events:  # type: ignore[attr-defined]
        pass


async def _ended(world: World, container_id: ContainerId) -> None:
    async def ended() -> bool:
        return (await seen(world.runtime, container_id)).state is ContainerState.EXITED

    await eventually(ended)


async def _said(world: World, container_id: ContainerId, text: str, times: int = 1) -> None:
    async def said() -> bool:
        return texts(await all_lines(world.runtime, container_id)).count(text) >= times

    await eventually(said)


async def test_what_a_running_container_uses_is_measured_with_all_its_processes(world: World) -> None:
    spec = a_spec(world, script="(while :; do :; done) & while :; do sleep 1; done")
    container_id = await started(world, spec)
    if isinstance(world.runtime, FakeRuntime):
        world.runtime.used[spec.task] = Used(1.0, 1 << 20)

    async def burnt() -> bool:
        return (await world.runtime.usage())[spec.task].cpu_s > 0.1

    await eventually(burnt)
    assert (await world.runtime.usage())[spec.task].memory_bytes > 0

    await world.runtime.kill(container_id)

    assert spec.task not in await world.runtime.usage()


async def test_containers_of_one_pod_have_one_address_and_others_have_not(world: World) -> None:
    if world.kind == "process":
        pytest.skip("processes have their host's network, all of them")
    web = replace(a_spec(world, "exec httpd -f -p 8080 -h /www", ports=(8080,)), pod="swarmlet-pod-demo.front-1")
    side = replace(a_spec(world, ports=(9090,)), pod="swarmlet-pod-demo.front-1")
    alone = a_spec(world, ports=(8080,))
    ids = [await started(world, spec) for spec in (web, side, alone)]

    found = [await seen(world.runtime, container_id) for container_id in ids]
    (first,), (second,), (third,) = (container.endpoints for container in found)

    assert first.host == second.host != third.host
    assert (first.port, second.port) == (8080, 9090)
    assert len(await world.runtime.list()) == 3, "nothing of the pod itself is a container of a task"


async def test_one_of_a_pod_ends_starts_again_and_goes_without_the_others(world: World) -> None:
    if world.kind == "process":
        pytest.skip("processes have their host's network, all of them")
    specs = [replace(a_spec(world, ports=(port,)), pod="swarmlet-pod-demo.front-2") for port in (8080, 9090)]
    one, other = [await started(world, spec) for spec in specs]
    address = (await seen(world.runtime, other)).endpoints[0].host

    await world.runtime.kill(one)
    await world.runtime.start(one)
    assert (await seen(world.runtime, one)).endpoints[0].host == address

    await world.runtime.remove(one)
    assert (await seen(world.runtime, other)).state is ContainerState.RUNNING
    again = await started(world, replace(a_spec(world, ports=(8081,)), pod=specs[0].pod))
    assert (await seen(world.runtime, again)).endpoints[0].host == address


async def test_the_devices_that_a_container_was_given_are_listed_with_it(world: World) -> None:
    spec = replace(a_spec(world), devices=("/dev/null", "/dev/zero"))

    container_id = await world.runtime.create(spec)

    assert (await seen(world.runtime, container_id)).devices == ("/dev/null", "/dev/zero")
