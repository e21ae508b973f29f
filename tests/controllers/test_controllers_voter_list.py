"""People's choice of the voters: what is refused, with its reason, and what enters the store."""

import pytest
from controllers_builders import FakeCluster

from swarmlet.controllers.voter_list import (
    AmbiguousVoter,
    NoLivingQuorum,
    NoVoters,
    TooManyVoters,
    UnknownVoter,
    VoterNotAlive,
    choose,
    release,
    warnings,
)
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness
from swarmlet.model.transaction import Transaction


def a_cluster(*names: str) -> FakeCluster:
    return FakeCluster.of(*(names or ("n1", "n2", "n3", "n4", "n5")))


def chosen(cluster: FakeCluster, *names: str, voters: tuple[str, ...] = ("n1", "n2", "n3")) -> Transaction:
    return choose(cluster.state, cluster.observed, frozenset(map(NodeId, voters)), names)


def test_a_list_is_kept_in_the_store_until_it_is_released() -> None:
    cluster = a_cluster()

    assert cluster.commit(chosen(cluster, "n3", "n1", "n4"))
    stored = cluster.state.voter_list
    assert stored is not None and stored.value.nodes == ("n1", "n3", "n4")

    assert cluster.commit(release(cluster.state))
    assert cluster.state.voter_list is None


def test_what_is_so_already_is_not_written() -> None:
    cluster = a_cluster()
    assert release(cluster.state).operations == ()

    assert cluster.commit(chosen(cluster, "n1", "n2"))
    assert chosen(cluster, "n2", "n1", "n1").operations == ()


def test_of_two_lists_at_once_one_is_made_anew() -> None:
    cluster = a_cluster()
    ours, theirs = chosen(cluster, "n1"), chosen(cluster, "n2")

    assert cluster.commit(ours)
    assert not cluster.commit(theirs)


def test_unknown_and_ambiguous_names_are_refused_and_ids_are_not() -> None:
    cluster = a_cluster()
    with pytest.raises(UnknownVoter, match="no node has the name or id 'n9'; there is n1, n2"):
        chosen(cluster, "n1", "n9")

    twin = cluster.nodes[NodeId("n2")]
    cluster.nodes[NodeId("n2")] = twin.__class__(twin.id, "n1", twin.address, twin.liveness)
    assert chosen(cluster, "n1").operations, "an id goes before a name"
    cluster.nodes[NodeId("n3")] = twin.__class__(NodeId("n3"), "twin", twin.address, twin.liveness)
    cluster.nodes[NodeId("n4")] = twin.__class__(NodeId("n4"), "twin", twin.address, twin.liveness)
    with pytest.raises(AmbiguousVoter, match="by its id, n3 or n4"):
        chosen(cluster, "twin")

    cluster.set_liveness("n4", Liveness.DEAD)
    assert chosen(cluster, "twin").reason == "voters: twin"


def test_a_dead_node_does_not_become_a_voter_but_a_voter_may_be_dead() -> None:
    cluster = a_cluster()
    cluster.set_liveness("n3", Liveness.DEAD)
    cluster.set_liveness("n5", Liveness.LEFT)

    with pytest.raises(VoterNotAlive, match="'n5' is left and does not vote yet"):
        chosen(cluster, "n1", "n2", "n5")
    assert chosen(cluster, "n1", "n2", "n3").operations


def test_a_list_without_a_living_majority_is_refused() -> None:
    cluster = a_cluster()
    cluster.set_liveness("n2", Liveness.DEAD)
    cluster.set_liveness("n3", Liveness.SUSPECT)

    with pytest.raises(NoLivingQuorum, match=r"only 1 of these 3 are alive \(n2, n3 not\)"):
        chosen(cluster, "n1", "n2", "n3")
    with pytest.raises(NoLivingQuorum):
        chosen(cluster, "n1", "n2")


def test_no_voters_and_too_many_are_refused() -> None:
    with pytest.raises(NoVoters):
        chosen(a_cluster())
    many = [f"n{number}" for number in range(10)]
    with pytest.raises(TooManyVoters):
        chosen(a_cluster(*many), *many)


@pytest.mark.parametrize(
    ("count", "said"), [(1, "one voter alone"), (2, "no more failures than 1"), (4, "no more failures than 3")]
)
def test_few_and_even_numbers_are_warned_of(count: int, said: str) -> None:
    assert said in warnings(count)[0]
    assert warnings(count + 1 if count % 2 == 0 else 3) == []
