"""This node's ring of cluster keys: takes later rings from peers, keeps them, and seals and signs with them.

Rules:
- Rings travel over peer streams alone: mutual TLS with forward secrecy, so that who recorded them and learns an old key
  later learns no newer one. They are in no log, no snapshot, no backup, no datagram and no answer of the HTTP API.
- A ring is on disk before it is used. One that does not supersede this node's is refused.
- Connections whose peer a removed key vouched for are ended, `DROP_AFTER_S` later: the answer to the order is out then.
- A node that meets datagrams which it can't open asks some peers whether there is a later ring. So whoever was away
  is brought up to date while a key that it knows is still in the ring.

Decision record 0037.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom

import msgpack
import structlog

from swarmlet.drivers.membership import Membership
from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness
from swarmlet.security.keyring import KeyRing, RingMalformed, RingRefused, save_ring
from swarmlet.security.keys import KeyId
from swarmlet.transport import PeerNetwork, PeerTimeout, PeerUnavailable, RemoteError

STATE, FETCH, TAKE = "keyring.state", "keyring.fetch", "keyring.take"
CALL_TIMEOUT_S = 3.0
LOOK_EVERY_S = 0.5
DROP_AFTER_S = 1.0
ASKED_MAX = 3
"""Peers asked for a later ring at once."""
ASK_AGAIN_FIRST_S, ASK_AGAIN_MAX_S = 1.0, 60.0
"""After asking in vain: strangers' datagrams must not make this node busy."""

log = structlog.get_logger()


class Keyring:
    """`renew` makes the sealer and the TLS contexts follow; `foreign` counts datagrams that no key opened."""

    def __init__(
        self,
        ring: KeyRing,
        path: Path,
        network: PeerNetwork,
        membership: Membership,
        renew: Callable[[KeyRing], None],
        foreign: Callable[[], int],
    ) -> None:
        self.ring = ring
        self._path, self._network, self._membership = path, network, membership
        self._renew, self._foreign = renew, foreign
        self._taking = asyncio.Lock()
        self._drop_at: float | None = None
        self._foreign_seen = 0
        self._ask_again_s = ASK_AGAIN_FIRST_S
        self._asked_at = time.monotonic()
        self._rng = SystemRandom()
        network.on_call(STATE, self._on_state)
        network.on_call(FETCH, self._on_fetch)
        network.on_call(TAKE, self._on_take)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._drop_at is not None and time.monotonic() >= self._drop_at:
                self._drop_at = None
                dropped = self._network.drop_unvouched(self.ring.ids)
                log.info("connections_of_removed_keys_ended", count=dropped)
            if self._foreign() != self._foreign_seen and time.monotonic() >= self._asked_at + self._ask_again_s:
                await self._catch_up()

    async def take(self, ring: KeyRing) -> None:
        """Keep and use a later ring; the one that is in use already is fine. Raises `RingRefused`, `KeyFileError`."""
        async with self._taking:
            before = self.ring
            if ring == before:
                return
            if not ring.supersedes(before):
                raise RingRefused(
                    f"this node has version {before.version} of the ring with {', '.join(before.ids)}, which is later "
                    f"than version {ring.version}: look at `swarmlet keyring list` and try again"
                )
            await asyncio.to_thread(save_ring, self._path, ring)
            self.ring = ring
            self._renew(ring)
            if set(before.ids) - set(ring.ids):
                self._drop_at = time.monotonic() + DROP_AFTER_S
            log.info("keyring_changed", version=ring.version, primary=ring.primary.id, keys=list(ring.ids))

    # What peers ask

    async def _on_state(self, _sender: NodeId, _body: bytes) -> bytes:
        return pack_state(self.ring.version, self.ring.ids)

    async def _on_fetch(self, sender: NodeId, _body: bytes) -> bytes:
        log.info("keyring_given", peer=sender, version=self.ring.version)
        return self.ring.pack()

    async def _on_take(self, _sender: NodeId, body: bytes) -> bytes:
        await self.take(KeyRing.unpack(body))
        return pack_state(self.ring.version, self.ring.ids)

    # Catching up

    async def _catch_up(self) -> None:
        self._foreign_seen, self._asked_at = self._foreign(), time.monotonic()
        before = self.ring
        await asyncio.gather(*(self._catch_up_with(node) for node in self._some_peers()))
        caught_up = self.ring is not before
        self._ask_again_s = ASK_AGAIN_FIRST_S if caught_up else min(2 * self._ask_again_s, ASK_AGAIN_MAX_S)

    def _some_peers(self) -> list[NodeId]:
        """Also those that seem dead: to a node that can't open their datagrams all of them do."""
        peers = [
            member.node_id
            for member in self._membership.members().values()
            if member.node_id != self._network.node_id and member.liveness is not Liveness.LEFT
        ]
        return self._rng.sample(peers, min(ASKED_MAX, len(peers)))

    async def _catch_up_with(self, peer: NodeId) -> None:
        try:
            state = unpack_state(await self._network.call(peer, STATE, b"", CALL_TIMEOUT_S))
            if state > (self.ring.version, self.ring.ids):
                ring = KeyRing.unpack(await self._network.call(peer, FETCH, b"", CALL_TIMEOUT_S))
                if ring.supersedes(self.ring):
                    await self.take(ring)
        except (PeerUnavailable, PeerTimeout, RemoteError) as error:
            log.info("keyring_not_asked", peer=peer, error=str(error))
        except SwarmletError as error:
            log.warning("keyring_not_taken", peer=peer, error=str(error))


def pack_state(version: int, ids: tuple[KeyId, ...]) -> bytes:
    packed: bytes = msgpack.packb([version, list(ids)])
    return packed


def unpack_state(packed: bytes) -> tuple[int, tuple[KeyId, ...]]:
    """A ring's version and key ids, the primary's first. Raises `RingMalformed`."""
    try:
        version, ids = msgpack.unpackb(packed)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise RingMalformed(f"no state of a ring: {type(error).__name__}") from error
    if type(version) is not int or type(ids) is not list or not all(type(each) is str for each in ids) or not ids:
        raise RingMalformed("no state of a ring: a version and key ids")
    return version, tuple(KeyId(each) for each in ids)
