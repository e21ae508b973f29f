"""What people change about nodes, and that the leader's own word about them keeps it."""

from dataclasses import replace

import pytest
from controllers_builders import APP, FakeCluster, a_service, a_stack

from swarmlet.controllers import nodes
from swarmlet.controllers.node_errors import AmbiguousNode, BadLabel, NodeHasTasks, NodeIsUp, TooMany, UnknownNode
from swarmlet.controllers.nodes import UnwantedTaint
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import Drain, Node
from swarmlet.model.observed import Liveness
from swarmlet.model.placement import Taint, TaintEffect

GPU = Taint(key="gpu", value="a100")
BROKEN = Taint(key="broken", effect=TaintEffect.NO_EXECUTE)


def a_cluster() -> FakeCluster:
    cluster = FakeCluster.of("n1", "n2")
    cluster.reconcile()
    return cluster


def node(cluster: FakeCluster, name: str = "n1") -> Node:
    return cluster.state.nodes[NodeId(name)].value


def change(cluster: FakeCluster, **wishes: object) -> None:
    assert cluster.commit(nodes.change(cluster.state, "n1", **wishes))  # type: ignore[arg-type]  # the test's wishes


def test_a_node_is_cordoned_and_uncordoned() -> None:
    cluster = a_cluster()

    change(cluster, cordoned=True)
    assert node(cluster).cordoned

    change(cluster, cordoned=False)
    assert not node(cluster).cordoned


def test_what_is_so_already_takes_no_write() -> None:
    cluster = a_cluster()
    change(cluster, cordoned=True, labels={"disk": "ssd"}, taints=[GPU])

    again = nodes.change(cluster.state, "n1", cordoned=True, labels={"disk": "ssd"}, taints=[GPU])

    assert again.operations == ()


def test_labels_are_set_and_removed_and_others_stay() -> None:
    cluster = a_cluster()
    change(cluster, labels={"disk": "ssd", "rack": "7"})

    change(cluster, labels={"disk": "nvme", "rack": None, "never": None})

    assert node(cluster).labels == {"disk": "nvme"}


def test_a_taint_replaces_the_one_of_its_key_and_effect() -> None:
    cluster = a_cluster()
    change(cluster, taints=[GPU, BROKEN])

    change(cluster, taints=[Taint(key="gpu", value="h100")])

    assert set(node(cluster).taints) == {Taint(key="gpu", value="h100"), BROKEN}


def test_taints_are_removed_by_key_or_by_key_and_effect() -> None:
    cluster = a_cluster()
    change(cluster, taints=[GPU, GPU.model_copy(update={"effect": TaintEffect.NO_EXECUTE}), BROKEN])

    change(cluster, untaint=[UnwantedTaint("gpu", TaintEffect.NO_SCHEDULE), UnwantedTaint("broken")])

    assert [(taint.key, taint.effect) for taint in node(cluster).taints] == [("gpu", TaintEffect.NO_EXECUTE)]


def test_what_people_set_outlives_the_nodes_death_and_return() -> None:
    cluster = a_cluster()
    change(cluster, labels={"disk": "ssd"}, taints=[GPU])
    assert cluster.commit(nodes.drain(cluster.state, "n1", cluster.now, 60))
    before = node(cluster)

    for liveness in (Liveness.DEAD, Liveness.ALIVE, Liveness.LEFT, Liveness.ALIVE):
        cluster.set_liveness("n1", liveness)
        cluster.reconcile()
        cluster.now += 100
        cluster.reconcile()

    assert node(cluster).status_since != before.status_since
    assert node(cluster) == before.model_copy(
        update={"status_since": node(cluster).status_since, "downs": node(cluster).downs}
    )


def test_a_drain_cordons_and_an_uncordon_ends_it() -> None:
    cluster = a_cluster()

    assert cluster.commit(nodes.drain(cluster.state, "n1", 100.0, 60))
    assert (node(cluster).cordoned, node(cluster).drain) == (True, Drain(since=100.0, deadline=160.0))

    change(cluster, cordoned=False)
    assert (node(cluster).cordoned, node(cluster).drain) == (False, None)


def test_a_second_drain_moves_the_deadline_only() -> None:
    cluster = a_cluster()
    assert cluster.commit(nodes.drain(cluster.state, "n1", 100.0, 60))

    assert cluster.commit(nodes.drain(cluster.state, "n1", 130.0, None))

    assert node(cluster).drain == Drain(since=100.0, deadline=None)


def test_a_node_that_is_up_is_not_forgotten() -> None:
    with pytest.raises(NodeIsUp, match="stop its agent first"):
        nodes.forget(a_cluster().state, "n1")


def test_a_node_with_tasks_is_not_forgotten_before_they_are_replaced() -> None:
    cluster = a_cluster()
    cluster.deploy(a_stack(a_service(replicas=2)))
    cluster.settle()
    cluster.set_liveness("n1", Liveness.LEFT)
    cluster.reconcile()

    with pytest.raises(NodeHasTasks, match="1 task is still assigned to n1"):
        nodes.forget(cluster.state, "n1")


def test_a_forgotten_node_stays_forgotten_until_it_is_alive_again() -> None:
    cluster = a_cluster()
    cluster.deploy(a_stack(a_service(replicas=2)))
    cluster.settle()
    cluster.set_liveness("n1", Liveness.DEAD)
    cluster.settle()

    assert cluster.commit(nodes.forget(cluster.state, "n1"))
    cluster.settle()
    assert set(cluster.state.nodes) == {"n2"}
    assert len(cluster.ready(APP)) == 2

    cluster.set_liveness("n1", Liveness.ALIVE)
    cluster.settle()
    assert set(cluster.state.nodes) == {"n1", "n2"}


def test_of_two_nodes_with_one_name_the_one_that_is_up_is_meant() -> None:
    cluster = a_cluster()
    for id_ in ("old", "new"):
        cluster.nodes[NodeId(id_)] = replace(cluster.nodes[NodeId("n1")], id=NodeId(id_), name="twin")
    cluster.reconcile()

    with pytest.raises(AmbiguousNode, match="new or old"):
        nodes.find(cluster.state, "twin")

    cluster.set_liveness("old", Liveness.DEAD)
    cluster.reconcile()
    assert nodes.find(cluster.state, "twin").value.id == "new"
    assert nodes.find(cluster.state, "old").value.id == "old"


def test_an_unknown_node_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownNode, match="'n9'; there is n1, n2"):
        nodes.change(a_cluster().state, "n9", cordoned=True)


@pytest.mark.parametrize(("key", "value"), [("", "x"), ("a b", "x"), ("-a", "x"), ("a", "b c"), ("a" * 254, "x")])
def test_labels_that_could_not_be_written_in_a_constraint_are_refused(key: str, value: str) -> None:
    with pytest.raises(BadLabel):
        nodes.change(a_cluster().state, "n1", labels={key: value})


def test_labels_have_a_limit() -> None:
    with pytest.raises(TooMany, match="65 labels, and 64"):
        nodes.change(a_cluster().state, "n1", labels={f"key{n}": "" for n in range(65)})
