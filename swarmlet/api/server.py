"""Serves the API on its TCP address and on a Unix socket that only this agent's user can open."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from swarmlet.api import (
    backup,
    events,
    explain,
    export,
    jobs,
    keyring,
    kv,
    logs,
    nodes,
    plan,
    rebalance,
    rollouts,
    routes,
    scaling,
    voters,
)
from swarmlet.api.access import access_middleware
from swarmlet.api.metrics import Counters, metrics_route
from swarmlet.api.peer import Peer
from swarmlet.api.problems import problem_middleware
from swarmlet.model.observed import Address

BODY_BYTES_MAX = 4 * 1024 * 1024
SHUTDOWN_S = 1.0
"""Streams that clients keep open are ended after this long when the agent stops."""


def make_app(peer: Peer, token: str | None, counters: Counters) -> web.Application:
    app = web.Application(middlewares=[problem_middleware, access_middleware(token)], client_max_size=BODY_BYTES_MAX)
    app[routes.PEER] = peer
    app.add_routes(routes.routes)
    app.add_routes(events.routes)
    app.add_routes(explain.routes)
    app.add_routes(export.routes)
    app.add_routes(rebalance.routes)
    app.add_routes(jobs.routes)
    app.add_routes(keyring.routes)
    app.add_routes(logs.routes)
    app[plan.ONE_AT_A_TIME] = asyncio.Lock()
    app.add_routes(plan.routes)
    app.add_routes(kv.routes)
    app.add_routes(nodes.routes)
    app.add_routes(rollouts.routes)
    app.add_routes(scaling.routes)
    app.add_routes(voters.routes)
    app.add_routes(backup.routes)
    app.add_routes([metrics_route(peer, counters)])
    return app


@asynccontextmanager
async def serve(app: web.Application, listen: Address, unix: Path | None) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, listen.host, listen.port).start()
        if unix is not None:
            await web.SockSite(runner, _private_socket(unix)).start()
        yield
    finally:
        await runner.cleanup()
        if unix is not None:
            await asyncio.to_thread(unix.unlink, missing_ok=True)


def _private_socket(path: Path) -> socket.socket:
    """A bound Unix socket that was never, not for a moment, open to other users."""
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        bound.bind(str(path))
    finally:
        os.umask(before)
    return bound
