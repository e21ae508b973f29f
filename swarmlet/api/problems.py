"""Every error the API can give, phrased once, as RFC 9457 problem documents."""

from collections.abc import Mapping

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from swarmlet.api.kv_requests import CompareFailed, Superseded
from swarmlet.api.schema import PROBLEM_TYPE, REVISION_HEADER, Problem
from swarmlet.controllers.job_errors import JobRefused, UnknownJob, UnknownRun
from swarmlet.controllers.node_errors import NodeHasTasks, NodeIsUp, NodeRefused, UnknownNode
from swarmlet.controllers.stack_errors import PortConflict, StackRefused, UnknownService, UnknownStack
from swarmlet.controllers.voter_list import UnknownVoter, VotersRefused
from swarmlet.drivers.leader_calls import NoLeader, NotTaken
from swarmlet.drivers.sessions import TooManyWrites
from swarmlet.errors import SwarmletError
from swarmlet.model.compose import ComposeError
from swarmlet.node.errors import NoContainerYet, UnknownTask
from swarmlet.security.keyring import UnknownKey
from swarmlet.store import InvalidKey, InvalidRequestId, StoreFull, TransactionRefused
from swarmlet.transport import PeerTimeout, PeerUnavailable, RemoteError

log = structlog.get_logger()

RETRY_AFTER_S = 1
KEPT_HEADERS = (REVISION_HEADER, "Allow", "WWW-Authenticate")
STATUS_OF: tuple[tuple[type[SwarmletError], int, str], ...] = (
    (NoLeader, 503, "No leader"),
    (NotTaken, 503, "No leader"),
    (TooManyWrites, 503, "Too busy"),
    (PeerUnavailable, 502, "Peer not reachable"),
    (PeerTimeout, 504, "Peer did not answer"),
    (RemoteError, 502, "Peer refused"),
    (ComposeError, 422, "Compose file refused"),
    (CompareFailed, 412, "Not as expected"),
    (Superseded, 409, "Superseded"),
    (InvalidKey, 400, "Bad key"),
    (InvalidRequestId, 400, "Bad request id"),
    (StoreFull, 507, "Store full"),
    (TransactionRefused, 413, "Too large"),
    (UnknownStack, 404, "Not found"),
    (UnknownService, 404, "Not found"),
    (UnknownJob, 404, "Not found"),
    (UnknownRun, 404, "Not found"),
    (JobRefused, 409, "Refused"),
    (PortConflict, 409, "Port taken"),
    (StackRefused, 422, "Refused"),
    (UnknownVoter, 404, "Not found"),
    (VotersRefused, 422, "Refused"),
    (UnknownNode, 404, "Not found"),
    (NodeIsUp, 409, "In use"),
    (NodeHasTasks, 409, "In use"),
    (NodeRefused, 422, "Refused"),
    (UnknownKey, 404, "Not found"),
    (UnknownTask, 404, "Not found"),
    (NoContainerYet, 404, "No log yet"),
    (SwarmletError, 409, "Refused"),
)
"""First match wins: a more special error comes first."""


class NotFound(web.HTTPNotFound):
    def __init__(self, what: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text=what, headers=headers)


def problem_response(problem: Problem, told: Mapping[str, str] | None = None) -> web.Response:
    """`told`: the headers of the answer that it takes the place of."""
    headers = {name: told[name] for name in KEPT_HEADERS if name in told} if told else {}
    if problem.status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return web.Response(
        text=problem.model_dump_json(exclude_none=True),
        status=problem.status,
        content_type=PROBLEM_TYPE,
        headers=headers,
    )


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        detail = error.text or error.reason
        problem = Problem(title=error.reason, status=error.status, detail=detail)
        return problem_response(problem, error.headers)
    except ValidationError as error:
        return problem_response(Problem(title="Bad request", status=422, detail=_first_fault(error)))
    except ComposeError as error:
        return problem_response(
            Problem(
                title="Compose file refused",
                status=422,
                detail=str(error),
                file=error.filename,
                line=error.line,
                column=error.column,
            )
        )
    except SwarmletError as error:
        status, title = next((code, title) for kind, code, title in STATUS_OF if _is_a(error, kind))
        present = error.present if isinstance(error, CompareFailed) else None
        problem = Problem(
            title=title, status=status, detail=str(error), revision=present, nothing_done=_nothing_done(error) or None
        )
        return problem_response(problem)
    except ConnectionError:
        raise  # the client is gone: nobody is left to be told
    except Exception as error:
        # A fault of ours. The client gets no more than its kind: the rest is for the log.
        log.exception("request_failed", method=request.method, path=request.path)
        detail = f"{type(error).__name__}: the agent's log has the details"
        return problem_response(Problem(title="Internal fault", status=500, detail=detail))


def _nothing_done(error: SwarmletError) -> bool:
    return isinstance(error, TooManyWrites) or (isinstance(error, NoLeader) and not error.asked)


def _is_a(error: SwarmletError, kind: type[SwarmletError]) -> bool:
    """Also where it is the leader's error, told by a peer that passed the request on."""
    if isinstance(error, RemoteError) and error.code == StoreFull.__name__:
        return kind is StoreFull
    return isinstance(error, kind)


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"])
    return f"{place}: {fault['msg']}" if place else fault["msg"]
