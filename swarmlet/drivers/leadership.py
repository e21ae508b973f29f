"""Runs the controllers while this peer leads.

Level-triggered: every change of agreed or observed state, and the moment that a controller named, makes it look at
everything again. A new leader first makes sure that its replica holds all that was ever committed, then acts at once
on what gossip already knows. It takes over no decision of an earlier term, and begins no wait anew: since when a node
is dead, this peer knows from before it led (`sightings`). Whom it holds for dead is the voters' word, not its own.
"""

import time
from collections.abc import Callable, Mapping

import structlog

from swarmlet.controllers import Outcome, reconcile, voters
from swarmlet.controllers.outcome import DEFAULT_SETTINGS, ControllerSettings
from swarmlet.drivers.consensus import Consensus
from swarmlet.drivers.death_quorum import DeathQuorum
from swarmlet.drivers.leader_calls import NoLeader, NotTaken
from swarmlet.drivers.membership import Membership
from swarmlet.drivers.sightings import Sightings
from swarmlet.drivers.signal import listening, wait_at_most
from swarmlet.errors import SwarmletError
from swarmlet.model.exclusive import NO_LEASES, Leases
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.observed import Liveness, ServiceProblem
from swarmlet.raft import AddLearner, ChangeVoters, MembershipChange, Remove

LOOK_AGAIN_S = 5.0
"""Nothing urgent waits for this: every change wakes the leader, and controllers name the time they wait for."""
SHORTEST_WAIT_S = 0.05
FAILED_WAIT_S = 1.0
"""After a fault that looking again at once won't mend, such as a transaction beyond the store's limits."""

log = structlog.get_logger()


class Leadership:
    def __init__(
        self,
        consensus: Consensus,
        membership: Membership,
        deaths: DeathQuorum,
        voter_settings: voters.VoterSettings = voters.DEFAULT_SETTINGS,
        settings: ControllerSettings = DEFAULT_SETTINGS,
        leases: Callable[[], Leases] = lambda: NO_LEASES,
    ) -> None:
        self._consensus, self._membership, self._deaths = consensus, membership, deaths
        self._voter_settings, self._settings = voter_settings, settings
        self._leases = leases
        self._learned_term = 0
        self._leader_since = 0.0
        self._sightings = Sightings(consensus.node_id)
        self._published: Mapping[ServiceId, ServiceProblem] = {}
        self.counters = {"rounds": 0, "stale_transactions": 0, "interrupted_rounds": 0, "failed_rounds": 0}

    async def run(self) -> None:
        consensus = self._consensus
        signals = (consensus.role_changed, consensus.replica.changed, self._membership.changed, self._deaths.changed)
        with listening(*signals) as woken:
            while True:
                woken.clear()
                wait_s = LOOK_AGAIN_S
                self._sightings.look(self._liveness(), time.monotonic(), time.time())
                if consensus.is_leader:
                    wait_s = await self._round()
                else:
                    self._publish({})
                await wait_at_most(woken, wait_s)

    async def _round(self) -> float:
        """One look at everything; for how long nothing will have to be done if nothing changes, in seconds."""
        self.counters["rounds"] += 1
        try:
            await self._learn()
            outcome = reconcile(
                self._consensus.replica.state,
                self._membership.observed(),
                time.time(),
                gone=self._deaths.confirmed(),
                voters=self._consensus.raft.membership.voters,
                settings=self._settings,
                listening_since=self._sightings.listening_since or self._leader_since,
                leases=self._leases(),
            )
            await self._commit(outcome)
            wait_s = await self._look_after_voters()
        except (NoLeader, NotTaken, TimeoutError) as error:
            # Another peer leads by now, or will, or what Raft waits for isn't there yet: the next round sees.
            self.counters["interrupted_rounds"] += 1
            log.info("leader_round_interrupted", error=str(error))
            return SHORTEST_WAIT_S
        except SwarmletError as error:
            self.counters["failed_rounds"] += 1
            log.error("leader_round_failed", error=str(error), kind=type(error).__name__)
            return FAILED_WAIT_S
        if outcome.wake_at is not None:
            wait_s = min(wait_s, max(SHORTEST_WAIT_S, outcome.wake_at - time.time()))
        return wait_s

    async def _learn(self) -> None:
        """Once a term: what earlier leaders committed is applied here before this one decides anything."""
        term = self._consensus.raft.term
        if self._learned_term != term:
            await self._consensus.barrier()
            self._learned_term, self._leader_since = term, time.time()

    async def _commit(self, outcome: Outcome) -> None:
        for transaction in outcome.transactions:
            result = await self._consensus.submit(transaction)
            if not result.succeeded:
                # Somebody wrote in between; the change that this makes wakes the next round.
                self.counters["stale_transactions"] += 1
                break
            log.info("transaction_committed", reason=transaction.reason, revision=result.revision)
        self._publish(
            {
                service: ServiceProblem(service=service, message=found.message, per_node=dict(found.per_node))
                for service, found in outcome.problems.items()
            }
        )

    def _publish(self, problems: Mapping[ServiceId, ServiceProblem]) -> None:
        for service in {*self._published, *problems}:
            if self._published.get(service) != problems.get(service):
                self._membership.publish_problem(service, problems.get(service))
        self._published = problems

    # Voters

    async def _look_after_voters(self) -> float:
        now, state = time.monotonic(), self._consensus.replica.state
        liveness = self._deaths.tempered(self._liveness())
        gone_since = self._sightings.gone_since(state.nodes, now, time.time())
        for node in self._forgotten(liveness):
            liveness[node] = Liveness.LEFT
            gone_since.setdefault(node, now - (time.time() - self._leader_since))
        members = voters.Liveliness(
            liveness,
            gone_since,
            {node.id: node.facts.zone for node in self._membership.observed().nodes.values() if node.facts},
        )
        listed = frozenset(state.voter_list.value.nodes) if state.voter_list else None
        view = self._view()
        change = voters.next_change(view, members, now, listed, self._voter_settings)
        if change is None:
            wait_s = voters.next_look_s(view, members, now, self._voter_settings)
            return LOOK_AGAIN_S if wait_s is None else min(LOOK_AGAIN_S, max(SHORTEST_WAIT_S, wait_s))
        await self._consensus.change_membership(_raft_change(change))
        log.info("membership_changed", change=str(change))
        return SHORTEST_WAIT_S

    def _forgotten(self, liveness: Mapping[NodeId, Liveness]) -> list[NodeId]:
        """Members of the consensus that are gone, or unknown here, and that people have struck off: they have left."""
        membership, nodes = self._consensus.raft.membership, self._consensus.replica.state.nodes
        known = membership.voters | membership.learners
        return [node for node in known - nodes.keys() if liveness.get(node) in (None, Liveness.DEAD)]

    def _liveness(self) -> dict[NodeId, Liveness]:
        return {member.node_id: member.liveness for member in self._membership.members().values()}

    def _view(self) -> voters.Consensus:
        raft = self._consensus.raft
        return voters.Consensus(
            leader=self._consensus.node_id,
            voters=raft.membership.voters,
            learners=raft.membership.learners,
            commit_index=raft.commit_index,
            match_index={node: each.match_index for node, each in raft.progress().items() if each.recently_active},
            change_in_flight=raft.membership.is_joint,
        )


def _raft_change(change: voters.VoterChange) -> MembershipChange:
    match change:
        case voters.AddLearner(node):
            return AddLearner(node)
        case voters.SetVoters(chosen, removed):
            return ChangeVoters(chosen, removed)
        case voters.Remove(node):
            return Remove(node)
