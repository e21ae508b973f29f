"""The experiment of the Lifeguard paper (Dadgar, Phillips, Currey 2017, section V): slow members, and who gets blamed.

128 members; what C of them send and receive waits for D seconds while their timers run, then they run freely for I
seconds, and so on, in step, for two minutes. A false positive is a member that was well all the time and was declared
dead. Each variant leaves parts away. `plain SWIM` has the suspicion of SWIM with the fixed wait that Lifeguard's
shrinks to, as in the paper; `SWIM, patient` has the wait that it starts from, which buys fewer false alarms with later
detection.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

from gossip_sim.figures import FalseAlarms, false_alarms
from gossip_sim.network import GossipNetwork
from swarmlet.gossip import GossipSettings

MEMBERS = 128
DURATION_S = 120.0
Change = Callable[[GossipSettings], GossipSettings]


@dataclass(frozen=True)
class Slowness:
    members: int
    waits_s: float
    runs_s: float

    def __str__(self) -> str:
        return f"C={self.members} D={self.waits_s:g} s I={self.runs_s:g} s"


PAPERS = (Slowness(4, 2.048, 0.064), Slowness(16, 8.192, 0.256), Slowness(32, 16.384, 1.024))
"""Three points of the paper's grid: a mild, a middle and a harsh one."""


def without_awareness(settings: GossipSettings) -> GossipSettings:
    return replace(settings, awareness_max=0, nacks=False)


def without_dynamic_suspicion(settings: GossipSettings) -> GossipSettings:
    return replace(settings, suspicion_max_s=settings.suspicion_min_s, suspicion_confirmations=0, prompted_probes=0.0)


def without_buddies(settings: GossipSettings) -> GossipSettings:
    return replace(settings, buddy_system=False)


def without_own_parts(settings: GossipSettings) -> GossipSettings:
    """Leave Lifeguard as it was published."""
    return replace(settings, stall_s=inf, deafness_max_s=0.0, evidence_s=0.0, stream_probes=False, prompted_probes=0.0)


def plain_swim(settings: GossipSettings) -> GossipSettings:
    return without_own_parts(without_buddies(without_dynamic_suspicion(without_awareness(settings))))


def patient_swim(settings: GossipSettings) -> GossipSettings:
    return replace(
        plain_swim(settings), suspicion_min_s=settings.suspicion_max_s, suspicion_max_s=settings.suspicion_max_s
    )


VARIANTS: dict[str, Change] = {
    "swarmlet": lambda settings: settings,
    "plain SWIM": plain_swim,
    "SWIM, patient": patient_swim,
    "Lifeguard as published": without_own_parts,
    "without local health": without_awareness,
    "without dynamic suspicion": without_dynamic_suspicion,
    "without buddies": without_buddies,
    "without noticing stalls": lambda settings: replace(settings, stall_s=inf),
    "without noticing deafness": lambda settings: replace(settings, deafness_max_s=0.0),
    "without streams, evidence, prompts": lambda s: replace(
        s, stream_probes=False, evidence_s=0.0, prompted_probes=0.0
    ),
}


def slow_members(
    variant: Change, slowness: Slowness, seed: int, members: int = MEMBERS, duration_s: float = DURATION_S
) -> FalseAlarms:
    network = GossipNetwork(seed, variant(GossipSettings()))
    names = network.assemble(members)
    slow = names[: slowness.members]
    started_at = network.now
    while network.now < started_at + duration_s:
        for name in slow:
            network.block(name, slowness.waits_s)
        network.run(slowness.waits_s + slowness.runs_s)
    return false_alarms(network, started_at, slow)
