"""A backup of what is agreed, streamed as it is made: any peer gives one, and none has to hold all of it at once."""

import asyncio
import time

from aiohttp import web

import swarmlet
from swarmlet.api.routes import PEER, ensure_consistency
from swarmlet.api.schema import REVISION_HEADER
from swarmlet.api.streaming import streamed
from swarmlet.errors import SwarmletError
from swarmlet.recovery.backup_file import MEDIA_TYPE, BackupHead, BackupWriter

routes = web.RouteTableDef()


class StateInDoubt(SwarmletError):
    def __init__(self) -> None:
        super().__init__("this peer's state differs from the majority's and is being healed: ask another peer")


@routes.get("/v1/backup")
async def backup(request: web.Request) -> web.StreamResponse:
    """With all that was acknowledged before the request; with `consistency=local` what this peer has."""
    peer = request.app[PEER]
    await ensure_consistency(request, peer, default="linearizable")
    consensus = peer.consensus
    if consensus.machine.distrusted:
        raise StateInDoubt
    view = consensus.store.view()
    head = BackupHead(
        cluster=peer.cluster,
        node=peer.name,
        revision=view.revision,
        index=consensus.applied_index,
        term=consensus.raft.term,
        taken_at=time.time(),
        version=swarmlet.__version__,
    )
    async with streamed(request, {"Content-Type": MEDIA_TYPE, REVISION_HEADER: str(view.revision)}) as response:
        writer = BackupWriter()
        await response.write(writer.begin(head))
        for piece in view.pieces():
            await response.write(writer.piece(piece))
            await asyncio.sleep(0)  # a fast reader never makes the write wait, and others want their turn
        await response.write(writer.end())
    return response
