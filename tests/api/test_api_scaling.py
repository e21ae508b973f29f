"""What is said of an autoscaled service, over HTTP and by the command line, by the rules that the leader acts on."""

from pathlib import Path

import pytest
from api_builders import a_peer, an_api

from swarmlet.api.scaling_schema import ScalingView
from swarmlet.cli.explain import scaling_lines
from swarmlet.model.autoscale import Autoscale, Autoscaling, Level, ScaleChange
from swarmlet.model.ids import ServiceId, StackName
from swarmlet.model.objects import Service
from swarmlet.model.spec import Resources, ServiceSpec, TaskTemplate
from swarmlet.model.transaction import Transaction, put

TEMPLATE = TaskTemplate(image="web:1", reservations=Resources(cpus=0.5))
COMPOSE = """\
services:
  web:
    image: web:1
    cpus: 0.5
    x-swarmlet: {autoscale: {min: 2, max: 4, cpu: 70%}}
  plain:
    image: web:1
"""


async def test_any_peer_explains_and_refuses_to_scale_by_hand(tmp_path: Path) -> None:
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        assert (await client.put("/v1/stacks/shop", json={"compose": COMPOSE})).status == 200

        reply = await client.get("/v1/services/shop.web/scaling")
        plain = ScalingView.model_validate(await (await client.get("/v1/services/shop.plain/scaling")).json())
        refused = await client.patch("/v1/services/shop.web", json={"replicas": 3})
        missing = await client.get("/v1/services/shop.none/scaling")
        metrics = await (await client.get("/metrics")).text()

        view = ScalingView.model_validate(await reply.json())
        assert (view.replicas, view.replicas_min, view.replicas_max, view.autoscaled) == (2, 2, 4, True)
        assert [proposal.why for proposal in view.proposals] == ["cpu: no task is ready"]
        assert view.reasons == ["cpu: no task is ready", "without any figure the number stays"]
        assert not plain.autoscaled
        assert refused.status == 422
        assert "change 'min' and 'max'" in (await refused.json())["detail"]
        assert missing.status == 404
        assert 'swarmlet_autoscaled_replicas{service="shop.web",which="max"} 4.0' in metrics


async def test_past_changes_and_recommendations_are_told(tmp_path: Path) -> None:
    spec = ServiceSpec(name="web", template=TEMPLATE, replicas=4, autoscale=Autoscale(replicas_max=8, cpu_percent=50))
    service = Service(id=ServiceId("shop.web"), stack=StackName("shop"), spec=spec, revision=TEMPLATE.revision())
    record = Autoscaling(
        service=service.id,
        levels=(Level(since=10.0, low=4, high=4),),
        changes=(
            ScaleChange(at=5.0, before=1, after=2, why="first"),
            ScaleChange(at=9.0, before=2, after=4, why="cpu"),
        ),
    )
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        await peer.consensus.submit(Transaction((), (put(service.key, service), put(record.key, record))))
        view = ScalingView.model_validate(await (await client.get("/v1/services/shop.web/scaling")).json())

    assert [(change.before, change.after) for change in view.changes] == [(2, 4), (1, 2)], "the youngest first"
    assert [(level.since, level.replicas) for level in view.recommendations] == [(10.0, 4)]


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"recommended": 3, "wanted": 3}, "now       3 recommended, stays at 3"),
        ({"recommended": 5, "wanted": 5}, "now       5 recommended, goes from 3 to 5"),
        (
            {"recommended": 2, "wanted": 3, "changes_at": 0.0},
            "now       2 recommended, stays at 3, at least for the next 0 s",
        ),
    ],
)
def test_the_outcome_in_one_line(changes: dict[str, object], outcome: str) -> None:
    view = ScalingView(service="shop.web", replicas=3, autoscaled=True, replicas_min=1, replicas_max=5)

    lines = scaling_lines(view.model_copy(update=changes))

    assert lines[0] == "shop.web: 3 tasks, between 1 and 5"
    assert lines[-1] == outcome
