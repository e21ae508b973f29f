"""Rebalancing as people ask for it and as the leader does it by itself: beside successors, and only what may move."""

from dataclasses import replace
from itertools import pairwise

import pytest
from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template
from job_builders import JobCluster, a_job

from swarmlet.controllers import reconcile
from swarmlet.controllers.explaining import explain_task
from swarmlet.controllers.outcome import ControllerSettings, Outcome
from swarmlet.controllers.rebalancing import CALM_S, Rebalancing, rebalance
from swarmlet.model.placement import Placement, Strategy
from swarmlet.model.spec import Mode, Mount, MountKind, ServiceSpec

GENTLE = ControllerSettings(rebalance=True)


def lopsided(service: ServiceSpec | None = None) -> FakeCluster:
    """All tasks were placed before the second and third node came."""
    cluster = FakeCluster.of("n1")
    cluster.settle()
    cluster.deploy(a_stack(service or a_service(replicas=6)))
    cluster.settle()
    for name in ("n2", "n3"):
        cluster.add_node(name)
    cluster.settle()
    cluster.now += CALM_S
    return cluster


def asked(cluster: FakeCluster, moves_max: int = 50) -> Rebalancing:
    return rebalance(cluster.state, cluster.observed, cluster.now, (), moves_max)


def look(cluster: FakeCluster) -> Outcome:
    return reconcile(cluster.state, cluster.observed, cluster.now, gone=(), settings=GENTLE)


def counts(cluster: FakeCluster) -> list[int]:
    nodes = [task.node for task in cluster.ready()]
    return sorted(nodes.count(name) for name in ("n1", "n2", "n3"))


def test_a_lopsided_service_gets_even_and_never_serves_with_fewer_tasks() -> None:
    cluster = lopsided()
    found = asked(cluster)
    assert len(found.moves) == 4
    assert cluster.commit(found.transaction)

    for _ in range(60):
        cluster.reconcile()
        cluster.nodes_act()
        cluster.now += 1
        assert len(cluster.ready()) >= 6

    assert counts(cluster) == [2, 2, 2]
    stopped = [task for task in cluster.tasks() if task.stop_reason]
    assert len(stopped) == 4
    assert all(task.stop_reason.startswith("rebalanced (fewest-tasks-of-service: ") for task in stopped)
    assert asked(cluster).transaction.operations == ()


def test_no_more_tasks_are_marked_than_were_asked_for() -> None:
    assert len(asked(lopsided(), moves_max=1).transaction.operations) == 1


def test_what_happened_meanwhile_wins_over_the_moves() -> None:
    cluster = lopsided()
    found = asked(cluster)
    cluster.deploy(a_stack(a_service(replicas=1)))
    cluster.settle()

    assert not cluster.commit(found.transaction)


DATA = a_template().model_copy(update={"mounts": (Mount(kind=MountKind.VOLUME, target="/data", source="v"),)})


@pytest.mark.parametrize(
    "service",
    [
        a_service(replicas=6, template=DATA),
        a_service(replicas=6).model_copy(update={"placement": Placement(strategy=Strategy.BINPACK)}),
        a_service(mode=Mode.GLOBAL),
    ],
    ids=["with its data", "bin-packed", "global"],
)
def test_what_must_not_move_stays(service: ServiceSpec) -> None:
    assert asked(lopsided(service)).moves == []


def test_a_job_is_no_service_and_its_tasks_stay() -> None:
    cluster = JobCluster.of("n1")
    cluster.settle()
    cluster.endless = True
    cluster.deploy(a_job(completions=4))
    cluster.settle()
    cluster.add_node("n2")
    cluster.settle()
    assert len(cluster.alive_tasks()) == 4
    task = cluster.alive_tasks()[0]

    assert asked(cluster).moves == []
    verdicts = explain_task(cluster.state, cluster.observed, cluster.now, (), task)
    assert [(node.node, node.accepted) for node in verdicts.nodes] == [("n2", True), ("n1", True)]


def test_tasks_that_do_not_serve_yet_are_left_alone() -> None:
    cluster = lopsided()
    cluster.nodes = {id_: replace(node, tasks={}) for id_, node in cluster.nodes.items()}

    assert asked(cluster).moves == []


def test_by_itself_the_leader_moves_one_task_at_a_time_and_rests_between() -> None:
    cluster = lopsided()
    moves: list[float] = []

    for _ in range(800):
        marks = sum(bool(task.relocate) for task in cluster.running())
        outcome = look(cluster)
        for transaction in outcome.transactions:
            assert cluster.commit(transaction)
        if sum(bool(task.relocate) for task in cluster.running()) > marks:
            moves.append(cluster.now)
        assert sum(bool(task.relocate) for task in cluster.running()) <= 1
        assert len(cluster.ready()) >= 6
        cluster.nodes_act()
        cluster.now += 1

    assert counts(cluster) == [2, 2, 2]
    assert len(moves) == 4, "and none after the cluster was even"
    assert all(later - earlier >= CALM_S for earlier, later in pairwise(moves))


def test_the_leader_says_when_it_will_look_again() -> None:
    cluster = lopsided()
    cluster.now -= CALM_S / 2

    outcome = look(cluster)

    assert outcome.transactions == []
    assert outcome.wake_at is not None and cluster.now < outcome.wake_at <= cluster.now + CALM_S


def test_it_is_off_unless_somebody_turned_it_on() -> None:
    assert lopsided().look().transactions == []


def test_nothing_is_moved_while_anything_is_amiss() -> None:
    cluster = lopsided()
    cluster.deploy(a_stack(a_service(template=a_template(memory_mib=1_000_000)), name="big"))
    cluster.settle()
    cluster.now += CALM_S

    assert look(cluster).problems
    assert look(cluster).transactions == []


def test_many_services_have_their_turn_one_after_the_other() -> None:
    cluster = FakeCluster.of("n1")
    cluster.settle()
    cluster.deploy(
        a_stack(*[a_service(f"a{number:02}", replicas=0) for number in range(45)], a_service("z", replicas=2))
    )
    cluster.settle()
    cluster.add_node("n2")
    cluster.settle()
    cluster.now += CALM_S

    looks = []
    for _ in range(10):
        looks.append(look(cluster).transactions)
        cluster.now += 5

    assert [] in looks and any(looks)
    assert APP not in cluster.state.services
