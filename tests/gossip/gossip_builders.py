"""Builders for the gossip core's tests: a core with peers that exist only as the datagrams they would send."""

from collections.abc import Iterable
from random import Random
from typing import TypeVar

from swarmlet.gossip import (
    DatagramReceived,
    Effect,
    Gossip,
    GossipSettings,
    LivenessChanged,
    LocalIdentity,
    SendDatagram,
    Tick,
)
from swarmlet.gossip.codec import decode_packet, encode_message, encode_packet, packet_prefix
from swarmlet.gossip.messages import Alive, Message
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address, Liveness

CLUSTER = "test"
START = 100.0
T = TypeVar("T")


def node(letter: str) -> NodeId:
    return NodeId(f"id-{letter}")


def address(letter: str) -> Address:
    return Address(f"10.0.0.{ord(letter) - ord('a') + 1}", 8421)


def alive(letter: str, generation: int = 1, incarnation: int = 0, name: str | None = None) -> Alive:
    return Alive(node(letter), name or letter, address(letter), generation, incarnation)


def a_core(seed: int = 1, generation: int = 1, settings: GossipSettings | None = None) -> Gossip:
    identity = LocalIdentity(node("a"), "a", address("a"), CLUSTER)
    return Gossip(identity, settings or GossipSettings(), Random(seed), START, generation)


def a_core_with(*peers: str) -> Gossip:
    core = a_core()
    for peer in peers:
        hear(core, peer, [alive(peer)])
    return core


def datagram(sender: str, messages: Iterable[Message], cluster: str = CLUSTER) -> bytes:
    return encode_packet(packet_prefix(cluster, node(sender)), [encode_message(message) for message in messages])


def hear(core: Gossip, sender: str, messages: Iterable[Message], now: float = START) -> list[Effect]:
    return core.step(DatagramReceived(address(sender), datagram(sender, messages)), now)


def wait(core: Gossip, since: float, for_s: float) -> list[Effect]:
    """Tick whenever the core asks for it."""
    effects: list[Effect] = []
    now = since
    while now < since + for_s:
        now = min(since + for_s, max(now + 1e-6, core.next_deadline(now)))
        effects += core.step(Tick(), now)
    return effects


def sent(effects: Iterable[Effect], kind: type[T], to: str | None = None) -> list[T]:
    """Messages of one kind in the datagrams among the effects."""
    return [
        message
        for effect in effects
        if isinstance(effect, SendDatagram) and (to is None or effect.address == address(to))
        for message in decode_packet(effect.payload, CLUSTER).messages
        if isinstance(message, kind)
    ]


def livenesses(effects: Iterable[Effect], letter: str) -> list[Liveness]:
    return [
        effect.member.liveness
        for effect in effects
        if isinstance(effect, LivenessChanged) and effect.member.node_id == node(letter)
    ]
