"""Foresight: what is foreseen is what then happens, and nothing is done by foreseeing it."""

from dataclasses import replace

from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template
from job_builders import a_job

from swarmlet.controllers import stacks
from swarmlet.controllers.foresight import LOOKS_MAX, Foresight, foresee
from swarmlet.model.ids import ServiceId, StackName
from swarmlet.model.objects import Desired
from swarmlet.model.observed import Liveness
from swarmlet.model.rollout import Canary, RolloutPolicy
from swarmlet.model.spec import DependencyCondition, Mode, RestartCondition, RestartPolicy, StackSpec


def a_foresight(cluster: FakeCluster, spec: StackSpec) -> Foresight:
    state = cluster.state
    watched = {
        *stacks.services_of(state, StackName(spec.name)),
        *(ServiceId(f"{spec.name}.{n}") for n in spec.services),
    }
    return foresee(state, cluster.observed, stacks.deploy(state, spec, cluster.now), watched, cluster.now)


def test_a_new_stack_is_foreseen_as_it_is_then_placed() -> None:
    cluster = FakeCluster.of("n1", "n2", "n3")
    spec = a_stack(
        a_service("db", 2),
        a_service("app", 5, depends_on={"db": DependencyCondition.HEALTHY}),
        a_service("each", mode=Mode.GLOBAL),
    )

    seen = a_foresight(cluster, spec)
    cluster.deploy(spec)
    cluster.settle()

    assert seen.settled
    for name in spec.services:
        service = ServiceId(f"web.{name}")
        foreseen = {(task.slot, task.node) for task in seen.staying.values() if task.service == service}
        assert foreseen == {(task.slot, task.node) for task in cluster.running(service)}


def test_nothing_is_done_by_foreseeing() -> None:
    cluster = FakeCluster.of("n1", "n2")
    cluster.deploy(a_stack(a_service(replicas=2)))
    cluster.settle()
    before, observed = cluster.state, cluster.observed

    a_foresight(cluster, a_stack(a_service(replicas=4, template=a_template("2"))))

    assert cluster.state == before
    assert cluster.observed == observed


def test_a_state_that_is_watched_does_not_change_with_its_copy() -> None:
    cluster = FakeCluster.of("n1")
    cluster.deploy(a_stack(a_service()))
    cluster.settle()
    state = cluster.state

    seen = foresee(state, cluster.observed, stacks.remove(state, StackName("web")), [APP], cluster.now)

    assert APP in state.services and APP not in seen.after.services
    assert state == cluster.state


def test_a_rollout_is_foreseen_to_its_end() -> None:
    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.deploy(a_stack(a_service(replicas=6)))
    cluster.settle()
    old = {task.id for task in cluster.running()}

    seen = a_foresight(cluster, a_stack(a_service(replicas=6, template=a_template("2"))))

    assert seen.settled
    assert seen.stopped.keys() == old
    assert {task.stop_reason.partition(" revision")[0] for task in seen.stopped.values()} == {"replaced by"}
    assert len(seen.staying) == 6


def test_what_cant_be_placed_is_told_with_every_nodes_reason() -> None:
    cluster = FakeCluster.of("n1", "n2", memory_mib=1024)

    seen = a_foresight(cluster, a_stack(a_service(replicas=3, template=a_template(memory_mib=800))))

    assert not seen.settled
    assert len(seen.staying) == 2
    problem = seen.problems[APP]
    assert "1 of 3 tasks" in problem.message
    assert problem.per_node == {name: "needs 800 MiB of memory, 224 MiB free" for name in ("n1", "n2")}


def test_an_update_without_room_is_foreseen_to_be_taken_back() -> None:
    cluster = FakeCluster.of("n1", "n2")
    cluster.deploy(a_stack(a_service(replicas=2)))
    cluster.settle()

    seen = a_foresight(cluster, a_stack(a_service(replicas=2, template=a_template("2", memory_mib=9_000))))

    problem = seen.problems[APP]
    assert not seen.settled and not seen.staying and not seen.stopped
    assert "no room" in problem.message and "then it would be rolled back: back to revision 1" in problem.message
    assert problem.per_node.keys() == {"n1", "n2"}
    assert seen.after.services[APP].value.spec.template.image == "web:2", "told is the deploy, not what undoes it"


def test_a_canary_that_waits_for_people_is_foreseen_up_to_there() -> None:
    cluster = FakeCluster.of("n1", "n2")
    cluster.deploy(a_stack(a_service(replicas=4)))
    cluster.settle()
    canary = RolloutPolicy(canary=Canary(steps=(25,)))
    update = a_service(replicas=4, template=a_template("2"))

    by_hand = a_foresight(cluster, a_stack(update.model_copy(update={"rollout": canary})))
    timed = canary.model_copy(update={"canary": Canary(steps=(25,), hold_s=3_600.0)})
    by_time = a_foresight(cluster, a_stack(update.model_copy(update={"rollout": timed})))

    assert (by_hand.settled, len(by_hand.stopped)) == (False, 1)
    assert (by_time.settled, len(by_time.stopped)) == (True, 4)


def test_init_services_are_foreseen_to_end_well() -> None:
    init = a_service("init").model_copy(
        update={
            "template": a_template().model_copy(update={"restart": RestartPolicy(condition=RestartCondition.NEVER)})
        }
    )
    app = a_service("app", 2, depends_on={"init": DependencyCondition.COMPLETED})

    seen = a_foresight(FakeCluster.of("n1"), a_stack(init, app))

    assert seen.settled and len(seen.staying) == 3


def test_nothing_is_foreseen_where_nothing_changes() -> None:
    cluster = FakeCluster.of("n1", "n2")
    spec = a_stack(a_service(replicas=2))
    cluster.deploy(spec)
    cluster.settle()

    seen = a_foresight(cluster, spec)

    assert (seen.settled, seen.created, seen.stopped, seen.looks) == (True, {}, {}, 1)


def test_a_cluster_without_a_node_is_told() -> None:
    seen = a_foresight(FakeCluster(), a_stack(a_service(replicas=3)))

    assert not seen.settled
    assert "no node" in seen.problems[APP].message


def test_nodes_that_do_not_live_get_nothing() -> None:
    cluster = FakeCluster.of("n1", "n2")
    cluster.deploy(a_stack(a_service(replicas=2)))
    cluster.settle()
    cluster.set_liveness("n2", Liveness.SUSPECT)

    seen = a_foresight(cluster, a_stack(a_service(replicas=4)))

    assert {task.node for task in seen.staying.values()} == {"n1"}


def test_a_scale_down_is_foreseen_with_the_tasks_that_go() -> None:
    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.deploy(a_stack(a_service(replicas=6)))
    cluster.settle()

    seen = a_foresight(cluster, a_stack(a_service(replicas=3)))
    cluster.deploy(a_stack(a_service(replicas=3)))
    cluster.settle()

    assert seen.stopped.keys() == {task.id for task in cluster.tasks() if task.desired is Desired.STOP}


def test_a_play_is_bounded() -> None:
    cluster = FakeCluster.of("n1")
    cluster.deploy(a_stack(a_service()))
    cluster.settle()
    cluster.nodes = {id_: replace(node, liveness=Liveness.DEAD) for id_, node in cluster.nodes.items()}

    seen = a_foresight(cluster, a_stack(a_service(replicas=2)))

    assert not seen.settled
    assert seen.looks < LOOKS_MAX


def test_a_job_is_foreseen_to_its_end() -> None:
    cluster = FakeCluster.of("n1", "n2")

    seen = a_foresight(cluster, a_job(completions=4, parallelism=2))

    assert seen.settled and seen.problems == {}
    assert sorted(task.slot for task in seen.staying.values()) == [1, 2, 3, 4]
    assert a_foresight(cluster, a_job(schedule="@daily")).staying == {}
