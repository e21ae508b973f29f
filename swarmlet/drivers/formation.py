"""Makes one new cluster out of `bootstrap_expect` nodes that have none.

The node with the lowest id among those that wait forms the cluster alone, once each of the others has granted it
that right; the leader then adds them through the log like any later node. A grant is given once and kept on disk,
so two nodes that see different sets can't both get all the grants they need.
"""

import asyncio

import structlog

from swarmlet.drivers.consensus import Consensus
from swarmlet.drivers.membership import Membership
from swarmlet.drivers.signal import listening, wait_at_most
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness
from swarmlet.storage import DataDirectory
from swarmlet.transport import PeerNetwork, PeerTimeout, PeerUnavailable, RemoteError

GRANT = "cluster.grant"
GRANT_TIMEOUT_S = 2.0
LOOK_AGAIN_S = 1.0

log = structlog.get_logger()


class Formation:
    def __init__(
        self, expect: int, data: DataDirectory, consensus: Consensus, membership: Membership, network: PeerNetwork
    ) -> None:
        self._expect, self._data = expect, data
        self._consensus, self._membership, self._network = consensus, membership, network
        network.on_call(GRANT, self._on_grant)

    async def run(self) -> None:
        """Returns once this node belongs to a cluster, formed here or elsewhere."""
        with listening(self._membership.changed) as changed:
            while not self._consensus.formed:
                changed.clear()
                if self._expect and await self._granted_by_all(self._waiting()):
                    await self._consensus.bootstrap()
                    return
                await wait_at_most(changed, LOOK_AGAIN_S)

    def _waiting(self) -> list[NodeId]:
        """Ids of the living nodes that wait for as many as we do, lowest first."""
        return sorted(
            node.id
            for node in self._membership.observed().nodes.values()
            if node.liveness is Liveness.ALIVE and node.facts and node.facts.bootstrap_expect == self._expect
        )

    async def _granted_by_all(self, waiting: list[NodeId]) -> bool:
        own = self._consensus.node_id
        if len(waiting) < self._expect or waiting[0] != own:
            return False
        answers = await asyncio.gather(*(self._ask(node) for node in waiting))
        return all(answers) and not self._consensus.formed

    async def _ask(self, node: NodeId) -> bool:
        try:
            answer = await self._network.call(node, GRANT, self._consensus.node_id.encode(), GRANT_TIMEOUT_S)
        except (PeerUnavailable, PeerTimeout, RemoteError) as error:
            log.info("formation_grant_not_given", node=node, error=str(error))
            return False
        return answer == b"granted"

    async def _on_grant(self, sender: NodeId, _body: bytes) -> bytes:
        if self._consensus.formed:
            return b"refused"
        granted = await asyncio.to_thread(self._data.grant, sender)
        return b"granted" if granted else b"refused"
