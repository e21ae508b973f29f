"""A task's log, from wherever it runs, a JSON object a line."""

from contextlib import aclosing

from aiohttp import web

from swarmlet.api.query import flag, whole_number
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
    text = request.query.get("tail")
    tail = None if text is None else whole_number(text, "tail")
    async with aclosing(peer.logs(task, tail, flag(request.query, "follow"))) as lines:
        # The first line is awaited before the answer begins, so that a refusal is a problem document, not half a body.
        first = await anext(lines, None)
        async with streamed(request, {"Content-Type": LOG_LINES_TYPE}) as response:
            if first is not None:
                await response.write(_encode(task.id, node, first))
                async for line in lines:
                    await response.write(_encode(task.id, node, line))
    return response


def _encode(task: str, node: str, line: LogLine) -> bytes:
    view = LogLineView(task=task, node=node, at=line.at, stream=line.stream, text=line.text)
    return view.model_dump_json().encode() + b"\n"
