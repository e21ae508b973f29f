"""Every parameter of the gossip core, with its effect. Defaults suit hosts on one local network.

Sources: SWIM (Das, Gupta, Motivala 2002), Lifeguard (Dadgar, Phillips, Currey 2017).
"""

from dataclasses import dataclass

DATAGRAM_SIZE_BYTES_MAX = 1350
"""Of a payload; sealing adds at most 50, and 1,400 pass every common network unfragmented."""
EXCHANGE_SIZE_BYTES_MAX = 6 << 20
"""Of one exchange's payload; peers' streams carry frames of up to 8 MiB. Members and digests of the largest cluster and
one node's records without a part missing have room in it."""
MEMBERS_MAX = 10_000
NODE_ID_LENGTH_MAX = 64
NAME_LENGTH_MAX = 64
CLUSTER_LENGTH_MAX = 64
RECORD_KEY_BYTES_MAX = 256
RECORD_VALUE_BYTES_MAX = 64 << 10
RECORDS_MAX = 4096
"""Records of one node."""
RECORDS_BYTES_MAX = 1 << 20
"""Keys and values of one node's records together; several nodes fit one exchange."""
TOMBSTONES_MAX = 1024
"""Of one node; beyond it the oldest are let go before their time."""
DIGEST_ENTRIES_MAX = 8
"""In one datagram: the sender's own and a random few."""


@dataclass(frozen=True, slots=True)
class GossipSettings:
    probe_interval_s: float = 0.5
    """One peer is probed each interval. Shorter detects sooner and costs traffic."""
    probe_timeout_min_s: float = 0.1
    """However fast the network is, a busy agent may need this long to answer."""
    probe_timeout_max_s: float = 0.2
    """The wait for a direct answer before others are asked to probe, and the wait while no round trip is known."""
    indirect_probes: int = 3
    """How many peers are asked to probe on our behalf. More forgives more loss."""

    suspicion_min_s: float = 1.0
    """How long a suspect has to refute once enough others confirmed. Times log10(N) from 10 nodes up."""
    suspicion_max_s: float = 2.0
    """The same while nobody else confirmed."""
    suspicion_refused_s: float = 0.75
    """The same when the suspect's port was refused: its host answers, its agent is gone."""
    suspicion_confirmations: int = 3
    """How many independent confirmations bring the wait down to its minimum."""
    prompted_probes: float = 3.0
    """How many peers, on average, probe a suspect at once because they heard of the suspicion."""
    evidence_s: float = 0.5
    """A node heard from this recently is not dead because somebody says so: it becomes a suspect."""
    awareness_max: int = 8
    """Lifeguard's S: how many times its usual waits a node that seems slow itself may add."""
    stall_patience_s: float = 3.0
    """A peer whose host takes connections while its agent says nothing is accused only after so long: a process that
    stands still comes back more often than not, a host that is lost takes no connections."""
    deafness_max_s: float = 20.0
    """A node that hears nobody at all declares nobody dead for so long. 0: it trusts its own silence."""
    stall_s: float = 0.3
    """Woken later than this, we stood still ourselves: every running wait gets that time back."""

    gossip_interval_s: float = 0.1
    """While there is news, it is sent to `gossip_fanout` random peers each interval."""
    gossip_urgent_gap_s: float = 0.02
    """This node's own news goes out at once, yet not more often than this."""
    gossip_fanout: int = 3
    gossip_to_dead_s: float = 30.0
    """News goes to a dead peer too for this long, so that one wrongly declared dead hears of it."""
    retransmit_mult: int = 4
    """Each piece of news is sent this many times ceil(log10(N + 1))."""
    queue_max: int = 4096
    """Pieces of news waiting; beyond it those sent most often are let go (exchanges carry them)."""
    leave_fanout: int = 10
    """How many peers are told when this node leaves."""
    reclaim_interval_s: float = 1.0
    """One random dead peer is probed each interval: how halves of a healed partition find each other."""

    exchange_min_s: float = 10.0
    exchange_max_s: float = 15.0
    """The whole state is compared with one random peer after a random time between these."""
    exchange_gap_s: float = 0.5
    """Between exchanges that something prompted."""
    deltas_size_bytes_max: int = 1 << 20
    """Of records in one exchange. The newest come first; what has no room comes with the next exchange."""
    compress_exchanges: bool = True
    """What an exchange carries is mostly repetition: a quarter of the bytes for a few milliseconds of work."""
    digest_patience_s: float = 1.0
    """A difference must last this long before it prompts an exchange: the news may be on its way."""

    join_retry_min_s: float = 0.5
    join_retry_max_s: float = 10.0
    forget_dead_after_s: float = 86_400.0
    forget_left_after_s: float = 3_600.0
    tombstone_retention_s: float = 3_600.0
    """A deleted record is remembered this long; a peer that was away for longer is put right by the owner."""
    sweep_interval_s: float = 10.0
    """How often the dead and the deleted are looked through for those to forget."""

    # Switches for experiments, to see what each part is worth; nobody should run a cluster with one of them off.
    nacks: bool = True
    """Whether a missing nack counts against this node itself (Lifeguard, section IV-A)."""
    buddy_system: bool = True
    """Whether a suspect is told so in every datagram to it (Lifeguard, section IV-C)."""
    stream_probes: bool = True
    """Whether a peer that no datagram reached is asked over a stream before it is accused."""
