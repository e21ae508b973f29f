"""One event stream (server-sent events) of what is agreed and of what is observed.

Agreed changes carry their revision as the event's id, so a client resumes with `Last-Event-ID` or `?from=REVISION`
and misses none: only the last change of a transaction has an id, so one that was cut off within a transaction gets
all of it again. Observed changes (task and node status) are sent as they are seen from here and are not replayed: a
client that resumes reads the present status instead.

A client that can't be told all it missed is told so, never silently left out: 410 when it asks, and a last event
`compacted` when it falls behind while it follows (it was too slow, or this peer took over a snapshot).
"""

import time
from collections.abc import Iterator
from itertools import pairwise

from aiohttp import web

from swarmlet.api.peer import Peer
from swarmlet.api.query import whole_number
from swarmlet.api.routes import PEER
from swarmlet.api.schema import EVENTS_TYPE, EventView
from swarmlet.api.streaming import streamed
from swarmlet.drivers.signal import listening, wait_at_most
from swarmlet.model.observed import ObservedState
from swarmlet.store import Change, Compacted

KEEPALIVE_S = 15.0
routes = web.RouteTableDef()


@routes.get("/v1/events")
async def stream_events(request: web.Request) -> web.StreamResponse:
    peer = request.app[PEER]
    last = await _start_revision(request, peer)
    async with streamed(request, {"Content-Type": EVENTS_TYPE, "Cache-Control": "no-store"}) as response:
        await _follow(peer, last, response)
    return response


async def _follow(peer: Peer, last: int, response: web.StreamResponse) -> None:
    """Until there is a gap."""
    await response.write(f"id: {last}\n: follow\n\n".encode())
    observed, epoch = peer.membership.observed(), peer.consensus.machine.epoch
    with listening(peer.consensus.applied, peer.membership.changed) as woken:
        while True:
            woken.clear()
            try:
                changes = _changes_after(peer, last, epoch)
            except Compacted as error:
                told = EventView(
                    revision=peer.consensus.store.revision, kind="compacted", key="", message=str(error), at=time.time()
                )
                await response.write(_frame(told))
                return
            for change, following in pairwise((*changes, None)):
                assert change is not None, "only the end has nothing"
                kind = "put" if change.value is not None else "delete"
                event = EventView(
                    revision=change.revision, kind=kind, key=change.key, message=change.reason, at=time.time()
                )
                is_last = following is None or following.revision != change.revision
                await response.write(_frame(event, event_id=change.revision if is_last else None))
                last = change.revision
            now_observed = peer.membership.observed()
            for event in observed_events(observed, now_observed, last):
                await response.write(_frame(event))
            observed = now_observed
            if not await wait_at_most(woken, KEEPALIVE_S):
                await response.write(b": alive\n\n")


def _changes_after(peer: Peer, revision: int, epoch: int) -> list[Change]:
    """Raises `Compacted`, also where the store was replaced by one that has not come so far."""
    store = peer.consensus.store
    if peer.consensus.machine.epoch != epoch and revision > store.revision:
        raise Compacted(revision, store.revision)
    return store.changes_since(revision)


async def _start_revision(request: web.Request, peer: Peer) -> int:
    """Raises 400 for what is no revision, 410 for one that can't be followed from."""
    text = request.headers.get("Last-Event-ID") or request.query.get("from")
    if text is None:
        return peer.consensus.store.revision
    revision = whole_number(text, "from")
    if revision > peer.consensus.store.revision:
        # This peer may be behind. If all that was ever acknowledged does not reach it, it is of another history.
        await peer.consensus.barrier()
    try:
        _changes_after(peer, revision, epoch=-1)
    except Compacted as error:
        raise web.HTTPGone(text=f"{error}; read the present state and follow from its revision") from error
    return revision


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
