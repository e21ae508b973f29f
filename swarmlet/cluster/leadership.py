"""Runs the controllers while this peer leads.

Level-triggered: every change of agreed or observed state, and the clock once a second, makes it look at everything
again. A new leader first makes sure that its replica holds all that was ever committed, then acts at once on what
gossip already knows; nothing is carried over from an earlier term.
"""

import time
from collections.abc import Mapping
from random import Random

import structlog

from swarmlet.cluster.consensus import Consensus, NoLeader, NotLeader
from swarmlet.cluster.membership import Membership
from swarmlet.cluster.signal import listening, wait_at_most
from swarmlet.controllers import reconcile
from swarmlet.controllers.voters import VoterChange, VoterChangeKind, VoterView, next_change
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.observed import Liveness, ServiceProblem
from swarmlet.raft import AddLearner, Demote, MembershipChange, Promote, Remove
from swarmlet.store import Compacted

LOOK_AGAIN_S = 1.0
"""Grace periods and retention end with time alone; nothing urgent waits for this."""

log = structlog.get_logger()


class Leadership:
    def __init__(self, consensus: Consensus, membership: Membership, rng: Random, dead_after_s: float) -> None:
        self._consensus, self._membership, self._rng = consensus, membership, rng
        self._dead_after_s = dead_after_s
        self._learned_term = 0
        self._dead_since: dict[NodeId, float] = {}
        self._published: Mapping[ServiceId, ServiceProblem] = {}
        self.counters = {"rounds": 0, "stale_transactions": 0, "interrupted_rounds": 0}

    async def run(self) -> None:
        signals = (
            self._consensus.role_changed,
            self._consensus.applied,
            self._membership.changed,
        )
        with listening(*signals) as woken:
            while True:
                woken.clear()
                if self._consensus.is_leader:
                    await self._round()
                else:
                    self._publish({})
                    self._dead_since.clear()
                await wait_at_most(woken, LOOK_AGAIN_S)

    async def _round(self) -> None:
        self.counters["rounds"] += 1
        try:
            await self._learn()
            await self._reconcile()
            await self._look_after_voters()
        except (NoLeader, NotLeader, TimeoutError) as error:
            # Another peer leads by now, or will: it starts from the same state.
            self.counters["interrupted_rounds"] += 1
            log.info("leader_round_interrupted", error=str(error))

    async def _learn(self) -> None:
        """Once a term: what earlier leaders committed is applied here before this one decides anything."""
        term = self._consensus.raft.term
        if self._learned_term != term:
            await self._consensus.barrier()
            self._learned_term = term

    async def _reconcile(self) -> None:
        state, observed = self._consensus.replica.state, self._membership.observed()
        outcome = reconcile(state, observed, time.time(), self._rng)
        for transaction in outcome.transactions:
            result = await self._consensus.submit(transaction)
            if not result.succeeded:
                # Somebody wrote in between; the change that this makes wakes the next round.
                self.counters["stale_transactions"] += 1
                break
            log.info("transaction_committed", reason=transaction.reason, revision=result.revision)
        self._publish(outcome.problems)

    def _publish(self, problems: Mapping[ServiceId, ServiceProblem]) -> None:
        if problems == self._published:
            return
        for service in {*self._published, *problems}:
            if self._published.get(service) != problems.get(service):
                self._membership.publish_problem(service, problems.get(service))
        self._published = dict(problems)
