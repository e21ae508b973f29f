"""Tells the leader whom this voter holds for gone, and the leader whom a majority of voters does.

Rules:
- A voter's opinion goes to the leader over its peer stream: at once when it changes or when another peer leads, and
  every `REPEAT_S` while it names anybody. So the leader waits for nobody's answer, and needs no datagram to learn it.
- Opinions are kept of voters only, whoever leads: one may come before this peer knows that it leads.
"""

import time
from collections.abc import Mapping

import structlog

from swarmlet.controllers import deaths
from swarmlet.controllers.outcome import DEFAULT_SETTINGS
from swarmlet.drivers.consensus import Consensus
from swarmlet.drivers.id_lists import NotIds, ids_of, packed_ids
from swarmlet.drivers.membership import Membership
from swarmlet.drivers.signal import Signal, listening, wait_at_most
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import NodeStatus
from swarmlet.model.observed import Liveness
from swarmlet.transport import PeerNetwork

GONE = "membership.gone"
REPEAT_S = 1.0

log = structlog.get_logger()


class DeathQuorum:
    def __init__(self, consensus: Consensus, membership: Membership, network: PeerNetwork) -> None:
        self.changed = Signal()
        """A voter's opinion is another than before."""
        self.malformed = 0
        self._consensus, self._membership, self._network = consensus, membership, network
        self._opinions: dict[NodeId, deaths.Opinion] = {}
        self._listening_since = time.monotonic()
        network.on_notify(GONE, self._on_opinion)

    async def run(self) -> None:
        told: tuple[NodeId | None, frozenset[NodeId]] = (None, frozenset())
        with listening(self._membership.liveness_changed, self._consensus.role_changed) as woken:
            while True:
                woken.clear()
                leader, own = self._consensus.leader_id, self._opinion()
                votes = self._consensus.raft.membership.is_voter(self._consensus.node_id)
                if votes and leader not in (None, self._consensus.node_id) and (own or (leader, own) != told):
                    assert leader is not None
                    self._network.notify(leader, GONE, packed_ids(sorted(own)))
                told = leader, own
                await wait_at_most(woken, REPEAT_S)

    def confirmed(self) -> frozenset[NodeId]:
        """Whom a majority of the voters holds for gone, as this peer knows it: meant for the leader."""
        own, now = self._consensus.node_id, time.monotonic()
        membership = self._consensus.raft.membership
        self._opinions = {voter: each for voter, each in self._opinions.items() if membership.is_voter(voter)}
        opinions = self._opinions | {own: deaths.Opinion(self._opinion(), now)}
        # Whoever leads is followed by a majority at this moment, whatever their failure detectors say.
        return deaths.agreed_gone((membership.voters, membership.outgoing), opinions, now) - {own}

    def tempered(self, liveness: Mapping[NodeId, Liveness]) -> dict[NodeId, Liveness]:
        """What this peer's failure detector says, but nobody is DEAD without the voters' majority."""
        confirmed = self.confirmed()
        return {
            node: Liveness.SUSPECT if live is Liveness.DEAD and node not in confirmed else live
            for node, live in liveness.items()
        }

    def problems(self) -> list[str]:
        voters, observed = self._consensus.raft.membership.voters, self._membership.observed()
        found = []
        reached = deaths.voters_in_reach(self._consensus.node_id, voters, observed)
        if reached < deaths.quorum_of(voters) and voters:
            found.append(
                f"alone: {reached} of {len(voters)} voters in reach, {deaths.quorum_of(voters)} are needed: "
                "what runs here goes on and is served, nothing is changed or moved"
            )
        if self._consensus.is_leader:
            found += [
                f"{name} seems dead from here, but no majority of the voters says so: its tasks are not replaced"
                for name in self._doubtful()
            ]
        return found

    def _doubtful(self) -> list[str]:
        """Nodes that this peer holds for gone, and the cluster for up."""
        doubted, nodes = self._opinion() - self.confirmed(), self._consensus.replica.state.nodes
        up = (nodes[id_].value for id_ in doubted if id_ in nodes and nodes[id_].value.status is NodeStatus.UP)
        return sorted(node.name for node in up)

    def _opinion(self) -> frozenset[NodeId]:
        return deaths.held_for_gone(
            self._consensus.node_id,
            self._membership.observed(),
            self._consensus.replica.state.nodes,
            time.monotonic() - self._listening_since,
            DEFAULT_SETTINGS.unseen_after_s,
        )

    def _on_opinion(self, sender: NodeId, body: bytes) -> None:
        if not self._consensus.raft.membership.is_voter(sender):
            return
        try:
            gone = frozenset(NodeId(each) for each in ids_of(body))
        except NotIds:
            self.malformed += 1
            log.warning("opinion_malformed", peer=sender)
            return
        before = self._opinions.get(sender)
        self._opinions[sender] = deaths.Opinion(gone, time.monotonic())
        if before is None or before.gone != gone:
            log.info("voter_holds_for_gone", voter=sender, gone=sorted(gone))
            self.changed.set()
