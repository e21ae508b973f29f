"""Gossip in virtual time: what users wait for, with crashes, loss, cuts, stalls and restarts."""

from random import Random
from statistics import median

import pytest

from gossip_sim.network import GossipNetwork
from swarmlet.gossip import DeleteRecord, GossipSettings, Join, Leave, SetRecord
from swarmlet.model.observed import Address, Liveness


def time_to_death(size: int, seed: int, refuse: bool = False) -> float:
    network = GossipNetwork(seed)
    names = network.form(size)
    crashed_at = network.now
    network.crash(names[-1], refuse=refuse)
    assert network.run_until(lambda: network.everyone_holds(names[-1], Liveness.DEAD), 10.0)
    return network.now - crashed_at


def test_three_nodes_know_each_other_soon_after_their_start() -> None:
    network = GossipNetwork(seed=1)
    network.start("a")
    network.start("b", "c", join="a")

    assert network.run_until(network.agree, 0.5)


def test_a_node_whose_join_address_is_silent_tries_until_it_answers() -> None:
    network = GossipNetwork(seed=2)
    network.start("a")
    network.crash("a")
    network.start("b", join="a")
    network.run(60.0)

    network.restart("a")

    assert network.run_until(network.agree, 14.0)


def test_a_lost_host_of_three_is_dead_to_all_within_three_seconds() -> None:
    times = [time_to_death(3, seed) for seed in range(5)]

    assert median(times) <= 2.5
    assert max(times) <= 3.5


def test_a_killed_agent_of_three_is_dead_to_all_within_two_seconds() -> None:
    times = [time_to_death(3, seed, refuse=True) for seed in range(5)]

    assert median(times) <= 1.5
    assert max(times) <= 2.5


def test_a_lost_host_of_twenty_is_dead_to_all_in_two_and_a_half_seconds() -> None:
    times = [time_to_death(20, seed) for seed in range(5)]

    assert median(times) <= 2.6
    assert max(times) <= 4.0


def test_the_survivor_of_two_finds_the_other_dead() -> None:
    assert time_to_death(2, seed=1) <= 4.0


def test_nobody_is_declared_dead_at_ten_percent_loss() -> None:
    network = GossipNetwork(seed=3)
    network.form(20)
    network.loss = 0.1

    network.run(120.0)

    assert sum(node.core.counters.deaths for node in network.running()) == 0
    assert network.run_until(network.agree, 2.0)


@pytest.mark.parametrize("seed", range(3))
def test_nobody_is_declared_dead_in_bursts_of_stopped_agents_and_loss(seed: int) -> None:
    network = GossipNetwork(seed)
    names = network.assemble(20)
    network.loss = 0.1
    rng = Random(seed)

    for _ in range(17):
        for name in rng.sample(names, 4):
            network.stall(name, 1.5)
        network.run(3.5)

    assert sum(node.core.counters.deaths for node in network.running()) == 0
    assert sum(node.core.counters.stalled_probes for node in network.running()) > 0


def test_an_agent_that_stands_still_for_good_is_dead_in_the_end() -> None:
    network = GossipNetwork(seed=5)
    names = network.form(5)

    network.stall(names[-1], 60.0)

    alert = names[:-1]
    assert network.run_until(
        lambda: all(network.liveness(name, names[-1]) is Liveness.DEAD for name in alert), within_s=10.0
    )


def test_a_node_that_stood_still_blames_nobody_and_comes_back() -> None:
    network = GossipNetwork(seed=4)
    names = network.form(5)
    others = names[1:]

    for _ in range(5):
        network.stall(names[0], 5.0)
        network.run(5.0)
        assert network.run_until(network.agree, 3.0)
        network.run(2.0)

    stalled = network.nodes[names[0]]
    assert stalled.core.counters.stalls == 5
    assert stalled.core.counters.deaths == 0
    assert all(network.liveness(names[0], other) is Liveness.ALIVE for other in others)


@pytest.mark.parametrize("seconds_cut", [5.0, 90.0])
def test_two_halves_agree_soon_after_their_cut_heals(seconds_cut: float) -> None:
    network = GossipNetwork(seed=5)
    names = network.form(20)
    left = set(names[:10])
    network.cut(lambda sender, receiver: (sender in left) != (receiver in left))
    network.run(seconds_cut)

    network.heal()

    assert network.run_until(network.agree, 5.0)
    network.run(5.0)
    assert network.agree()


def test_each_half_holds_the_other_for_dead() -> None:
    network = GossipNetwork(seed=6)
    names = network.form(6)
    left = set(names[:3])
    network.cut(lambda sender, receiver: (sender in left) != (receiver in left))
    network.feed(names[0], SetRecord("side", b"left"))
    network.run(15.0)

    assert all(network.liveness(a, b) is Liveness.DEAD for a in left for b in names if b not in left)
    network.heal()
    assert network.run_until(lambda: network.everyone_has(names[0], "side", b"left"), 5.0)


def test_a_one_way_link_makes_nobody_dead() -> None:
    network = GossipNetwork(seed=7)
    names = network.form(5)
    network.cut(lambda sender, receiver: sender == names[0] and receiver == names[1])

    network.run(60.0)

    assert sum(node.core.counters.deaths for node in network.running()) == 0


def test_a_restarted_node_supersedes_its_earlier_life() -> None:
    network = GossipNetwork(seed=8)
    network.form(3)
    network.feed("n3", SetRecord("task/old", b"1"))
    assert network.run_until(lambda: network.everyone_has("n3", "task/old", b"1"), 1.0)
    network.crash("n3")
    assert network.run_until(lambda: network.everyone_holds("n3", Liveness.DEAD), 5.0)

    network.restart("n3", join="n1")
    network.feed("n3", SetRecord("task/new", b"2"))

    assert network.run_until(network.agree, 2.0)
    assert network.run_until(
        lambda: network.everyone_has("n3", "task/new", b"2") and network.everyone_has("n3", "task/old", None), 3.0
    )
    node_id = network.nodes["n3"].node_id
    assert all(node.records.keys() == {(node_id, "task/new")} for node in network.running())


def test_a_node_that_restarts_before_anyone_noticed_is_the_same_node() -> None:
    network = GossipNetwork(seed=9)
    network.form(3)
    network.feed("n3", SetRecord("task/old", b"1"))
    network.run(1.0)
    network.crash("n3")

    network.restart("n3", join="n1")

    assert network.run_until(network.agree, 1.0)
    network.run(15.0)
    assert network.everyone_has("n3", "task/old", None)
    assert network.agree()


def test_a_restart_with_an_earlier_generation_outbids_what_is_left_of_the_later_one() -> None:
    network = GossipNetwork(seed=10)
    network.form(3)
    network.restart("n3", join="n1")
    network.feed("n3", SetRecord("a", b"1"))
    network.feed("n3", SetRecord("b", b"2"))
    network.run(2.0)

    network.nodes["n3"].starts = 0
    network.restart("n3", join="n1")
    network.feed("n3", SetRecord("a", b"new"))

    assert network.run_until(
        lambda: network.everyone_has("n3", "a", b"new") and network.everyone_has("n3", "b", None), 5.0
    )
    assert network.agree()


def test_a_node_that_returns_with_another_address_is_the_same_node() -> None:
    network = GossipNetwork(seed=11)
    network.form(3)
    moved = Address("10.9.9.9", 8421)
    network.crash("n2")

    network.restart("n2", address=moved, join="n1")

    assert network.run_until(network.agree, 2.0)
    node_id = network.nodes["n2"].node_id
    assert all(node.core.members()[node_id].address == moved for node in network.running())
    assert all(len(node.core.members()) == 3 for node in network.running())
    network.run(10.0)
    assert network.agree()


def test_an_address_that_changes_while_running_is_announced() -> None:
    network = GossipNetwork(seed=12)
    network.form(3)
    moved = Address("10.9.9.9", 8421)

    network.move("n2", moved)

    node_id = network.nodes["n2"].node_id
    assert network.run_until(lambda: all(n.core.members()[node_id].address == moved for n in network.running()), 0.5)


def test_a_leaving_node_is_known_to_have_left_at_once() -> None:
    network = GossipNetwork(seed=13)
    names = network.form(20)

    network.feed(names[5], Leave())
    network.crash(names[5])

    assert network.run_until(lambda: network.everyone_holds(names[5], Liveness.LEFT), 0.5)
    network.run(10.0)
    assert network.everyone_holds(names[5], Liveness.LEFT)


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_a_record_reaches_twenty_nodes_within_a_second(loss: float) -> None:
    network = GossipNetwork(seed=14)
    network.form(20)
    network.loss = loss

    for round_ in range(5):
        value = b"%d" % round_
        network.feed("n7", SetRecord("task/t", value))
        assert network.run_until(lambda value=value: network.everyone_has("n7", "task/t", value), 1.0)
    network.feed("n7", DeleteRecord("task/t"))
    assert network.run_until(lambda: network.everyone_has("n7", "task/t", None), 1.0)


def test_a_record_reaches_two_peers_in_the_first_datagrams() -> None:
    network = GossipNetwork(seed=15)
    network.form(3)

    network.feed("n1", SetRecord("task/t", b"up"))

    assert network.run_until(lambda: network.everyone_has("n1", "task/t", b"up"), 0.02)


def test_a_record_larger_than_a_datagram_arrives_by_exchange() -> None:
    network = GossipNetwork(seed=16)
    network.form(5)
    large = bytes(40_000)

    network.feed("n1", SetRecord("large", large))

    assert network.run_until(lambda: network.everyone_has("n1", "large", large), 8.0)


def test_thousands_of_changes_under_loss_end_in_one_view() -> None:
    network = GossipNetwork(seed=17)
    names = network.form(5)
    network.loss = 0.3
    for number in range(600):
        owner = names[number % 5]
        key = f"task/{number % 40}"
        network.feed(owner, DeleteRecord(key) if number % 7 == 0 else SetRecord(key, b"%d" % number))
        network.run(0.01)
    network.loss = 0.0

    def same() -> bool:
        return all(
            dict(viewer.core.records(owner.node_id)) == dict(owner.core.records(owner.node_id))
            for viewer in network.running()
            for owner in network.running()
        )

    assert network.run_until(same, 20.0)
    reported = [node.records for node in network.running()]
    assert all(records == reported[0] for records in reported)


def test_a_late_joiner_learns_the_records_of_the_dead() -> None:
    network = GossipNetwork(seed=18)
    network.form(3)
    network.feed("n3", SetRecord("facts", b"f"))
    network.run(1.0)
    network.crash("n3")
    network.run(5.0)

    network.start("late", join="n1")

    assert network.run_until(lambda: network.liveness("late", "n3") is Liveness.DEAD, 2.0)
    assert network.run_until(lambda: network.everyone_has("n3", "facts", b"f"), 2.0)


def test_the_dead_are_forgotten_everywhere_and_stay_so() -> None:
    network = GossipNetwork(seed=19, settings=GossipSettings(forget_dead_after_s=60.0))
    network.form(3)
    network.feed("n3", SetRecord("facts", b"f"))
    network.run(1.0)
    network.crash("n3")

    network.run(100.0)

    node_id = network.nodes["n3"].node_id
    assert all(node_id not in node.core.members() for node in network.running())
    assert all((node_id, "facts") not in node.records for node in network.running())


def test_a_survivor_joins_again_when_its_last_peer_is_gone() -> None:
    network = GossipNetwork(seed=20)
    network.start("a", "x")
    network.start("b", join="a")
    network.run(5.0)
    network.feed("a", Join((network.nodes["x"].address,)))
    network.run(20.0)
    assert network.liveness("a", "x") is None, "a node with a live peer has no need to join"

    network.crash("b")

    assert network.run_until(network.agree, 10.0)


def test_an_idle_cluster_of_three_is_nearly_silent() -> None:
    network = GossipNetwork(seed=23)
    network.form(3)
    before = {node.name: (node.sent_bytes, node.ticks) for node in network.running()}

    network.run(60.0)

    for node in network.running():
        sent_bytes, ticks = before[node.name]
        assert (node.sent_bytes - sent_bytes) / 60 <= 1500
        assert (node.ticks - ticks) / 60 <= 10
        assert sum(1 for _, member in node.changes if member.liveness is not Liveness.ALIVE) == 0


def test_liveness_of_the_node_itself_is_reported_at_its_start() -> None:
    network = GossipNetwork(seed=24)

    network.start("a")

    node = network.nodes["a"]
    assert [member.liveness for _, member in node.changes] == [Liveness.ALIVE]
