"""A task's log, from wherever it runs, a JSON object a line."""

from contextlib import aclosing

from aiohttp import web

from swarmlet.api.routes import PEER, named_task
from swarmlet.api.schema import LOG_LINES_TYPE, LogLineView
from swarmlet.api.streaming import streamed
from swarmlet.runtime.interface import LogLine

routes = web.RouteTableDef()


@routes.get("/v1/tasks/{task}/logs")
async def stream_logs(request: web.Request) -> web.StreamResponse:
    """`tail=N`: only the last N lines so far; `follow=1`: go on with what comes."""
    peer = request.app[PEER]
    task = named_task(request, peer.consensus.replica.state)
    node = peer.moment().node_name(task.node)
    async with aclosing(peer.logs(task, _tail(request), bool(request.query.get("follow")))) as lines:
        # The first line is awaited before the answer begins, so that a refusal is a problem document, not half a body.
        first = await anext(lines, None)
        async with streamed(request, {"Content-Type": LOG_LINES_TYPE}) as response:
            if first is not None:
                await response.write(_encode(task.id, node, first))
                async for line in lines:
                    await response.write(_encode(task.id, node, line))
    return response


def _tail(request: web.Request) -> int | None:
    text = request.query.get("tail")
    if text is None:
        return None
    if not text.isdigit():
        raise web.HTTPBadRequest(text=f"tail: '{text}' is not a number of lines; write a whole number from 0")
    return int(text)


def _encode(task: str, node: str, line: LogLine) -> bytes:
    view = LogLineView(task=task, node=node, at=line.at, stream=line.stream, text=line.text)
    return view.model_dump_json().encode() + b"\n"
