"""Who votes: shown with how far each is, and chosen by people or left to the leader."""

from aiohttp import web

from swarmlet.api.routes import PEER, answer, body, commit, read
from swarmlet.api.schema import VotersReply, VotersRequest
from swarmlet.api.voter_views import voters_view
from swarmlet.controllers import voter_list
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Transaction

routes = web.RouteTableDef()


@routes.get("/v1/voters")
async def get_voters(request: web.Request) -> web.Response:
    """From any peer; how far each log is, the leader is asked for, and unknown when it does not answer."""
    peer = request.app[PEER]
    positions = await peer.log_positions.ask()
    moment = await read(request)
    view = voters_view(moment, peer.consensus.raft.membership, peer.consensus.raft.term, positions)
    return answer(view, moment.state.revision)


@routes.put("/v1/voters")
async def put_voters(request: web.Request) -> web.Response:
    peer = request.app[PEER]
    wanted = await body(request, VotersRequest)
    names = wanted.voters

    def make(state: ClusterState) -> Transaction:
        if names is None:
            return voter_list.release(state)
        membership = peer.consensus.raft.membership
        return voter_list.choose(state, peer.membership.observed(), membership.voters, names)

    revision, _ = await commit(request, make)
    warnings = [] if names is None else voter_list.warnings(len(set(names)))
    return answer(VotersReply(revision=revision, warnings=warnings), revision)
