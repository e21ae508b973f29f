"""A hostile world for leases: hosts with clocks of their own, messages that are late or lost, agents that die, leaders
that do not know yet that they lead no more, failure detectors that are wrong, and users.

What is real here: the store, `reconcile`, `LeaseBook`, and the times of `model.exclusive`. Everything else does the
worst that is allowed: a container is never stopped because its lease runs out, but killed by its guard at the last
moment that `KILL_S` leaves to it; a grant is noted long after leadership was confirmed; a node may act on what it knew
seconds ago.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from controllers_builders import APP, START, FakeCluster, a_stack

from swarmlet.controllers import nodes as node_wishes
from swarmlet.controllers import reconcile
from swarmlet.controllers import stacks as stack_wishes
from swarmlet.controllers.lease_book import LeaseBook
from swarmlet.model.exclusive import DRIFT_MAX, HELD_S, KILL_S, RENEW_S, STOP_AHEAD_S
from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.objects import Desired, Task
from swarmlet.model.observed import Health, Liveness, ObservedState, Phase, TaskStatus
from swarmlet.model.spec import ServiceSpec, TaskTemplate
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Transaction

NAMES = ("n1", "n2", "n3")


class TwoAtOnce(AssertionError):
    pass


@dataclass
class Host:
    name: NodeId
    rate: float
    """Seconds of its clock for each second of real time."""
    offset: float
    known: ClusterState
    """What its replica holds; never older than before."""
    agent_up: bool = True
    cut_off: bool = False
    until: dict[TaskId, float] = field(default_factory=dict)
    """Leases, in its own clock. On disk: they outlive the agent."""
    running: dict[TaskId, float] = field(default_factory=dict)
    """Containers, and the real time of their start."""
    leads: int = 0
    """The term in which it believes that it leads; 0 if it does not."""
    book: LeaseBook = field(default_factory=LeaseBook)

    def clock(self, real: float) -> float:
        return self.offset + real * self.rate

    def real(self, clock: float) -> float:
        return (clock - self.offset) / self.rate


class World:
    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._state: ClusterState | None = None
        self.cluster = FakeCluster.of(*NAMES)
        self.cluster.reconcile()
        self.hosts = {NodeId(name): self._host(NodeId(name)) for name in NAMES}
        self.term, self.leader = 0, NodeId("n1")
        self.proposed: list[list[Transaction]] = []
        self.held_for_gone: set[NodeId] = set()
        self.calm = False
        """From now on nothing goes wrong."""
        self.starts = self.killed_by_guards = self.replaced_without_a_word = 0
        self.deploy("1")
        self._elect()
        for host in self.hosts.values():
            self._every(0.2, 0.5, lambda host=host: self._look(host))  # type: ignore[misc]
            self._every(RENEW_S / 2, RENEW_S, lambda host=host: self._renew(host))  # type: ignore[misc]
            self._every(0.1, 0.4, lambda host=host: self._work(host))  # type: ignore[misc]
        self._every(5, 60, self._elect)
        self._every(5, 25, self._something_breaks)
        self._every(10, 60, self._people_want_something)

    def _host(self, name: NodeId) -> Host:
        rate = self.rng.choice([1 - DRIFT_MAX, 1.0, 1 + DRIFT_MAX])
        return Host(name, rate, self.rng.uniform(0, 1e5), self.state)

    @property
    def state(self) -> ClusterState:
        """What is agreed now. Made once a revision: nobody writes into it."""
        if self._state is None or self._state.revision != self.cluster.store.revision:
            self._state = self.cluster.state
        return self._state

    # Time

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, act = heapq.heappop(self._events)
            act()
        self.now = end

    def at(self, when: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (max(when, self.now), self._count, act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        self.at(self.now + seconds, act)

    def _every(self, least: float, most: float, act: Callable[[], None]) -> None:
        def again() -> None:
            act()
            self.after(self.rng.uniform(least, most), again)

        self.after(self.rng.uniform(0, most), again)

    def _delay(self, worst: float) -> float:
        """Mostly short."""
        calm = self.calm or self.rng.random() < 0.8
        return self.rng.uniform(0.001, 0.05) if calm else self.rng.uniform(0, worst)

    # Users

    def deploy(self, version: str) -> None:
        template = TaskTemplate(image=f"web:{version}", exclusive=True, stop_grace_period_s=2.0)
        spec = a_stack(ServiceSpec(name="app", template=template))
        self.cluster.commit(stack_wishes.deploy(self.state, spec, START))

    def _people_want_something(self) -> None:
        if self.calm:
            return
        match self.rng.randrange(3):
            case 0:
                self.cluster.commit(stack_wishes.scale(self.state, APP, self.rng.choice([0, 1, 1])))
            case 1:
                self.cluster.commit(node_wishes.drain(self.state, self.rng.choice(NAMES), START, None))
            case _:
                self._uncordon_all()

    def _uncordon_all(self) -> None:
        for name in self.state.nodes:
            self.cluster.commit(node_wishes.change(self.state, name, cordoned=False))

    def calm_down(self) -> None:
        self.calm = True
        self.held_for_gone.clear()
        self._uncordon_all()
        self.cluster.commit(stack_wishes.scale(self.state, APP, 1))
        for host in self.hosts.values():
            self._mend(host)

    # What breaks

    def _something_breaks(self) -> None:
        if self.calm:
            return
        host = self.rng.choice(list(self.hosts.values()))
        match self.rng.randrange(6):
            case 0 | 1 | 2:
                # Mostly the others notice.
                host.cut_off = True
                if self.rng.random() < 0.8:
                    self.after(self.rng.uniform(1, 5), lambda: self._hold_for_gone(host))
            case 3:
                host.agent_up = False
            case 4:
                self._hold_for_gone(host)
            case _:
                self._reboot(host)
        self.after(self.rng.uniform(1, 40), lambda: self._mend(host))

    def _hold_for_gone(self, host: Host) -> None:
        if not self.calm:
            self.held_for_gone.add(host.name)

    def _mend(self, host: Host) -> None:
        host.cut_off, host.agent_up = False, True
        self.held_for_gone.discard(host.name)

    def _reboot(self, host: Host) -> None:
        host.running.clear()
        host.until.clear()

    # Leaders

    def _elect(self) -> None:
        """A majority has followed the new one; the old one learns of it later, and its proposals got through or not."""
        if self.calm and self.term:
            return
        while self.proposed and self.rng.random() < 0.5:
            self._apply(self.proposed.pop(0))
        self.proposed.clear()
        old = self.hosts[self.leader]
        old.known = self.state
        self.term += 1
        self.leader = self.rng.choice([host for host in self.hosts])
        term, new = self.term, self.hosts[self.leader]
        if old is not new:
            self.after(self._delay(8), lambda: self._learn(old, 0, old.leads))
        self.after(self._delay(2), lambda: self._learn(new, term, new.leads))

    def _learn(self, host: Host, term: int, before: int) -> None:
        if host.leads == before and (term == 0 or (term == self.term and host.name == self.leader)):
            host.leads = term

    def _really_leads(self, host: Host) -> bool:
        return host.name == self.leader and host.leads == self.term

    def _look(self, host: Host) -> None:
        if not host.leads or not host.agent_up:
            return
        clock = host.clock(self.now)
        state = self.state if self._really_leads(host) else host.known
        host.book.lead(host.leads, clock)
        leases = host.book.leases(state.tasks, clock, START + clock)
        gone = set(self.held_for_gone)
        nodes = {
            id_: replace(node, liveness=Liveness.DEAD if id_ in gone else Liveness.ALIVE)
            for id_, node in self.cluster.nodes.items()
        }
        outcome = reconcile(state, ObservedState(nodes), START + clock, gone=gone, leases=leases)
        if outcome.transactions and self._really_leads(host):
            self.proposed.append(outcome.transactions)
            self.after(self._delay(3), lambda: self._committed(outcome.transactions))

    def _committed(self, transactions: list[Transaction]) -> None:
        if transactions in self.proposed:
            self.proposed.remove(transactions)
            self._apply(transactions)

    def _apply(self, transactions: list[Transaction]) -> None:
        for transaction in transactions:
            if not self.cluster.commit(transaction):
                return

    # Leases

    def _renew(self, host: Host) -> None:
        if not host.agent_up or host.cut_off:
            return
        asked_at = host.clock(self.now)
        asked = [task.id for task in self._own(host) if task.id in host.running or task.desired is Desired.RUN]
        candidates = [each for each in self.hosts.values() if each.leads]
        if asked and candidates:
            leader = self.rng.choice(candidates)
            self.after(self._delay(12), lambda: self._asked(host, asked_at, asked, leader, leader.leads))

    def _asked(self, host: Host, asked_at: float, asked: list[TaskId], leader: Host, term: int) -> None:
        if leader.cut_off or not leader.agent_up or leader.leads != term:
            return
        self.after(self._delay(4), lambda: self._confirmed(host, asked_at, asked, leader, term))

    def _confirmed(self, host: Host, asked_at: float, asked: list[TaskId], leader: Host, term: int) -> None:
        """A majority has answered the leader; only the real one's."""
        if leader.cut_off or not leader.agent_up or leader.leads != term or not self._really_leads(leader):
            return
        leader.known = self.state
        self.after(self._delay(6), lambda: self._granting(host, asked_at, asked, leader, term))

    def _granting(self, host: Host, asked_at: float, asked: list[TaskId], leader: Host, term: int) -> None:
        if leader.leads != term:
            return
        if self._really_leads(leader):
            leader.known = self.state
        clock = leader.clock(self.now)
        leader.book.lead(term, clock)
        granted = leader.book.grant(host.name, asked, leader.known.tasks, clock)
        self.after(self._delay(12), lambda: self._granted(host, asked_at, granted))

    def _granted(self, host: Host, asked_at: float, granted: list[TaskId]) -> None:
        if host.cut_off or not host.agent_up:
            return
        for task in granted:
            host.until[task] = max(host.until.get(task, 0.0), asked_at + HELD_S)
            self.at(host.real(host.until[task] + 0.99 * KILL_S), lambda task=task: self._guard(host, task))  # type: ignore[misc]

    def _guard(self, host: Host, task: TaskId) -> None:
        if task in host.running and host.clock(self.now) >= host.until.get(task, 0.0) + 0.98 * KILL_S:
            del host.running[task]
            self.killed_by_guards += 1

    # Nodes

    def _own(self, host: Host) -> list[Task]:
        return host.known.tasks_on(host.name)

    def _work(self, host: Host) -> None:
        if not host.agent_up:
            return
        if not host.cut_off and (self.calm or self.rng.random() < 0.5):
            host.known = self.state
        for task in self._own(host):
            leased = host.until.get(task.id, 0.0) - STOP_AHEAD_S > host.clock(self.now)
            if task.desired is Desired.RUN and leased and task.id not in host.running:
                self._start(host, task)
            elif task.desired is Desired.STOP and task.id in host.running:
                self.after(self._delay(3), lambda task=task: host.running.pop(task.id, None))  # type: ignore[misc]
            self._tell(host, task)

    def _start(self, host: Host, task: Task) -> None:
        others = [(each.name, id_) for each in self.hosts.values() for id_ in each.running if id_ != task.id]
        if others:
            raise TwoAtOnce(f"{task.id} starts on {host.name} at {self.now:.3f} beside {others}")
        host.running[task.id] = self.now
        self.starts += 1
        end_known = [each for each in self.cluster.tasks() if each.id != task.id and each.desired is Desired.STOP]
        self.replaced_without_a_word += any(
            (status := self.cluster.status(each)) is None or status.phase is not Phase.STOPPED for each in end_known
        )

    def _tell(self, host: Host, task: Task) -> None:
        runs = task.id in host.running
        if task.desired is Desired.STOP:
            phase = Phase.RUNNING if runs else Phase.STOPPED
        else:
            phase = Phase.RUNNING if runs else Phase.PENDING
        health = Health.HEALTHY if runs and task.desired is Desired.RUN else Health.UNKNOWN
        said = TaskStatus(task=task.id, service=task.service, revision=task.revision, phase=phase, health=health)
        if not host.cut_off:
            self.after(self._delay(5), lambda: self._heard(task, said))

    def _heard(self, task: Task, said: TaskStatus) -> None:
        """Records of one node arrive in their order: an older word never replaces the last one."""
        before = self.cluster.status(task)
        if before is None or before.phase is not Phase.STOPPED:
            self.cluster.publish(task, said.phase, said.health)
