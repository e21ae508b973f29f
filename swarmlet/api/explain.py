"""Why a task is where it is, or nowhere: every rule's word on every node, as this peer would decide it now."""

from aiohttp import web

from swarmlet.api import views
from swarmlet.api.explain_schema import NodeVerdictView, PlacementExplanation, RuleVerdictView
from swarmlet.api.routes import answer, named_task, read
from swarmlet.controllers.explaining import explain_service, explain_task
from swarmlet.controllers.known import known_service
from swarmlet.model.ids import ServiceId
from swarmlet.model.objects import Desired
from swarmlet.scheduler import NodeVerdict

routes = web.RouteTableDef()


@routes.get("/v1/explain/tasks/{task}")
async def explain_one_task(request: web.Request) -> web.Response:
    moment = await read(request)
    task = named_task(request, moment.state)
    verdicts = explain_task(moment.state, moment.observed, moment.now, moment.voters, task)
    shown = views.task_view(moment, task)
    service = moment.state.services.get(task.service)
    told = "is to run" if task.desired is Desired.RUN else f"was told to stop ({task.stop_reason})"
    view = PlacementExplanation(
        service=task.service,
        task=task.id,
        node=shown.node,
        node_id=task.node,
        state=f"{told}; {shown.phase}, {shown.health}{f': {shown.message}' if shown.message else ''}",
        leaves=verdicts.leaves,
        priority=service.value.spec.priority if service else 0,
        nodes=[_node(each) for each in verdicts.nodes],
    )
    return answer(view, moment.state.revision)


@routes.get("/v1/explain/services/{service}")
async def explain_one_service(request: web.Request) -> web.Response:
    """Where one more task of it would go."""
    moment = await read(request)
    id_ = ServiceId(request.match_info["service"])
    found = known_service(moment.state, id_)
    verdicts = explain_service(moment.state, moment.observed, moment.now, moment.voters, found.value)
    nodes = [_node(each) for each in verdicts.nodes]
    view = PlacementExplanation(service=id_, priority=found.value.spec.priority, nodes=nodes)
    return answer(view, moment.state.revision)


def _node(verdict: NodeVerdict) -> NodeVerdictView:
    rules = [
        RuleVerdictView(rule=each.rule, refused=each.refused, text=each.text, value=each.value)
        for each in verdict.rules
    ]
    return NodeVerdictView(node=verdict.name, node_id=verdict.node, accepted=verdict.accepted, rules=rules)
