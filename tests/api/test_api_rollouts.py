"""Rollouts over HTTP: history, pause and resume, going back; and what a service says of its rollout."""

from collections.abc import Iterable
from pathlib import Path

from aiohttp.test_utils import TestClient
from api_builders import a_peer, an_api

from swarmlet.api.peer import Peer
from swarmlet.api.rollout_schema import RevisionView
from swarmlet.api.schema import DeployReply, Listing, ServiceView
from swarmlet.controllers import reconcile
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import Desired, Task
from swarmlet.model.observed import Address, Health, Liveness, NodeFacts, ObservedNode, ObservedState, Phase, TaskStatus

HOST = NodeId("host")
YAML = {"Content-Type": "application/yaml"}


async def deploy(client: TestClient, image: str) -> DeployReply:  # type: ignore[type-arg]
    text = f"services: {{web: {{image: '{image}'}}}}"
    reply = await client.put("/v1/stacks/shop", data=text, headers=YAML)
    return DeployReply.model_validate(await reply.json())


async def the_leader_looks(peer: Peer, observed: ObservedState | None = None) -> bool:
    outcome = reconcile(peer.consensus.replica.state, observed or ObservedState(), 1_000.0, gone=())
    for transaction in outcome.transactions:
        assert (await peer.consensus.submit(transaction)).succeeded
    return bool(outcome.transactions)


async def all_is_rolled_out(peer: Peer) -> None:
    """On a node where everything becomes ready at once."""
    while await the_leader_looks(peer, _a_node_with(peer.consensus.replica.state.tasks_on(HOST))):
        pass


def _a_node_with(tasks: Iterable[Task]) -> ObservedState:
    statuses = {
        task.id: TaskStatus(
            task=task.id,
            service=task.service,
            revision=task.revision,
            phase=Phase.RUNNING if task.desired is Desired.RUN else Phase.STOPPED,
            health=Health.HEALTHY,
            changed_at=0.0,
        )
        for task in tasks
    }
    facts = NodeFacts(name=HOST, version="0", runtime="fake", cpus=4, memory_bytes=2**30)
    node = ObservedNode(HOST, HOST, Address("127.0.0.1", 1), Liveness.ALIVE, facts, statuses)
    return ObservedState({HOST: node})


async def the_service(client: TestClient) -> ServiceView:  # type: ignore[type-arg]
    return ServiceView.model_validate(await (await client.get("/v1/services/shop.web")).json())


async def test_the_history_says_what_there_was_and_a_rollback_adds_to_it(tmp_path: Path) -> None:
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        for image in ("web:1", "web:2"):
            await deploy(client, image)
            await all_is_rolled_out(peer)
        reply = await client.post("/v1/services/shop.web/rollback", json={"to": 1})
        assert reply.status == 200
        await all_is_rolled_out(peer)

        answer = await (await client.get("/v1/stacks/shop/history")).json()
        service = await the_service(client)

    history = Listing[RevisionView].model_validate(answer).items
    assert [(each.number, each.image, each.outcome, each.current) for each in history] == [
        (3, "web:1", "healthy", True),
        (2, "web:2", "healthy", False),
        (1, "web:1", "healthy", False),
    ]
    assert history[0].reason == "back to revision 1: asked for"
    assert service.rollout is not None
    assert (service.rollout.rollback, service.rollout.undoes) == (True, history[1].revision)


async def test_a_rollout_is_paused_and_resumed(tmp_path: Path) -> None:
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        reply = await client.put(
            "/v1/stacks/shop", data="services: {web: {image: 'web:1'}}", headers=YAML
        )  # no node is there to run it
        deployed = DeployReply.model_validate(await reply.json())
        assert (await the_service(client)).rollout is None
        await the_leader_looks(peer)

        assert (await client.post("/v1/services/shop.web/rollout", json={"action": "pause"})).status == 200
        paused = (await the_service(client)).rollout
        again = await client.post("/v1/services/shop.web/rollout", json={"action": "pause"})
        why = (await again.json())["detail"]
        assert (await client.post("/v1/services/shop.web/rollout", json={"action": "resume"})).status == 200
        resumed = (await the_service(client)).rollout

    assert paused is not None and resumed is not None
    assert deployed.revisions == {"shop.web": paused.revision}
    assert (paused.state, paused.waits, paused.reason) == ("paused", True, "by hand")
    assert again.status == 422
    assert "has no rollout to pause" in why
    assert (resumed.state, resumed.waits) == ("running", False)


async def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        unknown = await client.get("/v1/services/shop.web/history")
        await deploy(client, "web:1")
        await the_leader_looks(peer)
        nothing = await client.post("/v1/services/shop.web/rollback", json={})
        number = await client.post("/v1/services/shop.web/rollback", json={"to": 7})
        abort = await client.post("/v1/services/shop.web/rollout", json={"action": "abort"})

        assert unknown.status == 404
        assert nothing.status == number.status == abort.status == 422
        assert "no other healthy revision" in (await nothing.json())["detail"]
        assert "no revision 7 on record; there is 1" in (await number.json())["detail"]
