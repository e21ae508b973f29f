"""Making a lopsided cluster even again: which tasks are to move, and, unless only shown, that they do."""

import time

from aiohttp import web

from swarmlet.api.rebalance_schema import MoveView, RebalanceReply, RebalanceRequest
from swarmlet.api.routes import PEER, answer, body, commit, read
from swarmlet.controllers.rebalancing import Rebalancing, rebalance
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Transaction

routes = web.RouteTableDef()


@routes.post("/v1/rebalance")
async def rebalance_cluster(request: web.Request) -> web.Response:
    """The moves are marked in one transaction; each task stops when its successor serves."""
    wanted = await body(request, RebalanceRequest)
    moment = await read(request)
    found: list[Rebalancing] = []

    def make(state: ClusterState) -> Transaction:
        observed = request.app[PEER].membership.observed()
        found[:] = [rebalance(state, observed, time.time(), moment.voters, wanted.moves_max)]
        return found[0].transaction

    if wanted.dry_run:
        make(moment.state)
        revision = moment.state.revision
    else:
        revision, _ = await commit(request, make)
    state = request.app[PEER].consensus.replica.state
    moves = [
        MoveView(
            task=move.task,
            service=state.tasks[move.task].value.service if move.task in state.tasks else "",
            source=moment.node_name(move.source),
            target=moment.node_name(move.target),
            why=move.why,
        )
        for move in found[0].moves
    ]
    return answer(RebalanceReply(revision=revision, moves=moves), revision)
