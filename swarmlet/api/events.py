"""One event stream (server-sent events) of what is agreed and of what is observed.

Agreed changes carry their revision as the event's id, so a client resumes with `Last-Event-ID` or `?from=REVISION`
and misses none. Observed ones (task and node status) are sent as they are seen from here and are not replayed: a
client that resumes reads the present status instead. A client too slow for the history is told `compacted`.
"""

import time
from collections.abc import Iterator

from aiohttp import web

from swarmlet.api.peer import Peer
from swarmlet.api.routes import PEER
from swarmlet.api.schema import EventView
from swarmlet.drivers.signal import listening, wait_at_most
from swarmlet.model.observed import ObservedState
from swarmlet.store import Compacted

KEEPALIVE_S = 15.0
routes = web.RouteTableDef()


@routes.get("/v1/events")
async def stream_events(request: web.Request) -> web.StreamResponse:
    peer = request.app[PEER]
    last = _start_revision(request, peer)
    try:
        peer.consensus.store.changes_since(last)
    except Compacted as error:
        raise web.HTTPGone(text=f"{error}; read the present state and follow from its revision") from error
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    await response.write(b": follow\n\n")
    observed = peer.membership.observed()
    with listening(peer.consensus.applied, peer.membership.changed) as woken:
        while True:
            woken.clear()
            try:
                changes = peer.consensus.store.changes_since(last)
            except Compacted as error:
                await response.write(f"event: compacted\ndata: {error}\n\n".encode())
                return response
            for change in changes:
                kind = "put" if change.value is not None else "delete"
                event = EventView(
                    revision=change.revision, kind=kind, key=change.key, message=change.reason, at=time.time()
                )
                await response.write(_frame(event, event_id=change.revision))
                last = change.revision
            now_observed = peer.membership.observed()
            for event in observed_events(observed, now_observed, last):
                await response.write(_frame(event))
            observed = now_observed
            if not await wait_at_most(woken, KEEPALIVE_S):
                await response.write(b": alive\n\n")


def _start_revision(request: web.Request, peer: Peer) -> int:
    text = request.headers.get("Last-Event-ID") or request.query.get("from")
    if text is None:
        return peer.consensus.store.revision
    try:
        return int(text)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"from: '{text}' is not a revision; write a whole number") from error


def _frame(event: EventView, event_id: int | None = None) -> bytes:
    lines = [] if event_id is None else [f"id: {event_id}"]
    lines += [f"event: {event.kind}", f"data: {event.model_dump_json()}"]
    return ("\n".join(lines) + "\n\n").encode()


def observed_events(before: ObservedState, after: ObservedState, revision: int) -> Iterator[EventView]:
    """What differs between two moments, a line for each node and task that changed."""
    now = time.time()
    for node_id, node in after.nodes.items():
        known = before.nodes.get(node_id)
        if known is node:
            continue
        if known is None or known.liveness is not node.liveness:
            yield EventView(
                revision=revision, kind="node", key=node_id, message=f"{node.name} is {node.liveness}", at=now
            )
        for task, status in node.tasks.items():
            was = known.tasks.get(task) if known else None
            if was is None or (was.phase, was.health, was.message) != (status.phase, status.health, status.message):
                message = f"{status.service} on {node.name}: {status.phase} {status.health} {status.message}".rstrip()
                yield EventView(revision=revision, kind="task", key=task, message=message, at=now)
