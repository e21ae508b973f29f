"""Nodes over HTTP: changed, drained, forgotten, and shown with what was changed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp.test_utils import TestClient
from api_builders import NODE, a_peer, an_api

from swarmlet.api.schema import NodeView
from swarmlet.api.views import Moment, node_views
from swarmlet.model.frozen import encode
from swarmlet.model.ids import NodeId, RevisionHash, ServiceId, TaskId
from swarmlet.model.objects import Desired, Drain, Node, NodeStatus, Task
from swarmlet.model.observed import Address, Liveness, NodeFacts, ObservedNode, ObservedState, Phase, TaskStatus
from swarmlet.model.spec import TaskTemplate
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Transaction, put

WEB = ServiceId("shop.web")


@asynccontextmanager
async def an_api_with_nodes(directory: Path) -> AsyncIterator[TestClient]:  # type: ignore[type-arg]
    async with a_peer(directory) as peer, an_api(peer) as client:
        for id_, name, status in ((NODE, "node1", NodeStatus.UP), (NodeId("node-2"), "node2", NodeStatus.DOWN)):
            node = Node(id=id_, name=name, status=status, status_since=1.0)
            await peer.consensus.submit(Transaction((), (put(node.key, node),)))
        yield client


async def test_a_node_is_cordoned_labelled_and_tainted_and_shows_it(tmp_path: Path) -> None:
    change = {"cordoned": True, "labels": {"disk": "ssd"}, "taints": [{"key": "gpu", "effect": "no-execute"}]}
    async with an_api_with_nodes(tmp_path) as client:
        reply = await client.patch("/v1/nodes/node1", json=change)
        assert reply.status == 200

        view = NodeView.model_validate(await (await client.get("/v1/nodes/node1")).json())

    assert view.cordoned
    assert view.labels == {"disk": "ssd"}
    assert [(taint.key, taint.effect) for taint in view.taints] == [("gpu", "no-execute")]


async def test_a_drain_shows_until_the_node_is_uncordoned(tmp_path: Path) -> None:
    async with an_api_with_nodes(tmp_path) as client:
        assert (await client.put("/v1/nodes/node1/drain", json={"deadline_s": 60})).status == 200
        draining = NodeView.model_validate(await (await client.get("/v1/nodes/node1")).json())
        assert (await client.patch("/v1/nodes/node1", json={"cordoned": False})).status == 200
        back = NodeView.model_validate(await (await client.get("/v1/nodes/node1")).json())

    assert draining.drain is not None and draining.drain.deadline == draining.drain.since + 60
    assert draining.drain.left == {}
    assert (back.cordoned, back.drain) == (False, None)


async def test_only_a_node_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    async with an_api_with_nodes(tmp_path) as client:
        refused = await client.delete("/v1/nodes/node1")
        assert (refused.status, (await refused.json())["title"]) == (409, "In use")

        assert (await client.delete("/v1/nodes/node2")).status == 200
        assert (await client.get("/v1/nodes/node2")).status == 404


async def test_bad_changes_are_refused_with_their_reason(tmp_path: Path) -> None:
    async with an_api_with_nodes(tmp_path) as client:
        unknown = await client.patch("/v1/nodes/node9", json={"cordoned": True})
        bad_label = await client.patch("/v1/nodes/node1", json={"labels": {"a b": "c"}})
        bad_field = await client.patch("/v1/nodes/node1", json={"drained": True})
        bad_deadline = await client.put("/v1/nodes/node1/drain", json={"deadline_s": -1})

        assert (unknown.status, (await unknown.json())["detail"]) == (
            404,
            "no node has the name or id 'node9'; there is node1, node2",
        )
        assert "label or taint 'a b'" in (await bad_label.json())["detail"]
        assert [each.status for each in (bad_label, bad_field, bad_deadline)] == [422, 422, 422]


def test_a_drain_counts_what_still_runs_there() -> None:
    def a_task(name: str, desired: Desired) -> Task:
        return Task(
            id=TaskId(name), service=WEB, slot=1, node=NODE, revision=RevisionHash("r"), created_at=1.0,
            template=TaskTemplate(image="web"), desired=desired,
        )  # fmt: skip

    def a_status(name: str, phase: Phase) -> TaskStatus:
        return TaskStatus(task=TaskId(name), service=WEB, revision=RevisionHash("r"), phase=phase)

    tasks = [a_task("a", Desired.RUN), a_task("b", Desired.STOP), a_task("c", Desired.STOP)]
    statuses = [a_status("a", Phase.RUNNING), a_status("b", Phase.STOPPING), a_status("c", Phase.STOPPED)]
    node = Node(id=NODE, name="n", status=NodeStatus.UP, status_since=1.0, cordoned=True, drain=Drain(since=1.0))
    facts = NodeFacts(
        name="n", version="1", runtime="fake", cpus=1, memory_bytes=1, labels={"a": "own", "b": "own"},
        devices={"gpu": 2},
    )  # fmt: skip
    observed = ObservedNode(
        NODE, "n", Address("127.0.0.1", 1), Liveness.ALIVE, facts, {status.task: status for status in statuses}
    )
    labelled = node.model_copy(update={"labels": {"a": "set"}})
    state = ClusterState.of([(each.key, encode(each), 1) for each in (labelled, *tasks)], 1)

    (view,) = node_views(Moment(state, ObservedState({NODE: observed}), {}, None, 0.0))

    assert view.drain is not None and view.drain.left == {WEB: 2}
    assert view.labels == {"a": "set", "b": "own"}
    assert view.devices == {"gpu": 2}
