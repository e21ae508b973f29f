"""The cluster's ring of keys: what every node has, and the three steps of a rotation. Keys are named by their ids."""

from collections import Counter

from aiohttp import web

from swarmlet.api.query import flag
from swarmlet.api.routes import PEER, answer, body
from swarmlet.api.schema import KeyringView, KeyUse, NodeKeysView
from swarmlet.drivers.key_rotation import NodeKeys

routes = web.RouteTableDef()


@routes.get("/v1/keyring")
async def list_keys(request: web.Request) -> web.Response:
    return _answer(request, await request.app[PEER].rotation.look())


@routes.post("/v1/keyring/keys")
async def install_key(request: web.Request) -> web.Response:
    key, found = await request.app[PEER].rotation.install()
    return _answer(request, found, key)


@routes.put("/v1/keyring/primary")
async def use_key(request: web.Request) -> web.Response:
    wanted = await body(request, KeyUse)
    return _answer(request, await request.app[PEER].rotation.use(wanted.key), wanted.key)


@routes.delete("/v1/keyring/keys/{key}")
async def remove_key(request: web.Request) -> web.Response:
    """`force=1`: also when a node is away and could be locked out."""
    key, force = request.match_info["key"], flag(request.query, "force")
    return _answer(request, await request.app[PEER].rotation.remove(key, force), key)


def _answer(request: web.Request, found: list[NodeKeys], key: str = "") -> web.Response:
    return answer(keyring_view(found, key), request.app[PEER].consensus.store.revision)


def keyring_view(found: list[NodeKeys], key: str = "") -> KeyringView:
    seals = Counter(node.keys[0] for node in found if node.keys)
    known = {each for node in found for each in node.keys}
    return KeyringView(
        key=key,
        keys=sorted(known, key=lambda each: (-seals[each], each)),
        nodes=[
            NodeKeysView(
                node=node.name,
                node_id=node.node,
                version=node.version,
                primary=node.keys[0] if node.keys else "",
                keys=list(node.keys),
                problem=node.problem,
                away=node.away,
            )
            for node in found
        ],
    )
