"""What the gossip core counted since its start; read by metrics and tests, never by the core itself."""

from dataclasses import dataclass


@dataclass(slots=True)
class GossipCounters:
    received: int = 0
    malformed: int = 0
    """Datagrams and exchanges that don't decode."""
    foreign_cluster: int = 0
    foreign_version: int = 0
    incompatible_members: int = 0
    """Announcements of nodes that share no protocol version with this one: they are not taken in."""
    own_echoes: int = 0
    """Said to come from ourselves: a join address that leads back here."""

    probes: int = 0
    probes_failed: int = 0
    probes_by_stream: int = 0
    stream_rescues: int = 0
    """Peers that no datagram reached and that answered over a stream: look at the network's UDP."""
    stalled_probes: int = 0
    """Probes of peers whose hosts took a connection while their agents said nothing; each made again."""
    refused_ports: int = 0
    suspicions: int = 0
    deaths: int = 0
    """Declared by this node, not heard of."""
    refutations: int = 0
    """Of claims that this node is suspect, dead or gone."""
    stalls: int = 0
    """Times this agent noticed that it had stood still."""

    exchanges: int = 0
    exchanges_failed: int = 0
    news_dropped: int = 0
    """Pushed out of a full queue before they were sent as often as they should."""
    members_refused: int = 0
    records_refused: int = 0
    copies_diverged: int = 0
    """Copies that differed from their owner's records although they lacked nothing; fetched anew."""
