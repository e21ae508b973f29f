"""Rollouts: the present one of a service, the revisions that it has had, and the ways to steer it."""

import time
from collections.abc import Callable

from aiohttp import web

from swarmlet.api import views
from swarmlet.api.rollout_schema import RevisionView, RollbackRequest, RolloutAction, RolloutRequest
from swarmlet.api.rollout_views import revision_views
from swarmlet.api.routes import answer, body, commit, read
from swarmlet.api.schema import Listing, WriteReply
from swarmlet.controllers import rollout_commands
from swarmlet.controllers.known import known_service, known_stack
from swarmlet.model.ids import ServiceId, StackName
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Transaction

routes = web.RouteTableDef()

PAUSED_BY_HAND = "by hand"


@routes.get("/v1/services/{service}/history")
async def service_history(request: web.Request) -> web.Response:
    moment = await read(request)
    service = ServiceId(request.match_info["service"])
    known_service(moment.state, service)
    return _history(moment, [service])


@routes.get("/v1/stacks/{stack}/history")
async def stack_history(request: web.Request) -> web.Response:
    moment = await read(request)
    name = StackName(request.match_info["stack"])
    known_stack(moment.state, name)
    return _history(moment, [id_ for id_, each in sorted(moment.state.services.items()) if each.value.stack == name])


def _history(moment: views.Moment, services: list[ServiceId]) -> web.Response:
    items = [view for service in services for view in revision_views(moment.state, service)]
    return answer(Listing[RevisionView](revision=moment.state.revision, items=items), moment.state.revision)


@routes.post("/v1/services/{service}/rollback")
async def roll_back(request: web.Request) -> web.Response:
    wanted = await body(request, RollbackRequest)
    service = ServiceId(request.match_info["service"])
    return await _write(request, lambda state: rollout_commands.rollback(state, service, wanted.to, time.time()))


@routes.post("/v1/services/{service}/rollout")
async def steer_rollout(request: web.Request) -> web.Response:
    wanted = await body(request, RolloutRequest)
    service = ServiceId(request.match_info["service"])
    match wanted.action:
        case RolloutAction.PAUSE:
            return await _write(request, lambda state: rollout_commands.pause(state, service, PAUSED_BY_HAND))
        case RolloutAction.RESUME:
            return await _write(request, lambda state: rollout_commands.resume(state, service, time.time()))
        case RolloutAction.ABORT:
            return await _write(request, lambda state: rollout_commands.abort(state, service, time.time()))


async def _write(request: web.Request, make: Callable[[ClusterState], Transaction]) -> web.Response:
    revision, _ = await commit(request, make)
    return answer(WriteReply(revision=revision), revision)
