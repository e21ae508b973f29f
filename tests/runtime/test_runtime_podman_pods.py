"""Pods of the engine's own: their life, and what becomes of them when the agent or the host goes down."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from podman_service import PodmanService
from runtime_builders import World, a_spec, all_lines, eventually, seen, started, texts

from swarmlet.runtime.interface import ContainerFailed, ContainerSpec, ContainerState
from swarmlet.runtime.podman import PodmanRuntime
from swarmlet.runtime.podman.engine import EngineRefused

POD = "swarmlet-pod-demo.front-1"


def a_member(world: World, script: str = "exec sleep 600", ports: tuple[int, ...] = ()) -> ContainerSpec:
    return replace(a_spec(world, script, ports), pod=POD)


def pods(engine: PodmanService) -> list[str]:
    with engine.client() as client:
        return [pod["Name"] for pod in client.api.get("/pods/json").json() or []]


async def test_members_reach_each_other_by_localhost(podman: World) -> None:
    await started(podman, a_member(podman, "exec httpd -f -p 8080 -h /www", (8080,)))
    side = await started(podman, a_member(podman, "until wget -qO- http://127.0.0.1:8080/; do sleep 0.1; done"))

    async def answered() -> bool:
        return "hello" in texts(await all_lines(podman.runtime, side))

    await eventually(answered)


async def test_the_pod_goes_with_its_last_container(podman: World, podman_engine: PodmanService) -> None:
    one, other = [await started(podman, a_member(podman)) for _ in range(2)]
    (name,) = pods(podman_engine)
    assert name.startswith(POD)

    await podman.runtime.kill(one)
    await podman.runtime.remove(other)
    assert pods(podman_engine) == [name], "one that has ended still has its logs"
    await podman.runtime.remove(one)
    assert pods(podman_engine) == []


async def test_a_container_that_cant_be_made_leaves_no_pod_behind(podman: World, podman_engine: PodmanService) -> None:
    with pytest.raises(ContainerFailed):
        await podman.runtime.create(replace(a_spec(podman, image="localhost/nobody-has-it:1"), pod=POD))

    assert pods(podman_engine) == []


async def test_first_members_made_at_once_are_in_one_pod(podman: World, podman_engine: PodmanService) -> None:
    ids = await asyncio.gather(*(started(podman, a_member(podman, ports=(port,))) for port in (80, 81, 82)))

    assert len(pods(podman_engine)) == 1
    hosts = {(await seen(podman.runtime, container_id)).endpoints[0].host for container_id in ids}
    assert len(hosts) == 1
    await asyncio.gather(*(podman.runtime.remove(container_id) for container_id in ids))
    assert pods(podman_engine) == []


async def test_the_next_agent_adopts_pods_and_removes_empty_ones(podman: World, podman_engine: PodmanService) -> None:
    kept = await started(podman, a_member(podman, ports=(80,)))
    emptied = await started(podman, replace(a_spec(podman), pod="swarmlet-pod-demo.front-2"))
    before = await seen(podman.runtime, kept)
    with podman_engine.client() as client:  # as when an agent is killed before it removed the pod
        client.api.delete(f"/containers/{emptied}", params={"force": True, "timeout": 0})
    assert len(pods(podman_engine)) == 2

    successor = podman.another()
    try:
        assert await seen(successor, kept) == before
        assert [name[: len(POD)] for name in pods(podman_engine)] == [POD]
        await successor.remove(kept)
        assert pods(podman_engine) == []
    finally:
        await successor.close()


async def test_a_pod_that_cant_be_removed_now_is_removed_later_and_holds_up_no_listing(
    podman: World, podman_engine: PodmanService
) -> None:
    left = await started(podman, a_member(podman))
    with podman_engine.client() as client:
        client.api.delete(f"/containers/{left}", params={"force": True, "timeout": 0})
    successor = podman.another()
    assert isinstance(successor, PodmanRuntime)
    engine = successor._engine
    call = engine.call

    async def refusing(method: str, path: str, *rest: Any, **more: Any) -> Any:
        if path.startswith("/pods/"):
            raise EngineRefused(500, "database is locked")
        return await call(method, path, *rest, **more)

    try:
        engine.call = refusing  # type: ignore[method-assign]
        assert await successor.list() == []
        assert len(pods(podman_engine)) == 1

        engine.call = call  # type: ignore[method-assign]
        assert await successor.list() == []
        assert pods(podman_engine) == []
    finally:
        await successor.close()


async def test_after_a_reboot_a_started_member_has_its_pods_network_again(
    podman: World, podman_engine: PodmanService
) -> None:
    one, other = [await started(podman, a_member(podman, ports=(port,))) for port in (80, 81)]
    with podman_engine.client() as client:  # everything is dead, the engine's own container too
        for row in client.api.get("/containers/json", params={"all": True}).json():
            client.api.post(f"/containers/{row['Id']}/kill", params={"signal": "KILL"})

    async def all_ended() -> bool:
        return {container.state for container in await podman.runtime.list()} == {ContainerState.EXITED}

    await eventually(all_ended)
    for container_id in (one, other):
        await podman.runtime.start(container_id)

    (first,) = (await seen(podman.runtime, one)).endpoints
    (second,) = (await seen(podman.runtime, other)).endpoints
    assert first.host == second.host != ""
