"""Upgrades node by node: who can speak with whom, and how the others are refused."""

from random import Random

import msgpack
from gossip_builders import CLUSTER, START, address, datagram, node, wait

from swarmlet.gossip import (
    DatagramReceived,
    Effect,
    ExchangeReply,
    ExchangeRequested,
    Gossip,
    GossipSettings,
    Incompatible,
    LocalIdentity,
    SendDatagram,
    VersionRange,
)
from swarmlet.gossip.exchange_codec import encode_exchange
from swarmlet.gossip.messages import Alive, ExchangeState, MemberClaim
from swarmlet.model.observed import Liveness


def a_core_speaking(lowest: int, highest: int) -> Gossip:
    identity = LocalIdentity(node("a"), "a", address("a"), CLUSTER, VersionRange(lowest, highest))
    return Gossip(identity, GossipSettings(), Random(1), START, 1)


def announced(letter: str, lowest: int, highest: int) -> Alive:
    return Alive(node(letter), letter, address(letter), 1, 0, VersionRange(lowest, highest))


def spoken(effects: list[Effect]) -> set[int]:
    return {msgpack.unpackb(effect.payload)[0] for effect in effects if isinstance(effect, SendDatagram)}


def refusals(effects: list[Effect]) -> list[Incompatible]:
    return [effect for effect in effects if isinstance(effect, Incompatible)]


def test_a_node_without_a_common_version_is_refused_counted_and_reported_once() -> None:
    core = a_core_speaking(1, 1)

    effects = core.step(DatagramReceived(address("b"), datagram("b", [announced("c", 2, 3)])), START)
    effects += core.step(DatagramReceived(address("b"), datagram("b", [announced("c", 2, 3)])), START)

    assert node("c") not in core.members()
    assert core.counters.incompatible_members == 2
    (refused,) = refusals(effects)
    assert str(refused) == (
        f"node id-c at {address('c')} speaks gossip protocol 2 to 3, this agent 1: upgrade the older of the two, "
        "through a version that both can speak with"
    )


def test_a_datagram_in_an_unknown_version_names_its_sender() -> None:
    core = a_core_speaking(1, 1)

    effects = core.step(DatagramReceived(address("b"), msgpack.packb([7, CLUSTER, "id-b", "whatever"])), START)

    assert core.counters.foreign_version == 1
    (refused,) = refusals(effects)
    assert (refused.node_id, refused.address, refused.theirs) == (node("b"), address("b"), VersionRange(7, 7))


def test_an_exchange_in_an_unknown_version_is_answered_with_nothing() -> None:
    core = a_core_speaking(1, 1)

    effects = core.step(ExchangeRequested(encode_exchange(ExchangeState(node("b"), True), CLUSTER, 2)), START)

    assert ExchangeReply(b"") in effects
    assert [refused.address for refused in refusals(effects)] == [None]


def test_other_clusters_are_not_reported_whatever_they_speak() -> None:
    core = a_core_speaking(1, 1)

    effects = core.step(DatagramReceived(address("b"), msgpack.packb([7, "other", "id-b"])), START)

    assert refusals(effects) == []
    assert core.counters.foreign_cluster == 1


def test_the_dead_of_an_exchange_need_a_common_version_too() -> None:
    core = a_core_speaking(1, 1)
    claim = MemberClaim(node("c"), "c", address("c"), Liveness.DEAD, 1, 0, 1.0, VersionRange(2, 2))

    core.step(ExchangeRequested(encode_exchange(ExchangeState(node("b"), True, (claim,)), CLUSTER)), START)

    assert node("c") not in core.members()


def test_who_knows_nobody_speaks_its_lowest_version() -> None:
    core = a_core_speaking(1, 3)
    core.step(DatagramReceived(address("b"), datagram("b", [announced("b", 1, 1)])), START)

    assert spoken(wait(core, START, 2.0)) == {1}


def test_all_speak_the_highest_version_that_everyone_reads() -> None:
    core = a_core_speaking(1, 3)
    core.step(DatagramReceived(address("b"), datagram("b", [announced("b", 1, 4)])), START)
    assert spoken(wait(core, START, 2.0)) == {3}

    core.step(DatagramReceived(address("c"), datagram("c", [announced("c", 1, 2)])), START + 2.0)

    assert spoken(wait(core, START + 2.0, 2.0)) == {2}
    assert core.members()[node("b")].versions == VersionRange(1, 4)
