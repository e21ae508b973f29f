"""A hostile life: deploys, scales, losses and returns of nodes, interrupted leaders and leaders with a stale view.

Checked at every step: a full look leaves nothing to do; a rollout costs no ready seat; no more tasks run than
wanted and surge allow; no seat is filled twice. At the end: whatever happened, the cluster converges.
"""

from collections import Counter
from random import Random

import hypothesis.strategies as st
from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template
from hypothesis import HealthCheck, settings
from hypothesis.stateful import initialize, invariant, rule
from leader_builders import SlowLeaders

from swarmlet.controllers import stacks
from swarmlet.controllers.seats import SeatKey, seat_key
from swarmlet.model.ids import NodeId, StackName
from swarmlet.model.objects import Desired, NodeStatus, Task
from swarmlet.model.observed import Health, Liveness, Phase
from swarmlet.model.rollout import surge
from swarmlet.model.spec import Mode

NODES = ("n1", "n2", "n3", "n4")
VERSIONS = ("1", "2", "3")


class ClusterLife(SlowLeaders):
    @initialize(replicas=st.integers(1, 7))
    def start(self, replicas: int) -> None:
        self.cluster = FakeCluster.of(*NODES)
        self.desired_once_stop: set[str] = set()
        self.deploy("1", "1", replicas)

    # Users

    @rule(version=st.sampled_from(VERSIONS), agent=st.sampled_from(VERSIONS), replicas=st.integers(0, 7))
    def deploy(self, version: str, agent: str, replicas: int) -> None:
        self.cluster.deploy(
            a_stack(
                a_service("app", replicas=replicas, template=a_template(version, memory_mib=300)),
                a_service("agent", mode=Mode.GLOBAL, template=a_template(agent)),
            )
        )

    @rule(replicas=st.integers(0, 9))
    def scale(self, replicas: int) -> None:
        if APP in self.cluster.state.services:
            self.cluster.commit(stacks.scale(self.cluster.state, APP, replicas))

    @rule()
    def remove(self) -> None:
        if self.cluster.state.stacks:
            self.cluster.commit(stacks.remove(self.cluster.state, StackName("web")))

    @rule(image=st.sampled_from([f"web:{version}" for version in VERSIONS]))
    def break_or_mend_an_image(self, image: str) -> None:
        self.cluster.bad_images ^= {image}

    # Nodes

    @rule(name=st.sampled_from(NODES), liveness=st.sampled_from(Liveness))
    def change_liveness(self, name: str, liveness: Liveness) -> None:
        self.cluster.set_liveness(name, liveness)

    @rule(name=st.sampled_from(NODES))
    def the_voters_doubt_or_confirm(self, name: str) -> None:
        """Whether a majority of the voters shares this leader's view of a node."""
        self.cluster.doubted ^= {NodeId(name)}

    @rule(share=st.floats(0, 1), random=st.randoms(use_true_random=False))
    def some_tasks_move_on(self, share: float, random: Random) -> None:
        self.cluster.nodes_act(only=[task for task in sorted(self.cluster.state.tasks) if random.random() < share])

    @rule(random=st.randoms(use_true_random=False), phase=st.sampled_from([Phase.BACKOFF, Phase.EXITED, Phase.RUNNING]))
    def a_task_has_trouble(self, random: Random, phase: Phase) -> None:
        if running := self.cluster.running():
            exit_code = {Phase.EXITED: random.choice([0, 1])}.get(phase)
            self.cluster.publish(random.choice(running), phase, Health.UNHEALTHY, exit_code=exit_code)

    @rule()
    def statuses_have_not_arrived(self) -> None:
        self.cluster.forget_statuses()

    @rule(seconds=st.sampled_from([1.0, 31.0, 901.0]))
    def time_passes(self, seconds: float) -> None:
        self.cluster.now += seconds

    # Leaders

    @rule()
    def the_leader_looks(self) -> None:
        before, up = self.ready_seats(), self.doubted_but_up()
        takes_back = any("is taken back" in transaction.reason for transaction in self.cluster.look().transactions)
        self.cluster.reconcile()
        if takes_back:
            self.cluster.reconcile()  # nothing else of a service moves by the look that takes its revision back
        assert up <= self.doubted_but_up(), "no leader's view alone makes a node down"
        assert self.cluster.look().transactions == []
        self.check_rollout_costs_nothing(before)
        self.check_not_too_many()

    # What must hold

    @invariant()
    def no_seat_is_filled_twice(self) -> None:
        for service in self.cluster.state.services.values():
            mode, revision = service.value.spec.mode, service.value.revision
            current = [each for each in self.cluster.running(service.value.id) if each.revision == revision]
            counts = Counter(seat_key(task, mode) for task in current)
            assert all(count == 1 for count in counts.values()), counts

    @invariant()
    def nothing_stopped_runs_again(self) -> None:
        tasks = [each.value for each in self.cluster.state.tasks.values()]
        assert not [task for task in tasks if task.desired is Desired.RUN and task.id in self.desired_once_stop]
        self.desired_once_stop |= {task.id for task in tasks if task.desired is Desired.STOP}

    def doubted_but_up(self) -> set[NodeId]:
        """Nodes that are up on record and dead for this leader, which no majority confirms."""
        return {
            id_
            for id_, node in self.cluster.state.nodes.items()
            if id_ in self.cluster.doubted
            and node.value.status is NodeStatus.UP
            and self.cluster.nodes[id_].liveness is Liveness.DEAD
        }

    def ready_seats(self) -> set[SeatKey]:
        lost = {id_ for id_, node in self.cluster.nodes.items() if node.liveness is not Liveness.ALIVE}
        return {seat_key(task, Mode.REPLICATED) for task in self.cluster.ready() if task.node not in lost}

    def check_rollout_costs_nothing(self, before: set[SeatKey]) -> None:
        service = self.cluster.state.services.get(APP)
        if service is not None:
            assert len(self.ready_seats()) >= min(len(before), service.value.spec.replicas)

    def check_not_too_many(self) -> None:
        for service in self.cluster.state.services.values():
            up = [node for node in self.cluster.state.nodes.values() if node.value.status is NodeStatus.UP]
            left = [node for node in self.cluster.state.nodes.values() if node.value.status is NodeStatus.LEFT]
            spec = service.value.spec
            wanted = len(up) if spec.mode is Mode.GLOBAL else spec.replicas
            running = self.cluster.running(service.value.id)
            if spec.mode is Mode.GLOBAL:
                running = [task for task in running if task.node not in {node.value.id for node in left}]
            assert len(running) <= wanted + surge(spec.rollout, wanted)

    def teardown(self) -> None:
        if not hasattr(self, "cluster"):
            return
        cluster = self.cluster
        cluster.bad_images.clear()
        cluster.doubted.clear()
        for name in NODES:
            cluster.set_liveness(name, Liveness.ALIVE)
        for task in self.all_running():
            cluster.publish(task, Phase.RUNNING, Health.HEALTHY)
        cluster.settle()
        cluster.now += 60
        outcome = cluster.settle()
        assert outcome.problems == {}
        for service in cluster.state.services.values():
            wanted = len(NODES) if service.value.spec.mode is Mode.GLOBAL else service.value.spec.replicas
            ready = cluster.ready(service.value.id)
            assert len(ready) == len(cluster.running(service.value.id)) == wanted
            assert {task.revision for task in ready} <= {service.value.revision}
        if not cluster.state.services:
            assert cluster.state.tasks == {}

    def all_running(self) -> list[Task]:
        return [each.value for each in self.cluster.state.tasks.values() if each.value.desired is Desired.RUN]


ClusterLife.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestClusterLife = ClusterLife.TestCase
