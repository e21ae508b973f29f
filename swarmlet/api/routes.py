"""Reads and writes under /v1. Reads are views of one moment; writes are transactions of the stacks controller."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel

import swarmlet
from swarmlet.api import views
from swarmlet.api.peer import Peer
from swarmlet.api.problems import NotFound
from swarmlet.api.query import flag
from swarmlet.api.schema import (
    REVISION_HEADER,
    DeployReply,
    DeployRequest,
    Listing,
    NodeView,
    RaftRole,
    ScaleRequest,
    ServiceView,
    StackView,
    StatusView,
    TaskView,
    WriteReply,
)
from swarmlet.controllers import stacks
from swarmlet.controllers.known import known_service, known_stack
from swarmlet.controllers.stack_errors import UnknownStack
from swarmlet.errors import SwarmletError
from swarmlet.model.bonds import as_stored
from swarmlet.model.compose import Given, ParsedStack, Source, Unbuilt, parse_stack
from swarmlet.model.ids import ServiceId, StackName, TaskId, service_id
from swarmlet.model.objects import SERVICES, Desired, NodeStatus, Task
from swarmlet.model.observed import Liveness
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Transaction

PEER = web.AppKey("peer", Peer)
CONFLICT_ATTEMPTS_MAX = 5
"""How often a write is made anew when somebody else wrote in between, before the user is told."""
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml")

ModelT = TypeVar("ModelT", bound=BaseModel)
routes = web.RouteTableDef()


class Contended(SwarmletError):
    def __init__(self) -> None:
        super().__init__(f"others changed the same objects {CONFLICT_ATTEMPTS_MAX} times in between: try again")


def answer(model: BaseModel, revision: int) -> web.Response:
    return web.Response(
        text=model.model_dump_json(), content_type="application/json", headers={REVISION_HEADER: str(revision)}
    )


async def read(request: web.Request) -> views.Moment:
    """The moment to answer from: this peer's own, or one that is linearizable with the request where asked for."""
    peer = request.app[PEER]
    await ensure_consistency(request, peer)
    return peer.moment()


async def ensure_consistency(request: web.Request, peer: Peer, default: str = "local") -> None:
    """After it, this peer's replica is as fresh as the request demands."""
    consistency = request.query.get("consistency", default)
    if consistency == "linearizable":
        await peer.consensus.barrier()
    elif consistency != "local":
        raise web.HTTPBadRequest(text=f"consistency: '{consistency}' is unknown; write local or linearizable")


async def body(request: web.Request, kind: type[ModelT]) -> ModelT:
    return kind.model_validate_json(await request.read() or b"{}")


@routes.get("/healthz")
async def healthz(request: web.Request) -> web.Response:
    """200 while this agent works; the body says whether a leader is known."""
    leader = request.app[PEER].consensus.leader_id
    return web.json_response({"status": "ok", "leader": leader})


@routes.get("/v1/status")
async def status(request: web.Request) -> web.Response:
    moment = await read(request)
    peer = request.app[PEER]
    services = views.service_views(moment)
    nodes = [node for id_, node in moment.observed.nodes.items() if moment.is_member(id_)]
    view = StatusView(
        cluster=peer.cluster,
        node=peer.name,
        node_id=peer.node_id,
        version=swarmlet.__version__,
        revision=moment.state.revision,
        term=peer.consensus.raft.term,
        role=moment.roles.get(peer.node_id, RaftRole.NONE),
        leader=moment.node_name(moment.leader) if moment.leader else None,
        voters=sorted(moment.node_name(node) for node in peer.consensus.raft.membership.voters),
        nodes_alive=sum(1 for node in nodes if node.liveness is Liveness.ALIVE),
        nodes_total=len(nodes),
        services=len(services),
        tasks_wanted=sum(service.wanted for service in services),
        tasks_ready=sum(service.ready for service in services),
        problems=[*peer.problems(), *(f"{view.id}: {view.problem}" for view in services if view.problem)],
    )
    return answer(view, moment.state.revision)


@routes.get("/v1/nodes")
async def list_nodes(request: web.Request) -> web.Response:
    moment = await read(request)
    revision = moment.state.revision
    return answer(Listing[NodeView](revision=revision, items=views.node_views(moment)), revision)


@routes.get("/v1/nodes/{node}")
async def get_node(request: web.Request) -> web.Response:
    moment = await read(request)
    found = views.nodes_called(moment, request.match_info["node"])
    # Of several with one name, the one that is up is meant, as in every change of a node.
    return answer(min(found, key=lambda view: view.status != NodeStatus.UP), moment.state.revision)


@routes.get("/v1/services")
async def list_services(request: web.Request) -> web.Response:
    moment = await read(request)
    stack = stack_asked_for(request, moment.state)
    items = [view for view in views.service_views(moment) if stack in (None, view.stack)]
    return answer(Listing[ServiceView](revision=moment.state.revision, items=items), moment.state.revision)


def stack_asked_for(request: web.Request, state: ClusterState) -> StackName | None:
    """The only one that is to be listed. Raises `UnknownStack`."""
    text = request.query.get("stack")
    return None if text is None else known_stack(state, StackName(text)).value.name


@routes.get("/v1/services/{service}")
async def get_service(request: web.Request) -> web.Response:
    moment = await read(request)
    return answer(_service(moment, ServiceId(request.match_info["service"])), moment.state.revision)


def _service(moment: views.Moment, service: ServiceId) -> ServiceView:
    found = known_service(moment.state, service)
    tasks = [task.value for task in moment.state.tasks_of(service)]
    return views.service_view(moment, found.value, tasks)


@routes.patch("/v1/services/{service}")
async def scale_service(request: web.Request) -> web.Response:
    service = ServiceId(request.match_info["service"])
    wanted = await body(request, ScaleRequest)
    revision, _ = await commit(request, lambda state: stacks.scale(state, service, wanted.replicas))
    return answer(WriteReply(revision=revision), revision)


@routes.get("/v1/tasks")
async def list_tasks(request: web.Request) -> web.Response:
    """Tasks that are to run, and with `all=1` also those that were told to stop and are still remembered."""
    moment = await read(request)
    query, everything = request.query, flag(request.query, "all")
    chosen = [
        task.value
        for task in moment.state.tasks.values()
        if (everything or task.value.desired is Desired.RUN)
        and query.get("service") in (None, task.value.service)
        and query.get("stack") in (None, task.value.service.partition(".")[0])
        and query.get("node") in (None, task.value.node, moment.node_name(task.value.node))
    ]
    if not chosen:
        _check_names(moment, query)
    items = views.task_views(moment, chosen)
    return answer(Listing[TaskView](revision=moment.state.revision, items=items), moment.state.revision)


def _check_names(moment: views.Moment, query: Mapping[str, str]) -> None:
    """Of a listing that found nothing: tasks outlive their service for a while. Raises what is not known."""
    if (stack := query.get("stack")) is not None:
        known_stack(moment.state, StackName(stack))
    if (service := query.get("service")) is not None:
        known_service(moment.state, ServiceId(service))
    if (node := query.get("node")) is not None:
        views.nodes_called(moment, node)


@routes.get("/v1/tasks/{task}")
async def get_task(request: web.Request) -> web.Response:
    moment = await read(request)
    return answer(views.task_view(moment, named_task(request, moment.state)), moment.state.revision)


def named_task(request: web.Request, state: ClusterState) -> Task:
    """The task in the request's path. Raises `NotFound`."""
    found = state.tasks.get(TaskId(request.match_info["task"]))
    if found is None:
        raise NotFound(f"no task has the id '{request.match_info['task']}'")
    return found.value


@routes.get("/v1/stacks")
async def list_stacks(request: web.Request) -> web.Response:
    moment = await read(request)
    found = (views.stack_view(moment, name) for name in sorted(moment.state.stacks))
    items = [view for view in found if view is not None]
    return answer(Listing[StackView](revision=moment.state.revision, items=items), moment.state.revision)


@routes.get("/v1/stacks/{stack}")
async def get_stack(request: web.Request) -> web.Response:
    moment = await read(request)
    name = StackName(request.match_info["stack"])
    view = views.stack_view(moment, name)
    if view is None:
        raise UnknownStack(name, tuple(sorted(moment.state.stacks)))
    return answer(view, moment.state.revision)


async def wanted_stack(request: web.Request) -> ParsedStack:
    """From a `DeployRequest`, or the bare Compose file as YAML where it needs no variables and no other files."""
    if request.content_type in YAML_TYPES:
        wanted = DeployRequest(compose=_text(await request.read()))
    else:
        wanted = await body(request, DeployRequest)
    # A large file takes its time; nothing else of this agent shall wait for it.
    given = Given(
        overrides=tuple(Source(each.filename, each.compose) for each in wanted.overrides),
        contents=wanted.contents,
        profiles=frozenset(wanted.profiles),
        folder=wanted.folder,
        unbuilt=Unbuilt(wanted.unbuilt),
    )
    return await asyncio.to_thread(
        parse_stack, request.match_info["stack"], wanted.compose, wanted.filename, wanted.variables, wanted.files, given
    )


@routes.put("/v1/stacks/{stack}")
async def deploy_stack(request: web.Request) -> web.Response:
    parsed = await wanted_stack(request)
    revision, transaction = await commit(request, lambda state: stacks.deploy(state, parsed.spec, time.time()))
    changed = [op.key.removeprefix(SERVICES) for op in transaction.operations if op.key.startswith(SERVICES)]
    warnings = [str(warning) for warning in parsed.warnings]
    reply = DeployReply(
        revision=revision,
        changed=changed,
        warnings=warnings,
        unbuilt=dict(parsed.unbuilt),
        revisions={
            service_id(StackName(parsed.spec.name), name): each.template.revision()
            for name, each in sorted(as_stored(parsed.spec).services.items())
        },
    )
    return answer(reply, revision)


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise web.HTTPBadRequest(text=f"not UTF-8 text: {error.reason} at byte {error.start}") from error


@routes.delete("/v1/stacks/{stack}")
async def remove_stack(request: web.Request) -> web.Response:
    stack = StackName(request.match_info["stack"])
    revision, _ = await commit(request, lambda state: stacks.remove(state, stack))
    return answer(WriteReply(revision=revision), revision)


async def commit(request: web.Request, make: Callable[[ClusterState], Transaction]) -> tuple[int, Transaction]:
    """Commit what `make` says of the present state, anew when another writer came in between."""
    consensus = request.app[PEER].consensus
    for _ in range(CONFLICT_ATTEMPTS_MAX):
        transaction = make(consensus.replica.state)
        if not transaction.operations:
            return consensus.store.revision, transaction
        result = await consensus.submit(transaction)
        if result.succeeded:
            return result.revision, transaction
        # This replica was behind what the transaction met: catch up before it is made anew.
        await consensus.barrier()
    raise Contended
