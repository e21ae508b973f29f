"""A node that hears nobody blames nobody, for a while."""

from gossip_builders import START, a_core_with, hear, livenesses, wait

from gossip_sim.network import GossipNetwork
from swarmlet.gossip import GossipSettings, StreamOutcome, StreamProbed
from swarmlet.gossip.hearing import DEAF_S, PEERS_MIN, Hearing
from swarmlet.gossip.messages import Nack
from swarmlet.model.observed import Liveness

MAX_S = GossipSettings().deafness_max_s


def test_silence_is_deafness_after_a_while_and_not_for_ever() -> None:
    hearing = Hearing(GossipSettings(), now=0.0)

    assert hearing.deaf_until(PEERS_MIN, now=0.9 * DEAF_S) <= 0.9 * DEAF_S
    assert hearing.deaf_until(PEERS_MIN, now=DEAF_S) == MAX_S
    assert hearing.deaf_until(PEERS_MIN, now=MAX_S + 1.0) <= MAX_S + 1.0


def test_with_two_peers_silence_is_what_is_left_of_the_dead() -> None:
    hearing = Hearing(GossipSettings(), now=0.0)

    assert hearing.deaf_until(PEERS_MIN - 1, now=5.0) <= 5.0


def test_a_node_that_hears_nobody_declares_nobody_dead_until_it_believes_its_eyes() -> None:
    core = a_core_with("b", "c", "d", "e")

    early = wait(core, START, MAX_S - 0.5)
    late = wait(core, START + MAX_S - 0.5, 10.0)

    assert all(livenesses(early, letter) == [Liveness.SUSPECT] for letter in "bcde")
    assert all(livenesses(late, letter) == [Liveness.DEAD] for letter in "bcde")


def test_one_peer_that_talks_is_enough_to_find_the_others_dead() -> None:
    core = a_core_with("b", "c", "d", "e")
    effects, now = [], START

    while now < START + 8.0:
        effects += hear(core, "e", [Nack(0)], now)
        effects += wait(core, now, 0.5)
        now += 0.5

    assert livenesses(effects, "b") == [Liveness.SUSPECT, Liveness.DEAD]


def test_an_answer_over_a_stream_is_hearing_too() -> None:
    core = a_core_with("b", "c", "d", "e")
    effects, now = [], START

    while now < START + 8.0:
        core.step(StreamProbed(0, StreamOutcome.ANSWERED), now)
        effects += wait(core, now, 0.5)
        now += 0.5

    assert Liveness.DEAD in livenesses(effects, "b")


def test_who_hears_again_gives_suspects_the_time_back() -> None:
    core = a_core_with("b", "c", "d", "e")
    wait(core, START, 10.0)

    effects = hear(core, "e", [Nack(0)], START + 10.0)
    effects += wait(core, START + 10.0, 0.9)

    assert all(Liveness.DEAD not in livenesses(effects, letter) for letter in "bcd")


def test_a_node_whose_messages_are_held_up_blames_nobody() -> None:
    network = GossipNetwork(seed=1)
    names = network.form(10)

    for _ in range(5):
        network.block(names[3], 8.0)
        network.run(8.3)

    others = [name for name in names if name != names[3]]
    assert all(
        member.name == names[3] or member.liveness is not Liveness.DEAD
        for node in network.running()
        for _, member in node.changes
    )
    assert network.run_until(lambda: all(network.liveness(a, b) is Liveness.ALIVE for a in others for b in others), 5.0)
