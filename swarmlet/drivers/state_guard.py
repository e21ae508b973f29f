"""Finds replicas whose state differs although their log is the same, says so, and heals this one if it is wrong.

How: voters publish what their state was at the last agreed log indices (`store.agreement`) in their gossip records, at
most once a second and only when there is something new. Everybody compares. A peer that a majority of voters
contradicts stops writing its state to disk, gives up leadership, fetches the state of one that is right, brings it up
to its own place in the log, and puts it in place of its own. Where no majority exists it is only reported.

That a healed state goes wrong again means a fault that is still there, so attempts get rarer and rarer.
"""

import asyncio
import time

import structlog

from swarmlet.drivers.consensus import Consensus
from swarmlet.drivers.membership import Membership
from swarmlet.drivers.signal import listening, wait_at_most
from swarmlet.drivers.state_transfer import StateNotGiven, StateTransfer
from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness, StateHash, StateHashes
from swarmlet.store.agreement import HASH_FORMAT, Comparison, Disagreement, HashPoint, compare
from swarmlet.transport import PeerNetwork

LOOK_INTERVAL_S = 1.0
"""Between two looks, however fast the log grows: also how often hashes are published at most."""
STEP_DOWN_S = 2.0
FIRST_PAUSE_S = 1.0
PAUSE_MAX_S = 300.0
"""Between two attempts to heal; it doubles from the first to this, and begins anew after an hour without need."""
CALM_S = 3600.0

log = structlog.get_logger()


class StateGuard:
    def __init__(self, consensus: Consensus, membership: Membership, network: PeerNetwork) -> None:
        self._consensus, self._membership = consensus, membership
        self._transfer = StateTransfer(consensus, network)
        self._comparison = Comparison()
        self._own: Disagreement | None = None
        """What this peer's own state was found to be wrong at, last."""
        self._attempts = 0
        self._next_attempt_at = 0.0
        self.counters = {"divergences": 0, "heals": 0, "heals_failed": 0}

    def problems(self) -> list[str]:
        """For people: what differs, and what becomes of it."""
        own = self._consensus.node_id
        told = []
        wrong = dict(self._comparison.wrong)
        if self._consensus.machine.distrusted and self._own is not None:
            wrong[own] = self._own
        for node, found in sorted(wrong.items()):
            who = "this node's state" if node == own else f"the state of {self._name(node)}"
            told.append(
                f"{who} differs from the majority's at log index {found.point.index}: it heals itself from one of them"
            )
        for index, nodes in self._comparison.undecided.items():
            names = ", ".join(self._name(node) for node in sorted(nodes))
            told.append(
                f"the states of {names} differ at log index {index} and no majority holds either: nothing is healed; "
                "compare what they show, and see 'When states differ' in the operation guide"
            )
        return told

    async def run(self) -> None:
        """Until cancelled."""
        consensus, membership = self._consensus, self._membership
        signals = (
            consensus.applied,
            consensus.role_changed,
            membership.state_hashes_changed,
            membership.liveness_changed,
        )
        with listening(*signals) as woken:
            while True:
                woken.clear()
                self._publish()
                await self._look()
                await asyncio.sleep(LOOK_INTERVAL_S)
                pause_s = self._next_attempt_at - time.monotonic()
                if self._consensus.machine.distrusted:
                    await wait_at_most(woken, pause_s)
                else:
                    await woken.wait()

    def _publish(self) -> None:
        consensus = self._consensus
        points = consensus.machine.trail.points()
        if not points or consensus.node_id not in consensus.raft.membership.voters:
            self._membership.publish_state_hashes(None)
            return
        plain = tuple(StateHash(index=point.index, term=point.term, hash=point.state_hash) for point in points)
        self._membership.publish_state_hashes(StateHashes(format=HASH_FORMAT, points=plain))

    def _compare(self) -> Comparison:
        consensus = self._consensus
        voters = consensus.raft.membership.voters
        known: dict[NodeId, tuple[HashPoint, ...]] = {
            node: tuple(HashPoint(point.index, point.term, point.hash) for point in hashes.points)
            for node, hashes in self._membership.state_hashes.items()
            if node in voters and hashes.format == HASH_FORMAT
        }
        known[consensus.node_id] = consensus.machine.trail.points()
        awaited = frozenset(node for node in voters if self._is_awaited(node))
        return compare(known, voters, awaited)

    def _is_awaited(self, node: NodeId) -> bool:
        member = self._membership.members().get(node)
        return member is not None and member.liveness in (Liveness.ALIVE, Liveness.SUSPECT)

    async def _look(self) -> None:
        before, self._comparison = self._comparison, self._compare()
        self._report(before)
        machine = self._consensus.machine
        if (found := self._comparison.wrong.get(self._consensus.node_id)) is not None:
            self._own, machine.distrusted = found, True
        # What was found once stays true until the state is another, though the points that showed it pass.
        if machine.distrusted and self._own is not None and time.monotonic() >= self._next_attempt_at:
            await self._heal(self._own)

    def _report(self, before: Comparison) -> None:
        now = self._comparison
        for node in now.wrong.keys() - before.wrong.keys():
            found = now.wrong[node]
            self.counters["divergences"] += 1
            log.error(
                "state_diverged", node=node, index=found.point.index, term=found.point.term,
                state_hash=found.point.state_hash, right=sorted(found.right),
            )  # fmt: skip
        for index in now.undecided.keys() - before.undecided.keys():
            self.counters["divergences"] += 1
            log.error("state_diverged_without_majority", index=index, nodes=sorted(now.undecided[index]))

    # Healing

    async def _heal(self, found: Disagreement) -> None:
        self._plan_next_attempt()
        if not await self._stepped_down():
            log.error("state_not_healed", error="this node leads, and no other voter took over")
            return
        for peer in sorted(found.right):
            try:
                await self._heal_from(peer)
            except (SwarmletError, TimeoutError) as error:
                self.counters["heals_failed"] += 1
                log.error("state_not_healed", peer=peer, error=str(error) or type(error).__name__)
            else:
                return

    async def _heal_from(self, peer: NodeId) -> None:
        machine = self._consensus.machine
        epoch = machine.epoch
        store, index = await self._transfer.fetch(peer)
        await self._transfer.bring_up(store, index)
        if machine.epoch != epoch or machine.received is not None:
            raise StateNotGiven("a leader's snapshot replaced the state meanwhile")
        machine.heal(store)
        self.counters["heals"] += 1
        self._comparison = Comparison()
        self._publish()
        log.warning("state_healed", peer=peer, index=machine.applied_index, revision=store.revision)

    def _plan_next_attempt(self) -> None:
        now = time.monotonic()
        if now - self._next_attempt_at > CALM_S:
            self._attempts = 0
        self._next_attempt_at = now + min(PAUSE_MAX_S, FIRST_PAUSE_S * 2**self._attempts)
        self._attempts += 1

    async def _stepped_down(self) -> bool:
        consensus = self._consensus
        with listening(consensus.role_changed) as changed:
            if consensus.is_leader:
                consensus.transfer_leadership()
            deadline = time.monotonic() + STEP_DOWN_S
            while consensus.is_leader and (left_s := deadline - time.monotonic()) > 0:
                changed.clear()
                await wait_at_most(changed, left_s)
        return not consensus.is_leader

    def _name(self, node: NodeId) -> str:
        found = self._membership.observed().nodes.get(node)
        return found.name if found else node
