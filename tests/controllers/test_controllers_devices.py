"""Named devices as the leader gives them: written into the task, and never another task's while that may have them.

A hostile life: services that want some, all or certain ones, of different priorities, a pod, a job; deploys, scales,
drains, nodes that are lost, come back, and lose or gain devices; leaders that are replaced after any transaction.
"""

from collections import Counter
from dataclasses import replace

import hypothesis.strategies as st
from controllers_builders import FakeCluster, a_service, a_stack, a_template
from hypothesis import HealthCheck, settings
from hypothesis.stateful import initialize, invariant, rule
from job_builders import WORK, JobCluster, a_job
from leader_builders import InterruptedLeaders

from swarmlet.controllers import nodes
from swarmlet.controllers.explaining import explain_service
from swarmlet.model.frozen import encode
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.objects import Desired, Task
from swarmlet.model.observed import Liveness, Phase
from swarmlet.model.rollout import Order, RolloutPolicy, UpdatePolicy
from swarmlet.model.spec import ALL_DEVICES, Resources, ServiceSpec

APP = ServiceId("web.app")
GPUS = ("nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=2")
NODES = ("n1", "n2", "n3")
START_FIRST = RolloutPolicy(update=UpdatePolicy(order=Order.START_FIRST))
STOP_FIRST = RolloutPolicy(update=UpdatePolicy(order=Order.STOP_FIRST))


def offers(cluster: FakeCluster, name: str, *gpus: str) -> None:
    node = cluster.nodes[NodeId(name)]
    assert node.facts is not None
    changed = node.facts.model_copy(update={"devices": {"gpu": len(gpus)}, "device_ids": {"gpu": gpus}})
    cluster.nodes[node.id] = replace(node, facts=changed)


def a_cluster(**gpus: tuple[str, ...]) -> FakeCluster:
    cluster = FakeCluster.of(*gpus)
    for name, has in gpus.items():
        offers(cluster, name, *has)
    cluster.settle()
    return cluster


def a_user(
    count: int = 0, ids: tuple[str, ...] = (), replicas: int = 1, version: str = "1", name: str = "app", **more: object
) -> ServiceSpec:
    reserved = Resources(devices={"gpu": count or len(ids)}, device_ids={"gpu": ids} if ids else {})
    template = a_template(version).model_copy(update={"reservations": reserved, **more})
    return a_service(name, replicas, template)


def have(cluster: FakeCluster, service: ServiceId = APP) -> list[tuple[str, ...]]:
    return sorted(task.devices["gpu"] for task in cluster.ready(service))


def test_each_task_has_its_own_and_objects_without_any_are_as_before() -> None:
    cluster = a_cluster(n1=GPUS)
    cluster.deploy(a_stack(a_user(1, replicas=3)))
    cluster.deploy(a_stack(a_service(), name="plain"))
    cluster.settle()

    assert have(cluster) == [(GPUS[0],), (GPUS[1],), (GPUS[2],)]
    (plain,) = cluster.tasks(ServiceId("plain.app"))
    assert b"devices" not in encode(plain)


def test_a_new_version_starts_first_on_those_that_are_free() -> None:
    cluster = a_cluster(n1=GPUS)
    cluster.deploy(a_stack(a_user(1, replicas=2).model_copy(update={"rollout": START_FIRST})))
    cluster.settle()
    cluster.deploy(a_stack(a_user(1, replicas=2, version="2").model_copy(update={"rollout": START_FIRST})))
    shared = Counter[str]()
    for _ in range(60):
        cluster.reconcile()
        cluster.nodes_act()
        cluster.now += 1
        shared |= Counter(gpu for task in holders(cluster) for gpu in task.devices["gpu"])
    assert [task.template.image for task in cluster.ready()] == ["web:2", "web:2"]
    assert max(shared.values()) == 1 and set(shared) == set(GPUS), "the third was used, none was shared"


def test_all_and_certain_ones_are_given_and_explained() -> None:
    cluster = a_cluster(n1=GPUS, n2=GPUS[:1])
    cluster.deploy(a_stack(a_user(ids=("2",), replicas=2)))
    outcome = cluster.settle()

    assert have(cluster) == [(GPUS[2],)]
    assert outcome.problems[APP].per_node == {"n1": "its gpu 2 is taken", "n2": "has no gpu 2"}
    service = cluster.state.services[APP].value
    found = explain_service(cluster.state, cluster.observed, cluster.now, (), service)
    texts = {node.name: [rule.text for rule in node.rules if rule.refused] for node in found.nodes}
    assert texts == {"n1": ["its gpu 2 is taken"], "n2": ["has no gpu 2"]}

    cluster.deploy(a_stack(a_user(ALL_DEVICES, name="all"), name="other"))
    cluster.settle()
    assert have(cluster, ServiceId("other.all")) == [(GPUS[0],)], "on the node of which nobody else has any"


def test_the_important_one_gets_the_very_device_of_a_lesser_one_when_that_is_gone() -> None:
    cluster = a_cluster(n1=GPUS[:2])
    cluster.deploy(a_stack(a_user(1, replicas=2)))
    cluster.settle()
    cluster.deploy(a_stack(a_user(ids=("1",)).model_copy(update={"priority": 9}), name="vip"))
    cluster.settle()

    assert have(cluster, ServiceId("vip.app")) == [(GPUS[1],)]
    assert have(cluster) == [(GPUS[0],)]


def test_members_of_a_pod_have_their_own() -> None:
    cluster = a_cluster(n1=GPUS[:1], n2=GPUS)
    cluster.deploy(a_stack(a_user(ids=("1",), name="app", pod="p"), a_user(2, name="side", pod="p")))
    cluster.settle()

    assert have(cluster) == [(GPUS[1],)]
    assert have(cluster, ServiceId("web.side")) == [(GPUS[0], GPUS[2])]


def test_tasks_of_jobs_have_their_own() -> None:
    cluster = JobCluster.of("n1")
    offers(cluster, "n1", *GPUS[:2])
    cluster.settle()
    stack = a_job(completions=4, parallelism=2)
    spec = stack.services["work"]
    template = spec.template.model_copy(update={"reservations": Resources(devices={"gpu": 1})})
    cluster.deploy(stack.model_copy(update={"services": {"work": spec.model_copy(update={"template": template})}}))
    cluster.until_over()

    assert Counter(task.devices["gpu"] for task in cluster.tasks(WORK)) == {(GPUS[0],): 2, (GPUS[1],): 2}


def test_what_was_placed_before_devices_had_names_keeps_them_the_nodes_business() -> None:
    cluster = FakeCluster.of("n1")
    node = cluster.nodes[NodeId("n1")]
    assert node.facts is not None
    cluster.nodes[node.id] = replace(node, facts=node.facts.model_copy(update={"devices": {"gpu": 2}}))
    cluster.settle()
    cluster.deploy(a_stack(a_user(1)))
    cluster.settle()
    offers(cluster, "n1", *GPUS)
    cluster.deploy(a_stack(a_user(1), name="later"))
    cluster.settle()

    assert [task.devices for task in cluster.ready()] == [{}]
    assert [task.devices for task in cluster.ready(ServiceId("later.app"))] == [{}]


def holders(cluster: FakeCluster) -> list[Task]:
    """Tasks that may have a container, as their nodes know: told to run, or not known to be over."""
    found = []
    for each in cluster.state.tasks.values():
        status = cluster.status(each.value)
        over = status is not None and status.phase in (Phase.STOPPED, Phase.EXITED)
        lost = each.value.desired is Desired.STOP and (
            status is None or cluster.nodes[each.value.node].liveness is not Liveness.ALIVE
        )
        if each.value.devices and not over and not lost:
            found.append(each.value)
    return found


users = st.builds(
    a_user,
    st.sampled_from([1, 1, 2, ALL_DEVICES]),
    replicas=st.integers(0, 4),
    version=st.sampled_from(["1", "2"]),
) | st.builds(a_user, ids=st.sampled_from([("0",), ("1", "2"), ("2",)]), replicas=st.integers(0, 3))


class DeviceLife(InterruptedLeaders):
    @initialize(first=users, second=users)
    def start(self, first: ServiceSpec, second: ServiceSpec) -> None:
        self.cluster = a_cluster(n1=GPUS, n2=GPUS[:2], n3=())
        self.deploy("a", first, 0, START_FIRST)
        self.deploy("b", second, 5, STOP_FIRST)

    @rule(
        stack=st.sampled_from(["a", "b", "c"]),
        user=users,
        priority=st.sampled_from([0, 0, 5]),
        policy=st.sampled_from([START_FIRST, STOP_FIRST]),
    )
    def deploy(self, stack: str, user: ServiceSpec, priority: int, policy: RolloutPolicy) -> None:
        changed = user.model_copy(update={"priority": priority, "rollout": policy})
        self.cluster.deploy(a_stack(changed, name=stack))
        self.life_goes_on(1.0, 2)

    @rule(name=st.sampled_from(NODES), gpus=st.sampled_from([(), GPUS[:1], GPUS[1:], GPUS]))
    def other_devices(self, name: str, gpus: tuple[str, ...]) -> None:
        offers(self.cluster, name, *gpus)

    @rule(name=st.sampled_from(NODES))
    def drain(self, name: str) -> None:
        self.cluster.commit(nodes.drain(self.cluster.state, name, self.cluster.now, None))

    @rule(name=st.sampled_from(NODES))
    def uncordon(self, name: str) -> None:
        change = nodes.change(self.cluster.state, name, cordoned=False)
        assert not change.operations or self.cluster.commit(change)

    @rule(name=st.sampled_from(NODES), liveness=st.sampled_from([Liveness.ALIVE, Liveness.ALIVE, Liveness.DEAD]))
    def change_liveness(self, name: str, liveness: Liveness) -> None:
        self.cluster.set_liveness(name, liveness)

    @rule()
    def statuses_have_not_arrived(self) -> None:
        self.cluster.forget_statuses()

    @rule(seconds=st.sampled_from([1.0, 31.0]), rounds=st.integers(1, 8))
    def life_goes_on(self, seconds: float, rounds: int) -> None:
        for _ in range(rounds):
            for transaction in self.cluster.look().transactions:
                assert self.cluster.commit(transaction)
                self.no_device_is_shared()
            self.cluster.nodes_act()
            self.cluster.now += seconds

    @invariant()
    def no_device_is_shared(self) -> None:
        if not hasattr(self, "cluster"):
            return
        owned = Counter((task.node, gpu) for task in holders(self.cluster) for gpu in task.devices["gpu"])
        assert all(count == 1 for count in owned.values()), owned

    def teardown(self) -> None:
        """With everything mended, whoever runs has as many as it wants."""
        if not hasattr(self, "cluster"):
            return
        for name in NODES:
            self.change_liveness(name, Liveness.ALIVE)
        self.life_goes_on(31.0, 8)
        for each in self.cluster.state.tasks.values():
            count = each.value.template.reservations.devices.get("gpu", 0)
            if each.value.desired is Desired.RUN and count != ALL_DEVICES:
                assert len(each.value.devices["gpu"]) == count


DeviceLife.TestCase.settings = settings(
    max_examples=60, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestDeviceLife = DeviceLife.TestCase
