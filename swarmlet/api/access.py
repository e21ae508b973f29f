"""Who may use the API before there are users: holders of the token, or whoever is on this host where none is set.

Without a token the API answers on loopback and a Unix socket only (the configuration sees to that). A web page in a
browser on this host could still reach loopback, so there a request must name a local host (no DNS rebinding), and
one that changes something must not come from another origin.
"""

import hmac
import ipaddress
from functools import lru_cache

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

OPEN_PATHS = frozenset({"/healthz"})
SAFE_METHODS = frozenset({"GET", "HEAD"})


def access_middleware(token: str | None) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        over_tcp = request.transport is not None and isinstance(request.transport.get_extra_info("peername"), tuple)
        if over_tcp and request.path not in OPEN_PATHS:
            if token is None:
                _check_local(request)
            else:
                _check_token(request, token)
        return await handler(request)

    return check


def _check_token(request: web.Request, token: str) -> None:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    # Headers that are no UTF-8 hold surrogates.
    if not hmac.compare_digest(given.encode(errors="surrogateescape"), token.encode()):
        raise web.HTTPUnauthorized(
            text="this peer wants its API token: send 'Authorization: Bearer …' (the CLI reads SWARMLET_TOKEN)",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _check_local(request: web.Request) -> None:
    if not _is_local(request.host):
        raise web.HTTPForbidden(text=f"the Host header says {request.host!r}; without a token only local names answer")
    if request.method not in SAFE_METHODS and "Origin" in request.headers:
        raise web.HTTPForbidden(text="without a token the API takes no changes from web pages")


@lru_cache(256)
def _is_local(host: str) -> bool:
    name = host.rsplit(":", 1)[0].strip("[]") if not host.endswith("]") else host.strip("[]")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
