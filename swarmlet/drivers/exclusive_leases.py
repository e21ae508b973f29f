"""Leases of exclusive tasks: asked for by the nodes that run them, granted by the leader. See `model.exclusive`.

Rules:
- A node notes the time before it asks; what it was granted holds from then, however late the answer came. The lease is
  on disk for the task's guard before the node's own loop hears of it.
- A leader that was asked makes sure that it still leads, and grants from what is on record after that.
- A node that gets no answer asks again; nothing else happens until a lease runs out.
"""

import asyncio
import time

import structlog

from swarmlet.controllers.lease_book import LeaseBook
from swarmlet.drivers.consensus import Consensus
from swarmlet.drivers.id_lists import NotIds, ids_of, packed_ids
from swarmlet.drivers.leader_calls import NotTaken, interruptible
from swarmlet.drivers.signal import listening, wait_at_most
from swarmlet.errors import SwarmletError
from swarmlet.model.exclusive import HELD_S, RENEW_S, RENEW_TIMEOUT_S, Leases
from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.objects import Task
from swarmlet.model.observed import Phase
from swarmlet.node.loop import NodeLoop
from swarmlet.raft import Refusal
from swarmlet.runtime.lease_files import LeaseFiles, boot_clock_s
from swarmlet.transport import PeerNetwork

RENEW = "exclusive.renew"

log = structlog.get_logger()


class ExclusiveLeases:
    def __init__(self, consensus: Consensus, network: PeerNetwork, node_loop: NodeLoop, files: LeaseFiles) -> None:
        self._consensus, self._node_loop, self._files = consensus, node_loop, files
        self._book = LeaseBook()
        self.counters = {"renewals": 0, "renewals_failed": 0, "grants": 0}
        network.on_call(RENEW, self._grant)

    # The node's part

    def adopt(self) -> None:
        """Before anything else: what an earlier agent was granted holds on."""
        now = boot_clock_s()
        for task, until in self._files.all().items():
            self._node_loop.leased(task, until - now)

    async def run(self) -> None:
        known: frozenset[TaskId] = frozenset()
        swept = False
        with listening(self._consensus.replica.changed) as changed:
            while True:
                changed.clear()
                tasks = self._own()
                answered = await self._ask([task.id for task in tasks]) if tasks else True
                swept = swept and not known - {task.id for task in tasks}
                if answered and not swept:
                    swept = await self._sweep()
                known = frozenset(task.id for task in tasks)
                await self._wait_for_the_next(changed, known)

    async def _sweep(self) -> bool:
        """Forget leases of tasks that are no more: not by an old copy of the record, as guards kill who has none."""
        if not await asyncio.to_thread(self._files.beside, self._on_record()):
            return True
        try:
            await self._consensus.barrier(RENEW_TIMEOUT_S)
        except (SwarmletError, TimeoutError):
            return False
        await asyncio.to_thread(self._files.keep_only, self._on_record())
        return True

    async def _wait_for_the_next(self, changed: asyncio.Event, known: frozenset[TaskId]) -> None:
        """At once for a new task, in time for the others."""
        ends_at = time.monotonic() + RENEW_S
        while (left_s := ends_at - time.monotonic()) > 0:
            if {task.id for task in self._own()} - known:
                return
            await wait_at_most(changed, left_s)
            changed.clear()

    async def _ask(self, tasks: list[TaskId]) -> bool:
        asked_at, body = boot_clock_s(), packed_ids(tasks)
        try:
            answer = await self._consensus.ask_leader(RENEW, body, lambda: self._granting(body), RENEW_TIMEOUT_S)
            for task in ids_of(answer):
                until = asked_at + HELD_S
                await asyncio.to_thread(self._files.write, TaskId(task), until)
                self._node_loop.leased(TaskId(task), until - boot_clock_s())
        except (SwarmletError, TimeoutError, OSError, NotIds) as error:
            # A lease that is not renewed runs out, whatever the reason.
            self.counters["renewals_failed"] += 1
            log.warning("leases_not_renewed", tasks=len(tasks), reason=str(error) or "no answer in time")
            return False
        self.counters["renewals"] += 1
        return True

    def _own(self) -> list[Task]:
        """Exclusive tasks of this node that run here or are to."""
        statuses = self._node_loop.statuses()
        return [
            task
            for task in self._consensus.replica.state.tasks_on(self._consensus.node_id)
            if task.template.exclusive
            and not ((status := statuses.get(task.id)) is not None and status.phase is Phase.STOPPED)
        ]

    def _on_record(self) -> set[TaskId]:
        return {task.id for task in self._consensus.replica.state.tasks_on(self._consensus.node_id)}

    # The leader's part

    def leases(self) -> Leases:
        """Until when exclusive tasks may still run anywhere. For the leader, once it knows all that was committed."""
        now = time.monotonic()
        self._book.lead(self._consensus.raft.term, now)
        return self._book.leases(self._consensus.replica.state.tasks, now, time.time())

    def _granting(self, body: bytes) -> asyncio.Future[bytes]:
        return interruptible(self._grant(self._consensus.node_id, body))

    async def _grant(self, node: NodeId, body: bytes) -> bytes:
        """Raises `NotTaken` where this peer does not lead, or not any longer."""
        asked = [TaskId(each) for each in ids_of(body)]
        term = self._consensus.raft.term
        self._check_leads(term)
        await self._consensus.barrier(RENEW_TIMEOUT_S)
        # Another leader may have answered the barrier: only one that led all the time has confirmed its own lead.
        self._check_leads(term)
        now = time.monotonic()
        self._book.lead(term, now)
        granted = self._book.grant(node, asked, self._consensus.replica.state.tasks, now)
        self.counters["grants"] += len(granted)
        return packed_ids(granted)

    def _check_leads(self, term: int) -> None:
        if not self._consensus.is_leader or self._consensus.raft.term != term:
            raise NotTaken(Refusal.NOT_LEADER, self._consensus.leader_id)
