"""What people change about nodes: cordon, drain, labels, taints; and forgetting one that never returns."""

import time

from aiohttp import web

from swarmlet.api.nodes_schema import DrainRequest, NodeChange
from swarmlet.api.routes import answer, body, commit
from swarmlet.api.schema import WriteReply
from swarmlet.controllers import nodes
from swarmlet.controllers.nodes import UnwantedTaint
from swarmlet.model.placement import Taint, TaintEffect

routes = web.RouteTableDef()


@routes.patch("/v1/nodes/{node}")
async def change_node(request: web.Request) -> web.Response:
    name, wanted = request.match_info["node"], await body(request, NodeChange)
    taints = [Taint(key=each.key, value=each.value, effect=TaintEffect(each.effect)) for each in wanted.taints]
    untaint = [UnwantedTaint(each.key, TaintEffect(each.effect) if each.effect else None) for each in wanted.untaint]
    revision, _ = await commit(
        request,
        lambda state: nodes.change(
            state, name, cordoned=wanted.cordoned, labels=wanted.labels, taints=taints, untaint=untaint
        ),
    )
    return answer(WriteReply(revision=revision), revision)


@routes.put("/v1/nodes/{node}/drain")
async def drain_node(request: web.Request) -> web.Response:
    """How far it is, `GET /v1/nodes/NAME` tells. `PATCH` with `cordoned: false` ends it."""
    name, wanted = request.match_info["node"], await body(request, DrainRequest)
    now = time.time()
    revision, _ = await commit(request, lambda state: nodes.drain(state, name, now, wanted.deadline_s))
    return answer(WriteReply(revision=revision), revision)


@routes.delete("/v1/nodes/{node}")
async def forget_node(request: web.Request) -> web.Response:
    name = request.match_info["node"]
    revision, _ = await commit(request, lambda state: nodes.forget(state, name))
    return answer(WriteReply(revision=revision), revision)
