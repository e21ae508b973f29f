"""What a run of the simulated network showed: detection, false alarms, traffic; and the rows that are printed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gossip_sim.network import GossipNetwork, SimNode
from swarmlet.model.observed import Liveness


@dataclass(frozen=True)
class Row:
    profile: str
    figure: str
    value: float
    unit: str
    bar: str = ""
    met: bool | None = None
    """None where no bar is set."""


def at_most(profile: str, figure: str, value: float, unit: str, limit: float) -> Row:
    return Row(profile, figure, value, unit, f"≤ {limit:g} {unit}", value <= limit)


def at_least(profile: str, figure: str, value: float, unit: str, limit: float) -> Row:
    return Row(profile, figure, value, unit, f"≥ {limit:g} {unit}", value >= limit)


def show(rows: Iterable[Row]) -> None:
    for row in rows:
        verdict = "" if row.met is None else ("met" if row.met else "MISSED")
        print(f"{row.profile:<22} {row.figure:<52} {row.value:>10.3f} {row.unit:<5} {row.bar} {verdict}", flush=True)


def percentile(samples: Sequence[float], share: float) -> float:
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def heard_at(viewers: Iterable[SimNode], subject: SimNode, liveness: Liveness, since: float) -> list[float]:
    """When each viewer first held the subject for this, in seconds since then; viewers that never did are left out."""
    times = []
    for viewer in viewers:
        for at, member in viewer.changes:
            if at >= since and member.node_id == subject.node_id and member.liveness is liveness:
                times.append(at - since)
                break
    return times


@dataclass(frozen=True)
class FalseAlarms:
    """Of nodes that ran all the time, counted once for each viewer that believed it, as in the Lifeguard paper."""

    suspected: int
    dead: int
    dead_at_healthy: int
    """Believed by viewers that were not slow themselves (the paper's FP-)."""
    node_hours: float

    @property
    def per_node_hour(self) -> float:
        return self.dead / self.node_hours


def false_alarms(network: GossipNetwork, since: float, unwell: Iterable[str] = ()) -> FalseAlarms:
    ill = set(unwell)
    well_ids = {node.node_id for node in network.running() if node.name not in ill}
    suspected = dead = at_healthy = 0
    for viewer in network.running():
        for at, member in viewer.changes:
            if at < since or member.node_id not in well_ids:
                continue
            suspected += member.liveness is Liveness.SUSPECT
            if member.liveness is Liveness.DEAD:
                dead += 1
                at_healthy += viewer.name not in ill
    hours = len(network.running()) * (network.now - since) / 3600
    return FalseAlarms(suspected, dead, at_healthy, hours)


class Traffic:
    """What the running nodes send from now on."""

    def __init__(self, network: GossipNetwork) -> None:
        self._network = network
        self._since = network.now
        self._before = self._totals()

    def rows(self, profile: str, limit_bytes: float | None = None) -> list[Row]:
        node_seconds = len(self._network.running()) * (self._network.now - self._since)
        messages, datagram_bytes, stream_bytes = (
            (after - before) / node_seconds for after, before in zip(self._totals(), self._before, strict=True)
        )
        total = datagram_bytes + stream_bytes
        whole = "bytes a node-second, datagrams and exchanges"
        return [
            Row(profile, "datagrams a node-second", messages, ""),
            Row(profile, "bytes a node-second in datagrams", datagram_bytes, "B"),
            at_most(profile, whole, total, "B", limit_bytes) if limit_bytes else Row(profile, whole, total, "B"),
        ]

    def _totals(self) -> tuple[int, int, int]:
        nodes = self._network.running()
        return (
            sum(node.sent_datagrams for node in nodes),
            sum(node.sent_bytes for node in nodes),
            sum(node.stream_bytes for node in nodes),
        )
