"""Exclusive services: what the leader's book grants, when a task is replaced, and that two never run at once."""

from collections import Counter
from collections.abc import Mapping

import lease_world
import pytest
from controllers_builders import APP, START, FakeCluster, a_stack
from lease_world import TwoAtOnce, World

from swarmlet.controllers import lease_book, nodes, reconcile, stacks
from swarmlet.controllers.lease_book import LeaseBook
from swarmlet.controllers.stack_errors import ExclusiveServiceNotScalable
from swarmlet.model.exclusive import (
    DRIFT_MAX,
    HELD_S,
    KILL_S,
    LAPSE_GRACE_S,
    LEASE_S,
    MARGIN_S,
    RENEW_S,
    STOP_AHEAD_S,
    STOPPING_SLACK_S,
    Leases,
)
from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.objects import Desired, Task
from swarmlet.model.observed import Liveness, ObservedState, Phase
from swarmlet.model.spec import ServiceSpec, TaskTemplate

RUNS_ON = START + 1_000.0


def a_spec(version: str = "1", replicas: int = 1) -> ServiceSpec:
    template = TaskTemplate(image=f"web:{version}", exclusive=True, stop_grace_period_s=10.0)
    return ServiceSpec(name="app", template=template, replicas=replicas)


def a_cluster() -> FakeCluster:
    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.deploy(a_stack(a_spec()))
    cluster.settle()
    return cluster


def the_task(cluster: FakeCluster) -> Task:
    (task,) = cluster.running()
    return task


def look(cluster: FakeCluster, leases: Leases) -> list[str]:
    """Commits what the leader decides; the reasons."""
    dead = {id_ for id_, node in cluster.nodes.items() if node.liveness is Liveness.DEAD}
    outcome = reconcile(cluster.state, ObservedState(dict(cluster.nodes)), cluster.now, gone=dead, leases=leases)
    for transaction in outcome.transactions:
        assert cluster.commit(transaction)
    return [problem.message for problem in outcome.problems.values()]


# The times


def test_a_leader_waits_longer_than_any_lease_lasts_however_their_clocks_drift() -> None:
    shortest_wait = (LEASE_S + MARGIN_S) / (1 + DRIFT_MAX)
    longest_lease = LEASE_S / (1 - DRIFT_MAX)

    assert shortest_wait >= longest_lease
    assert HELD_S + KILL_S == LEASE_S


def test_a_node_has_the_time_to_stop_a_task_before_its_guard_kills_it() -> None:
    drain_s = 1.0

    assert drain_s + LAPSE_GRACE_S < STOP_AHEAD_S
    assert HELD_S - STOP_AHEAD_S > 2 * RENEW_S, "two renewals may be lost"


# The book


def test_a_task_on_record_gets_its_lease_and_no_other() -> None:
    cluster, book = a_cluster(), LeaseBook()
    task = the_task(cluster)
    book.lead(1, 100.0)

    assert book.grant(task.node, [task.id], cluster.state.tasks, 101.0) == [task.id]
    other = next(NodeId(name) for name in ("n1", "n2") if name != task.node)
    assert book.grant(other, [task.id], cluster.state.tasks, 101.0) == [], "it is another node's"
    assert book.leases(cluster.state.tasks, 105.0, START).ends == {task.id: START - 4.0 + LEASE_S + MARGIN_S}


def test_a_new_leader_takes_all_leases_for_granted_when_it_began_to_lead() -> None:
    cluster, book = a_cluster(), LeaseBook()
    task = the_task(cluster)
    book.lead(1, 100.0)
    book.grant(task.node, [task.id], cluster.state.tasks, 101.0)

    book.lead(2, 200.0)

    assert book.leases(cluster.state.tasks, 200.0, START).ends[task.id] == START + LEASE_S + MARGIN_S


def test_a_task_that_was_told_to_stop_gets_leases_for_its_grace_period() -> None:
    cluster, book = a_cluster(), LeaseBook()
    task = the_task(cluster)
    book.lead(1, 100.0)
    book.grant(task.node, [task.id], cluster.state.tasks, 100.0)
    assert cluster.commit(stacks.scale(cluster.state, APP, 0))
    look(cluster, Leases({task.id: RUNS_ON}))

    assert book.grant(task.node, [task.id], cluster.state.tasks, 101.0) == [task.id]
    assert book.grant(task.node, [task.id], cluster.state.tasks, 101.0 + 10 + STOPPING_SLACK_S) == []


def test_one_that_was_taken_for_gone_gets_no_lease_any_more() -> None:
    cluster, book = a_cluster(), LeaseBook()
    task = the_task(cluster)
    book.lead(1, 100.0)
    assert cluster.commit(stacks.scale(cluster.state, APP, 0))
    look(cluster, Leases({task.id: RUNS_ON}))
    assert book.leases(cluster.state.tasks, 100.0 + LEASE_S + MARGIN_S, START).ends[task.id] <= START

    assert book.grant(task.node, [task.id], cluster.state.tasks, 112.0) == []


def test_one_that_is_to_run_gets_its_lease_however_long_it_had_none() -> None:
    cluster, book = a_cluster(), LeaseBook()
    task = the_task(cluster)
    book.lead(1, 100.0)
    book.leases(cluster.state.tasks, 1_000.0, START)

    assert book.grant(task.node, [task.id], cluster.state.tasks, 1_000.0) == [task.id]


# The controllers


def test_a_lost_nodes_task_is_replaced_when_its_lease_is_over_and_not_before() -> None:
    cluster = a_cluster()
    lost = the_task(cluster)
    cluster.set_liveness(lost.node, Liveness.DEAD)

    (said,) = look(cluster, Leases({lost.id: cluster.now + 11}))
    assert [task.desired for task in cluster.tasks()] == [Desired.STOP]
    assert said == f"waits until task {lost.id} on {lost.node} has stopped or its lease has run out"
    cluster.now += 10.9
    look(cluster, Leases({lost.id: cluster.now + 0.1}))
    assert cluster.running() == []

    cluster.now += 0.1
    look(cluster, Leases({lost.id: cluster.now}))

    assert the_task(cluster).node != lost.node


def test_the_leader_looks_again_when_the_lease_is_over() -> None:
    cluster = a_cluster()
    lost = the_task(cluster)
    cluster.set_liveness(lost.node, Liveness.DEAD)
    leases = Leases({lost.id: cluster.now + 11})
    look(cluster, leases)

    outcome = reconcile(cluster.state, ObservedState(dict(cluster.nodes)), cluster.now, gone={lost.node}, leases=leases)

    assert outcome.wake_at == cluster.now + 11


def test_one_that_stopped_is_replaced_at_once() -> None:
    cluster = a_cluster()
    before = the_task(cluster)
    assert cluster.commit(nodes.drain(cluster.state, before.node, cluster.now, None))
    leases = Leases({before.id: RUNS_ON})
    look(cluster, leases)
    assert cluster.running() == []

    cluster.publish(next(iter(cluster.tasks())), Phase.STOPPED)
    look(cluster, leases)

    assert the_task(cluster).node != before.node


def test_a_removed_service_that_is_deployed_again_waits_for_its_old_task() -> None:
    cluster = a_cluster()
    before = the_task(cluster)
    leases = Leases({before.id: RUNS_ON})
    cluster.set_liveness(before.node, Liveness.DEAD)
    assert cluster.commit(stacks.remove(cluster.state, cluster.state.services[APP].value.stack))
    look(cluster, leases)
    look(cluster, leases)

    cluster.deploy(a_stack(a_spec()))
    look(cluster, leases)

    assert cluster.running() == []
    assert [task.id for task in cluster.tasks()] == [before.id]


def test_a_node_that_was_forgotten_may_still_run_its_task() -> None:
    cluster = a_cluster()
    before = the_task(cluster)
    leases = Leases({before.id: RUNS_ON})
    cluster.set_liveness(before.node, Liveness.DEAD)
    look(cluster, leases)

    assert cluster.commit(nodes.forget(cluster.state, before.node))
    look(cluster, leases)

    assert cluster.running() == []


def test_an_exclusive_service_is_not_scaled_beyond_one() -> None:
    with pytest.raises(ExclusiveServiceNotScalable, match="0 or 1 tasks, not 2"):
        stacks.scale(a_cluster().state, APP, 2)


# The world


def test_two_tasks_of_an_exclusive_service_never_run_at_once() -> None:
    seen: Counter[str] = Counter()
    for seed in range(25):
        world = World(seed)
        world.run(400)
        world.calm_down()
        world.run(60)
        assert sum(len(host.running) for host in world.hosts.values()) == 1, f"seed {seed}: it runs again in the end"
        seen["starts"] += world.starts
        seen["killed by guards"] += world.killed_by_guards
        seen["replaced without a word"] += world.replaced_without_a_word

    assert seen["starts"] > 120 and seen["killed by guards"] > 60 and seen["replaced without a word"] > 5, seen


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        (lease_book, "MARGIN_S", -4.0),
        (lease_book, "LEASE_S", 5.0),
        (lease_world, "HELD_S", LEASE_S + 3),
        (lease_world, "KILL_S", 6.0),
    ],
)
def test_the_world_finds_leases_that_are_too_long_and_waits_that_are_too_short(
    where: object, name: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, name, value)

    with pytest.raises(TwoAtOnce):
        go_on_until_two_run()


def test_the_world_finds_a_leader_that_does_not_wait_for_what_others_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LeaseBook, "lead", lambda self, term, now: None)

    with pytest.raises(TwoAtOnce):
        go_on_until_two_run()


def test_the_world_finds_a_leader_that_grants_what_it_took_for_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def may_run(self: LeaseBook, node: NodeId, id_: TaskId, exclusive: Mapping[TaskId, Task], *_: object) -> bool:
        return id_ in exclusive and exclusive[id_].node == node

    monkeypatch.setattr(LeaseBook, "_may_run", may_run)

    with pytest.raises(TwoAtOnce):
        go_on_until_two_run(first_seed=40)


def go_on_until_two_run(first_seed: int = 0) -> None:
    for seed in range(first_seed, first_seed + 60):
        World(seed).run(400)
