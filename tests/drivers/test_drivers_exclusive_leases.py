"""Leases of exclusive tasks on a real node: asked for, renewed, and forgotten with their tasks."""

import asyncio
from pathlib import Path

from drivers_builders import Node, nodes, until

from swarmlet.drivers.exclusive_leases import ExclusiveLeases
from swarmlet.model.ids import NodeId, ServiceId, StackName, TaskId
from swarmlet.model.objects import Service, Task
from swarmlet.model.spec import ServiceSpec, TaskTemplate
from swarmlet.model.transaction import Delete, Transaction, put
from swarmlet.node.loop import NodeLoop
from swarmlet.runtime.fake import FakeRuntime
from swarmlet.runtime.lease_files import LeaseFiles, boot_clock_s

SPEC = ServiceSpec(name="only", template=TaskTemplate(image="x", exclusive=True))
SERVICE = Service(id=ServiceId("s.only"), stack=StackName("s"), spec=SPEC, revision=SPEC.template.revision())


def a_task(node: NodeId) -> Task:
    return Task(
        id=TaskId("t1"), service=SERVICE.id, slot=1, node=node, revision=SERVICE.revision, template=SPEC.template,
        created_at=0.0,
    )  # fmt: skip


def leases_of(node: Node, files: LeaseFiles) -> ExclusiveLeases:
    loop = NodeLoop(node.id, "a", FakeRuntime(node_id=node.id), lambda _task, _status: None)
    return ExclusiveLeases(node.consensus, node.network, loop, files)


async def test_a_lease_is_granted_renewed_and_forgotten_with_its_task(tmp_path: Path) -> None:
    files = LeaseFiles(tmp_path / "leases")
    async with nodes(tmp_path, 1) as made:
        node = await made.led()
        task, leases = a_task(node.id), leases_of(node, files)
        running = asyncio.create_task(leases.run())
        await node.consensus.submit(Transaction((), (put(SERVICE.key, SERVICE), put(task.key, task))))

        await until(lambda: files.read(task.id) > boot_clock_s())
        first = files.read(task.id)
        await until(lambda: files.read(task.id) > first)

        await node.consensus.submit(Transaction((), (Delete(SERVICE.key), Delete(task.key))))
        await until(lambda: not files.folder_of(task.id).exists())
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_a_former_agent_left_of_tasks_that_are_no_more_is_forgotten(tmp_path: Path) -> None:
    files = LeaseFiles(tmp_path / "leases")
    async with nodes(tmp_path, 1) as made:
        node = await made.led()
        task = a_task(node.id)
        await node.consensus.submit(Transaction((), (put(SERVICE.key, SERVICE), put(task.key, task))))
        for name in ("t1", "gone"):
            files.write(TaskId(name), boot_clock_s() + 100)

        running = asyncio.create_task(leases_of(node, files).run())
        await until(lambda: not files.folder_of(TaskId("gone")).exists())

        assert files.read(task.id) > boot_clock_s()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
