"""Why a task is where it is, and why it can't be elsewhere, over HTTP."""

from pathlib import Path

from api_builders import NODE, a_peer, an_api

from swarmlet.api.explain_schema import PlacementExplanation
from swarmlet.cli.explain_placement import placement_lines
from swarmlet.controllers import stacks
from swarmlet.model.ids import NodeId, ServiceId, StackName, TaskId
from swarmlet.model.objects import Node, NodeStatus, Task
from swarmlet.model.placement import Constraint, Placement
from swarmlet.model.spec import ServiceSpec, StackSpec, TaskTemplate
from swarmlet.model.transaction import Transaction, put

SSD = Placement(constraints=(Constraint(attribute="node.labels.disk", value="ssd"),))


async def test_every_rule_says_its_word_on_every_node(tmp_path: Path) -> None:
    template = TaskTemplate(image="web:1")
    spec = StackSpec(
        name="shop", services={"web": ServiceSpec(name="web", template=template, placement=SSD, priority=7)}
    )
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        for id_, name, labels in ((NODE, "node1", {"disk": "ssd"}), (NodeId("node-2"), "node2", {})):
            node = Node(id=id_, name=name, status=NodeStatus.UP, status_since=1.0, labels=labels)
            await peer.consensus.submit(Transaction((), (put(node.key, node),)))
        await peer.consensus.submit(stacks.deploy(peer.consensus.replica.state, spec, 1.0))
        task = Task(
            id=TaskId("t1"), service=ServiceId("shop.web"), slot=1, node=NODE, revision=template.revision(),
            template=template, created_at=1.0,
        )  # fmt: skip
        await peer.consensus.submit(Transaction((), (put(task.key, task),)))

        reply = await client.get("/v1/explain/tasks/t1")
        one_more = await client.get("/v1/explain/services/shop.web")
        missing = [await client.get(f"/v1/explain/{each}") for each in ("tasks/t2", "services/shop.db")]
        view = PlacementExplanation.model_validate(await reply.json())
        service = PlacementExplanation.model_validate(await one_more.json())

    assert [each.status for each in missing] == [404, 404]
    assert (view.service, view.node_id, view.priority, service.task) == (StackName("shop") + ".web", NODE, 7, "")
    rules = {node.node: {rule.rule: rule for rule in node.rules} for node in view.nodes}
    assert rules["node1"]["constraints-hold"].text == "fits"
    assert rules["node2"]["constraints-hold"].text == "node.labels.disk==ssd is not so: it has no such label"
    assert rules["node1"]["fewest-tasks-of-service"].text == "0 tasks of shop.web", "it is looked at as if not there"
    rows = {node.node: {rule.rule: rule for rule in node.rules} for node in service.nodes}
    assert rows["node1"]["fewest-tasks-of-service"].text == "1 task of shop.web"


def test_people_read_refusals_first() -> None:
    refused = {"rule": "constraints-hold", "refused": True, "text": "disk==ssd is not so"}
    passed = {"rule": "node-is-up", "refused": False, "text": "fits"}
    scored = {"rule": "fewest-tasks", "refused": False, "text": "2 tasks in all", "value": 2}
    view = PlacementExplanation.model_validate(
        {
            "service": "shop.web",
            "task": "t1",
            "node": "n1",
            "node_id": "id1",
            "state": "is to run; running, healthy",
            "nodes": [
                {"node": "n1", "node_id": "id1", "accepted": True, "rules": [passed, scored]},
                {"node": "n2", "node_id": "id2", "accepted": False, "rules": [passed, refused]},
            ],
        }
    )

    assert list(placement_lines(view)) == [
        "shop.web: task t1 on n1 is to run; running, healthy",
        "placement placed now, it would go to n1",
        "n1 (rank 1, is there)",
        "  node-is-up    passes    fits",
        "  fewest-tasks  2         2 tasks in all",
        "n2 (refused)",
        "  constraints-hold  refuses   disk==ssd is not so",
        "  node-is-up        passes    fits",
    ]
