"""Which versions of the gossip protocol an agent speaks, so that clusters can be upgraded node by node.

Every node says its range with its announcement and sends in the highest version that all live members read; before it
knows any, in its own lowest. A node whose range has nothing in common with ours is no member here: it is refused,
counted and reported. The first three fields of every packet (version, cluster, sender) keep their place for ever.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VersionRange:
    lowest: int
    highest: int

    def includes(self, version: int) -> bool:
        return self.lowest <= version <= self.highest

    def overlaps(self, other: "VersionRange") -> bool:
        return self.lowest <= other.highest and other.lowest <= self.highest

    def __str__(self) -> str:
        return str(self.lowest) if self.lowest == self.highest else f"{self.lowest} to {self.highest}"


SUPPORTED = VersionRange(1, 1)
"""What this code reads and writes."""
