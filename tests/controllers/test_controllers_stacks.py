"""Deploy, remove, scale: only what differs is written, and what can't be is refused with its reason."""

import pytest
from controllers_builders import APP, START, FakeCluster, a_service, a_stack, a_template, deleted_keys, put_keys

from swarmlet.controllers import stacks
from swarmlet.controllers.stack_errors import (
    DependencyCycle,
    GlobalServiceNotScalable,
    PortConflict,
    ReplicasOutOfRange,
    StackRefused,
    UnknownDependency,
    UnknownService,
    UnknownStack,
)
from swarmlet.model.ids import ServiceId, StackName
from swarmlet.model.spec import DependencyCondition, Mode, PublishedPort, StackSpec
from swarmlet.model.state import ClusterState


def deployed(*specs: StackSpec) -> FakeCluster:
    cluster = FakeCluster()
    for spec in specs:
        cluster.deploy(spec)
    return cluster


def refusal(state: ClusterState, spec: StackSpec) -> StackRefused:
    with pytest.raises(StackRefused) as caught:
        stacks.deploy(state, spec, START)
    return caught.value


def test_the_first_deploy_writes_the_stack_and_its_services() -> None:
    transaction = stacks.deploy(ClusterState(), a_stack(a_service("app"), a_service("db")), START)

    assert put_keys(transaction) == ["services/web.app", "services/web.db", "stacks/web"]
    assert all(compare.revision == 0 for compare in transaction.compares)


def test_a_deploy_with_nothing_changed_has_no_operations() -> None:
    cluster = deployed(a_stack(a_service()))

    assert stacks.deploy(cluster.state, a_stack(a_service()), START + 1).operations == ()


def test_a_redeploy_writes_only_what_differs_and_deletes_what_is_gone() -> None:
    cluster = deployed(a_stack(a_service("app"), a_service("db"), a_service("old")))

    transaction = stacks.deploy(cluster.state, a_stack(a_service("app", replicas=2), a_service("db")), START + 1)

    assert put_keys(transaction) == ["services/web.app", "stacks/web"]
    assert deleted_keys(transaction) == ["services/web.old"]


def test_of_two_deploys_at_once_one_is_refused() -> None:
    cluster = deployed(a_stack(a_service()))
    one = stacks.deploy(cluster.state, a_stack(a_service(replicas=2)), START)
    other = stacks.deploy(cluster.state, a_stack(a_service(), a_service("db")), START)

    assert cluster.commit(one)
    assert not cluster.commit(other)


def test_a_port_of_another_stack_is_refused_by_name() -> None:
    cluster = deployed(a_stack(a_service(template=a_template(ports=[80])), name="shop"))

    error = refusal(cluster.state, a_stack(a_service(template=a_template(ports=[80]))))

    assert isinstance(error, PortConflict)
    assert (error.service, error.published, error.other) == ("web.app", 80, "shop.app")
    assert str(error) == "'web.app' can't publish port 80: it is published by 'shop.app' already; choose another port"


def test_a_port_twice_in_one_service_is_refused() -> None:
    error = refusal(ClusterState(), a_stack(a_service(template=a_template(ports=[80, 80]))))

    assert "it is published twice itself" in str(error)


def test_a_stack_may_move_a_port_from_one_service_to_another() -> None:
    cluster = deployed(a_stack(a_service("app", template=a_template(ports=[80])), a_service("db")))

    cluster.deploy(a_stack(a_service("app"), a_service("db", template=a_template(ports=[80]))))


@pytest.mark.parametrize(("one", "other", "conflict"), [("", "127.0.0.1", True), ("10.0.0.1", "10.0.0.2", False)])
def test_ports_conflict_where_their_addresses_meet(one: str, other: str, conflict: bool) -> None:
    def at(address: str, name: str) -> StackSpec:
        port = PublishedPort(target=80, published=80, host_address=address)
        return a_stack(a_service(template=a_template().model_copy(update={"ports": (port,)})), name=name)

    cluster = deployed(at(one, "shop"))

    if conflict:
        assert isinstance(refusal(cluster.state, at(other, "web")), PortConflict)
    else:
        cluster.deploy(at(other, "web"))


def test_dependencies_must_exist_and_must_not_run_in_circles() -> None:
    started = DependencyCondition.STARTED

    unknown = refusal(ClusterState(), a_stack(a_service(depends_on={"db": started})))
    circle = refusal(
        ClusterState(),
        a_stack(
            a_service("a", depends_on={"b": started}),
            a_service("b", depends_on={"c": started}),
            a_service("c", depends_on={"b": started}),
        ),
    )

    assert isinstance(unknown, UnknownDependency)
    assert isinstance(circle, DependencyCycle)
    assert circle.cycle == ("b", "c", "b")


def test_removal_deletes_the_stack_and_its_services_only() -> None:
    cluster = deployed(a_stack(a_service("app"), a_service("db")), a_stack(a_service(), name="shop"))

    transaction = stacks.remove(cluster.state, StackName("web"))

    assert deleted_keys(transaction) == ["services/web.app", "services/web.db", "stacks/web"]
    with pytest.raises(UnknownStack, match="there is no stack 'blog'; there is shop, web"):
        stacks.remove(cluster.state, StackName("blog"))


def test_scaling_changes_replicas_but_not_the_revision() -> None:
    cluster = deployed(a_stack(a_service()))
    before = cluster.state.services[APP].value

    assert cluster.commit(stacks.scale(cluster.state, APP, 5))

    after = cluster.state.services[APP].value
    assert (after.spec.replicas, after.revision) == (5, before.revision)
    assert stacks.scale(cluster.state, APP, 5).operations == ()


def test_scaling_what_can_not_be_scaled_is_refused() -> None:
    cluster = deployed(a_stack(a_service("app"), a_service("agent", mode=Mode.GLOBAL)))

    with pytest.raises(UnknownService):
        stacks.scale(cluster.state, ServiceId("web.nothing"), 1)
    with pytest.raises(GlobalServiceNotScalable):
        stacks.scale(cluster.state, ServiceId("web.agent"), 1)
    with pytest.raises(ReplicasOutOfRange):
        stacks.scale(cluster.state, APP, 10_001)
