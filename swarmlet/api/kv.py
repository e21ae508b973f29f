"""The store for everybody: small values under keys of their own choice, with revisions and compare-and-swap.

Objects live in the store under `kv/`, apart from what the cluster keeps there of itself, and no part of an agent
looks at them. A value is the body as it is. The store's limits hold; what is larger belongs elsewhere.
"""

from aiohttp import web

from swarmlet.api.kv_requests import CompareFailed, Superseded, page_size, request_id, wanted_revision
from swarmlet.api.peer import Peer
from swarmlet.api.problems import NotFound
from swarmlet.api.routes import PEER, ensure_consistency
from swarmlet.api.schema import REVISION_HEADER, KeyListing, KeyView
from swarmlet.model.transaction import Compare, Delete, Operation, Put, Transaction

PREFIX = "kv/"
PAGE_MAX = 1_000
"""Keys in one listing; a longer one goes on with `after`."""
JSON, BYTES = "application/json", "application/octet-stream"
routes = web.RouteTableDef()


@routes.get("/v1/kv")
async def list_keys(request: web.Request) -> web.Response:
    """Keys, not values: a page of values could be a gigabyte."""
    peer = request.app[PEER]
    await ensure_consistency(request, peer)
    query = request.query
    limit = page_size(query, PAGE_MAX)
    after = query.get("after")
    found = peer.consensus.store.scan(
        PREFIX + query.get("prefix", ""), after=None if after is None else PREFIX + after, limit=limit + 1
    )
    items = [
        KeyView(
            key=one.key.removeprefix(PREFIX),
            size_bytes=len(one.value),
            created_revision=one.created_revision,
            revision=one.modified_revision,
        )
        for one in found[:limit]
    ]
    revision = peer.consensus.store.revision
    listing = KeyListing(revision=revision, items=items, more=len(found) > limit)
    return web.Response(body=listing.model_dump_json().encode(), headers=_headers(revision))


@routes.get("/v1/kv/{key:.+}")
async def get_value(request: web.Request) -> web.Response:
    peer = request.app[PEER]
    await ensure_consistency(request, peer)
    store = peer.consensus.store
    key = request.match_info["key"]
    found = store.get(PREFIX + key)
    if found is None:
        raise NotFound(f"no object has the key '{key}'", headers={REVISION_HEADER: str(store.revision)})
    return web.Response(body=found.value, headers=_headers(store.revision, found.modified_revision, BYTES))


@routes.put("/v1/kv/{key:.+}")
async def put_value(request: web.Request) -> web.Response:
    return await _write(request, Put(PREFIX + request.match_info["key"], await request.read()))


@routes.delete("/v1/kv/{key:.+}")
async def delete_value(request: web.Request) -> web.Response:
    """Deleting what is not there is no error: a repeated deletion finds what the first one has done."""
    return await _write(request, Delete(PREFIX + request.match_info["key"]))


async def _write(request: web.Request, operation: Operation) -> web.Response:
    peer = request.app[PEER]
    wanted = wanted_revision(request.headers, request.query if request.query_string else {})
    transaction = Transaction(
        compares=() if wanted is None else (Compare(operation.key, wanted),),
        operations=(operation,),
        request=request_id(request.headers),
    )
    result = await peer.consensus.submit(transaction)
    if result.superseded:
        raise Superseded(request.headers["Swarmlet-Request"])
    if not result.succeeded:
        raise CompareFailed(operation.key.removeprefix(PREFIX), wanted or 0, _present(peer, operation.key))
    made = result.revision if isinstance(operation, Put) else None
    # A `WriteReply`, written down: this answer is given thousands of times a second.
    return web.Response(body=b'{"revision":%d}' % result.revision, headers=_headers(result.revision, made, JSON))


def _present(peer: Peer, key: str) -> int:
    found = peer.consensus.store.get(key)
    return found.modified_revision if found else 0


def _headers(revision: int, object_revision: int | None = None, content_type: str = JSON) -> dict[str, str]:
    headers = {REVISION_HEADER: str(revision), "Content-Type": content_type}
    if object_revision is not None:
        headers["ETag"] = f'"{object_revision}"'
    return headers
