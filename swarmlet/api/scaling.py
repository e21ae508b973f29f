"""Why an autoscaled service has as many replicas as it has. Any peer says it, from what it knows."""

from aiohttp import web

from swarmlet.api import views
from swarmlet.api.routes import answer, read
from swarmlet.api.scaling_schema import MetricProposal, RecommendationView, ScaleChangeView, ScalingView
from swarmlet.controllers.autoscaling import assess, autoscaled
from swarmlet.controllers.known import known_service
from swarmlet.model.ids import ServiceId
from swarmlet.model.objects import Service

routes = web.RouteTableDef()


@routes.get("/v1/services/{service}/scaling")
async def explain_scaling(request: web.Request) -> web.Response:
    moment = await read(request)
    service = ServiceId(request.match_info["service"])
    found = known_service(moment.state, service)
    return answer(scaling_view(moment, found.value), moment.state.revision)


def scaling_view(moment: views.Moment, service: Service) -> ScalingView:
    scaling = autoscaled(service.spec)
    if scaling is None:
        return ScalingView(service=service.id, replicas=service.spec.replicas, autoscaled=False)
    stored = moment.state.autoscaling.get(service.id)
    tasks = [task.value for task in moment.state.tasks_of(service.id)]
    found = assess(service, tasks, stored.value if stored else None, moment.observed, moment.now)
    return ScalingView(
        service=service.id,
        replicas=found.current,
        autoscaled=True,
        replicas_min=scaling.replicas_min,
        replicas_max=scaling.replicas_max,
        recommended=found.recommended,
        wanted=found.wanted,
        proposals=[
            MetricProposal(metric=each.metric, replicas=each.replicas, why=each.why) for each in found.proposals
        ],
        reasons=list(found.reasons),
        changes_at=found.look_at,
        recommendations=[RecommendationView(since=level.since, replicas=level.high) for level in found.record.levels],
        changes=[
            ScaleChangeView(at=change.at, before=change.before, after=change.after, why=change.why)
            for change in reversed(found.record.changes)
        ],
    )
