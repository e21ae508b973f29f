"""Changes of the cluster's ring of keys, made through any peer: install a new key, use it, remove the old one.

Rules:
- A change makes the next version of this peer's own ring and hands it to every live node, peer to peer; the answer says
  of each node whether it has it. A node that missed one step gets the whole ring with the next, or catches up itself.
- A key is used only once every live node has it, and removed only once every live node seals with another and none is
  away: whoever is away then could not get in again without its key file (`force` says that this is known).
- One change at a time here. Changes through two peers at once meet as two rings of one version: nodes keep the one
  that they got first, or the one that compares higher; whoever asked sees which nodes refused, and asks again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from swarmlet.drivers.keyring import CALL_TIMEOUT_S, STATE, TAKE, Keyring, unpack_state
from swarmlet.drivers.membership import Membership
from swarmlet.drivers.replica import Replica
from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness
from swarmlet.security.keyring import KeyRing, RingRefused
from swarmlet.security.keys import ClusterKey, KeyId, generate_key
from swarmlet.transport import PeerNetwork

CALLS_MAX = 32
"""Nodes asked at the same time: each may need a handshake first."""
NAMED_MAX = 10


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """A node's ring as it answered just now; `problem` where it did not, and for a node that is away."""

    node: NodeId
    name: str
    version: int = 0
    keys: tuple[KeyId, ...] = ()
    """The one that it seals with first."""
    problem: str = ""
    away: bool = False


class KeyRotation:
    def __init__(
        self, keyring: Keyring, network: PeerNetwork, membership: Membership, replica: Callable[[], Replica]
    ) -> None:
        self._keyring, self._network, self._membership, self._replica = keyring, network, membership, replica
        self._changing = asyncio.Lock()

    async def look(self) -> list[NodeKeys]:
        """Every node's ring: the live ones are asked, those that are away are named."""
        return await self._asked(STATE, b"")

    async def install(self) -> tuple[KeyId, list[NodeKeys]]:
        """A new key for every live node's ring. Raises `RingRefused`."""
        async with self._changing:
            key = ClusterKey.parse(generate_key())
            return key.id, await self._spread(self._keyring.ring.with_key(key))

    async def use(self, key: str) -> list[NodeKeys]:
        """Seal with this key from now on. Raises `RingRefused`, naming the nodes that aren't ready."""
        async with self._changing:
            ring = self._keyring.ring.with_primary(key)
            found = await self.look()
            _refuse_if(found, lambda node: not node.away and bool(node.problem), "did not answer: try again")
            _refuse_if(
                found,
                lambda node: not node.away and key not in node.keys,
                "has not got this key: install another one, or try again in a moment",
            )
            return await self._spread(ring)

    async def remove(self, key: str, force: bool) -> list[NodeKeys]:
        """Accept this key no longer. Raises `RingRefused`, naming the nodes that aren't ready."""
        async with self._changing:
            ring = self._keyring.ring.without(key)
            found = await self.look()
            _refuse_if(found, lambda node: not node.away and bool(node.problem), "did not answer: try again")
            _refuse_if(
                found,
                lambda node: node.keys[:1] == (key,),
                "still seals with this key: use another one first, or try again in a moment",
            )
            if not force:
                _refuse_if(
                    found,
                    lambda node: node.away,
                    "is away, and could be locked out: it would need the key file of another node to come back; "
                    "repeat with --force if that is fine",
                )
            return await self._spread(ring)

    async def _spread(self, ring: KeyRing) -> list[NodeKeys]:
        if ring != self._keyring.ring:
            # Here first: if it can't be kept here, nobody gets it.
            await self._keyring.take(ring)
        return await self._asked(TAKE, ring.pack())

    async def _asked(self, method: str, body: bytes) -> list[NodeKeys]:
        slots = asyncio.Semaphore(CALLS_MAX)
        names = {id_: each.value.name for id_, each in self._replica().state.nodes.items()}
        members = self._membership.members()
        names |= {member.node_id: member.name for member in members.values()}

        async def ask(node: NodeId, name: str) -> NodeKeys:
            member = members.get(node)
            if member is None or member.liveness in (Liveness.DEAD, Liveness.LEFT):
                return NodeKeys(node, name, problem=member.liveness if member else "not seen", away=True)
            try:
                async with slots:
                    answer = await self._network.call(node, method, body, CALL_TIMEOUT_S)
                version, keys = unpack_state(answer)
            except SwarmletError as error:
                return NodeKeys(node, name, problem=str(error))
            return NodeKeys(node, name, version, keys)

        found = await asyncio.gather(*(ask(node, name) for node, name in names.items()))
        return sorted(found, key=lambda each: (each.name, each.node))


def _refuse_if(found: list[NodeKeys], unfit: Callable[[NodeKeys], bool], reason: str) -> None:
    names = [node.name for node in found if unfit(node)]
    if names:
        more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
        raise RingRefused(f"{', '.join(names[:NAMED_MAX])}{more} {reason}")
