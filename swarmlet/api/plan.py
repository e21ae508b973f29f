"""What a deploy would do, without doing it. Refused is what a deploy would refuse, in the same words."""

import asyncio

from aiohttp import web

from swarmlet.api.plan_schema import PlanView
from swarmlet.api.plan_views import moves_others, plan_view
from swarmlet.api.routes import answer, read, wanted_stack
from swarmlet.api.schema import RaftRole
from swarmlet.api.views import Moment
from swarmlet.controllers import stacks
from swarmlet.controllers.foresight import foresee
from swarmlet.model.compose import ParsedStack
from swarmlet.model.ids import StackName, service_id
from swarmlet.store import check_transaction

routes = web.RouteTableDef()
ONE_AT_A_TIME = web.AppKey("one plan at a time", asyncio.Lock)
"""A plan may keep a core busy for seconds; a peer has other things to do."""
VOTING = (RaftRole.LEADER, RaftRole.VOTER)


@routes.post("/v1/stacks/{stack}/plan")
async def plan_stack(request: web.Request) -> web.Response:
    parsed = await wanted_stack(request)
    async with request.app[ONE_AT_A_TIME]:
        moment = await read(request)
        # The replica goes on changing meanwhile.
        frozen = Moment(moment.state.copy(), moment.observed, moment.roles, moment.leader, moment.now)
        view = await asyncio.to_thread(_plan, frozen, parsed)
    return answer(view, frozen.state.revision)


def _plan(moment: Moment, parsed: ParsedStack) -> PlanView:
    state, name = moment.state, StackName(parsed.spec.name)
    transaction = stacks.deploy(state, parsed.spec, moment.now)
    check_transaction(transaction)
    watched = {*stacks.services_of(state, name), *(service_id(name, each) for each in parsed.spec.services)}
    voters = frozenset(node for node, role in moment.roles.items() if role in VOTING)
    seen = foresee(state, moment.observed, transaction, watched, moment.now, voters)
    anyway = foresee(state, moment.observed, None, (), moment.now, voters) if moves_others(seen, name) else None
    return plan_view(
        moment,
        name,
        seen,
        anyway,
        changes=bool(transaction.operations),
        warnings=[str(warning) for warning in parsed.warnings],
        unbuilt=frozenset(parsed.unbuilt.values()),
    )
