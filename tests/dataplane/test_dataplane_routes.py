"""The route table as a function of desired and observed state, and the balancer's choices."""

import pytest
from dataplane_builders import (
    ALICE,
    BOB,
    WEB,
    a_service,
    a_state,
    a_status,
    a_task,
    a_template,
    an_endpoint,
    observed_nodes,
)

from swarmlet.dataplane.balancer import PENALTY_S, Balancer
from swarmlet.dataplane.routes import PortConflict, PublishedAddress, RoutedEndpoint, RouteTable
from swarmlet.model.frozen import encode
from swarmlet.model.ids import RevisionHash, ServiceId, TaskId
from swarmlet.model.objects import Desired
from swarmlet.model.observed import Address, Liveness
from swarmlet.model.revisions import Rollout

PORT_80 = PublishedAddress("", 80)
HERE, THERE = Address("127.0.0.1", 5001), Address("10.88.0.2", 8080)
TEMPLATE = a_template((80, 8080))


def tasks_of(table: RouteTable, published: PublishedAddress = PORT_80) -> list[str]:
    return [endpoint.task for endpoint in table.routes[published].endpoints]


def test_a_port_leads_to_local_and_remote_tasks() -> None:
    one, two = a_task("t1", ALICE, TEMPLATE), a_task("t2", BOB, TEMPLATE)
    state = a_state(a_service("web", TEMPLATE), one, two)
    observed = observed_nodes({ALICE: [a_status(one, (8080, HERE))], BOB: [a_status(two, (8080, THERE))]})

    route = RouteTable.of(state, observed, ALICE).routes[PORT_80]

    assert route.service == WEB
    assert route.endpoints == (
        RoutedEndpoint(ALICE, TaskId("t1"), 8080, HERE),
        RoutedEndpoint(BOB, TaskId("t2"), 8080, None),
    )


def test_only_alive_nodes_get_traffic() -> None:
    tasks = [a_task(f"t{number}", node, TEMPLATE) for number, node in enumerate([ALICE, BOB])]
    state = a_state(a_service("web", TEMPLATE), *tasks)
    statuses = {task.node: [a_status(task, (8080, THERE))] for task in tasks}

    for liveness in (Liveness.SUSPECT, Liveness.DEAD, Liveness.LEFT):
        assert tasks_of(RouteTable.of(state, observed_nodes(statuses, {BOB: liveness}), ALICE)) == ["t0"]


def test_a_task_that_is_to_stop_is_gone_or_has_no_endpoint_is_out() -> None:
    stopping = a_task("t1", ALICE, TEMPLATE, desired=Desired.STOP)
    deleted, silent = a_task("t2", ALICE, TEMPLATE), a_task("t3", ALICE, TEMPLATE)
    state = a_state(a_service("web", TEMPLATE), stopping, silent)
    statuses = [a_status(stopping, (8080, HERE)), a_status(deleted, (8080, HERE)), a_status(silent)]

    assert tasks_of(RouteTable.of(state, observed_nodes({ALICE: statuses}), ALICE)) == []


def test_a_status_from_another_node_than_the_assigned_one_is_ignored() -> None:
    task = a_task("t1", ALICE, TEMPLATE)
    observed = observed_nodes({ALICE: [], BOB: [a_status(task, (8080, THERE))]})

    assert tasks_of(RouteTable.of(a_state(a_service("web", TEMPLATE), task), observed, ALICE)) == []


@pytest.mark.parametrize(("serving", "reached"), [("1", ["t1"]), ("2", ["t2"]), ("", ["t1", "t2"])])
def test_while_a_rollout_names_who_has_the_traffic_nobody_else_gets_any(serving: str, reached: list[str]) -> None:
    old, new = TEMPLATE, TEMPLATE.model_copy(update={"image": "web:2"})
    revisions = {"1": old.revision(), "2": new.revision(), "": RevisionHash("")}
    one, two = a_task("t1", ALICE, old), a_task("t2", ALICE, new)
    state = a_state(a_service("web", new), one, two)
    rollout = Rollout(service=WEB, number=2, revision=new.revision(), begun_at=1.0, serving=revisions[serving])
    state.put(rollout.key, encode(rollout), 9)
    observed = observed_nodes({ALICE: [a_status(each, (8080, HERE)) for each in (one, two)]})

    assert tasks_of(RouteTable.of(state, observed, ALICE)) == reached


def test_during_a_rollout_each_task_is_reached_on_its_own_revisions_ports() -> None:
    new = a_template((80, 9090), (443, 9443))
    old = a_template((80, 8080), (81, 8081))
    one, two = a_task("t1", ALICE, old), a_task("t2", ALICE, new)
    state = a_state(a_service("web", new), one, two)
    statuses = [
        a_status(one, (8080, HERE), (8081, HERE)),
        a_status(two, (9090, THERE), (9443, THERE)),
    ]

    table = RouteTable.of(state, observed_nodes({ALICE: statuses}), ALICE)

    assert [endpoint.target_port for endpoint in table.routes[PORT_80].endpoints] == [8080, 9090]
    assert tasks_of(table, PublishedAddress("", 443)) == ["t2"]
    assert tasks_of(table, PublishedAddress("", 81)) == ["t1"]


def test_the_older_service_keeps_a_port_and_the_conflict_is_told() -> None:
    older, newer = a_service("web", TEMPLATE), a_service("api", TEMPLATE)

    table = RouteTable.of(a_state(older, newer), observed_nodes({}), ALICE)

    assert table.routes[PORT_80].service == older.id
    assert table.conflicts == (PortConflict(PORT_80, keeper=older.id, refused=ServiceId("shop.api")),)
    assert str(table.conflicts[0]) == "port 80 of shop.api is taken by shop.web"


def test_a_removed_services_port_is_gone_even_if_its_tasks_still_run() -> None:
    task = a_task("t1", ALICE, TEMPLATE)

    assert not RouteTable.of(a_state(task), observed_nodes({ALICE: [a_status(task, (8080, HERE))]}), ALICE).routes


def choose_and_hold(balancer: Balancer, count: int, now: float = 0.0) -> list[str]:
    chosen = []
    for _ in range(count):
        load = balancer.choose(now, ())
        assert load is not None
        load.active += 1
        chosen.append(load.endpoint.task)
    return chosen


def test_connections_spread_evenly_and_the_idle_one_is_next() -> None:
    balancer = Balancer()
    balancer.update([an_endpoint(name) for name in "abc"])

    assert sorted(choose_and_hold(balancer, 9)) == list("aaabbbccc")
    balancer.update([an_endpoint(name) for name in "abcd"])

    assert choose_and_hold(balancer, 3) == list("ddd")


def test_short_connections_take_turns_and_nodes_begin_differently() -> None:
    first = []
    for first_turn in range(3):
        balancer = Balancer(first_turn)
        balancer.update([an_endpoint(name) for name in "abc"])
        chosen = [balancer.choose(0.0, ()) for _ in range(6)]
        names = [load.endpoint.task for load in chosen if load]
        assert sorted(names[:3]) == list("abc") == sorted(names[3:])
        first.append(names[0])

    assert sorted(first) == list("abc")


def test_a_failed_endpoint_is_the_last_choice_for_a_while() -> None:
    balancer = Balancer()
    balancer.update([an_endpoint("a"), an_endpoint("b")])
    failed = balancer.choose(0.0, ())
    assert failed is not None
    balancer.penalize(failed, 0.0)

    assert failed.endpoint.task not in choose_and_hold(balancer, 4, now=0.1)
    assert balancer.choose(PENALTY_S + 0.1, ()) is failed
    balancer.update([failed.endpoint])
    balancer.penalize(failed, 0.0)
    assert balancer.choose(0.1, ()) is failed
    assert balancer.choose(0.1, {failed}) is None
