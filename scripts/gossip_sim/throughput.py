"""How many messages one core takes in a second: the events of one node's life in a busy cluster, played again.

Counted are the messages inside its datagrams (probes, answers, digests, news). The time is that of `Gossip.step`, so
decoding them, acting on them, and encoding all that is sent in return are included; sealing and sockets are not.
"""

import time
from dataclasses import dataclass
from random import Random

from gossip_sim.network import CLUSTER, GossipNetwork
from swarmlet.gossip import DatagramReceived, Event, Gossip
from swarmlet.gossip.codec import decode_packet, forget_decoded

NODES = 100
PUBLISHING = 20
TASKS = 10
ROUNDS = 60
ROUND_S = 0.1
STATUS_SIZE_BYTES = 260


@dataclass(frozen=True)
class Throughput:
    messages: int
    datagrams: int
    seconds: float

    @property
    def messages_per_s(self) -> float:
        return self.messages / self.seconds

    @property
    def datagrams_per_s(self) -> float:
        return self.datagrams / self.seconds


def measure(seed: int = 1) -> Throughput:
    network = GossipNetwork(seed)
    network.recorded = "n1"
    names = network.assemble(NODES)
    busy_from = network.now
    for number in range(ROUNDS):
        for name in names[-PUBLISHING:]:
            network.publish(name, f"task/{name}-{number % TASKS}", b"%d" % number + bytes(STATUS_SIZE_BYTES))
        network.run(ROUND_S)
    return _replayed(network, busy_from)


def _replayed(network: GossipNetwork, since: float) -> Throughput:
    node = network.nodes["n1"]
    core = Gossip(node.identity, network.settings, Random(node.seed), network.recording[0][1], node.starts)
    # What the other simulated nodes decoded is not this one's.
    forget_decoded()
    quiet = [(event, now) for event, now in network.recording if now < since]
    busy: list[tuple[Event, float]] = network.recording[len(quiet) :]
    for event, now in quiet:
        core.step(event, now)
    started = time.process_time()
    for event, now in busy:
        core.step(event, now)
    seconds = time.process_time() - started
    assert core.members().keys() == node.core.members().keys()
    payloads = [event.payload for event, _ in busy if isinstance(event, DatagramReceived)]
    return Throughput(
        sum(len(decode_packet(payload, CLUSTER).messages) for payload in payloads), len(payloads), seconds
    )
