"""What one peer lacks of what another holds, as much as a byte budget allows (Scuttlebutt, section 3.2).

Each node's writes go newest first, and the nodes take turns (the paper's scuttle-breadth): with little room everyone's
latest writes arrive, and the older ones with the next exchanges. What was left out is not in a delta's spans, so the
peer asks for it again. A reset can't be parted; it goes alone if it must.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from swarmlet.gossip.messages import NodeDelta, RecordEntry

NODE_OVERHEAD_BYTES = 96
ENTRY_OVERHEAD_BYTES = 16


def within_budget(deltas: Iterable[NodeDelta], budget_bytes: int) -> tuple[tuple[NodeDelta, ...], bool]:
    """The deltas cut to the budget, and whether anything was left out."""
    shares = [_Share(delta) for delta in deltas]
    growing = list(shares)
    spent_bytes = 0
    while growing:
        still: list[_Share] = []
        for share in growing:
            size_bytes = share.next_size_bytes()
            if spent_bytes and spent_bytes + size_bytes > budget_bytes:
                share.cut = True
                continue
            spent_bytes += size_bytes
            share.take()
            if share.count < len(share.delta.entries):
                still.append(share)
        growing = still
    taken = tuple(share.result() for share in shares if share.count or not share.cut)
    return taken, any(share.cut for share in shares)


@dataclass(slots=True)
class _Share:
    delta: NodeDelta
    count: int = 0
    cut: bool = False

    def next_size_bytes(self) -> int:
        entries = self.delta.entries
        if self.delta.reset:
            return NODE_OVERHEAD_BYTES + sum(map(_size_bytes, entries))
        overhead_bytes = 0 if self.count else NODE_OVERHEAD_BYTES
        return overhead_bytes + (_size_bytes(entries[self.count]) if entries else 0)

    def take(self) -> None:
        self.count = len(self.delta.entries) if self.delta.reset else self.count + 1

    def result(self) -> NodeDelta:
        if not self.cut or self.delta.reset:
            return self.delta
        entries = self.delta.entries[: self.count]
        lowest = entries[-1].version
        spans = tuple((max(first, lowest), last) for first, last in self.delta.spans if last >= lowest)
        return replace(self.delta, spans=spans, entries=entries)


def _size_bytes(entry: RecordEntry) -> int:
    return ENTRY_OVERHEAD_BYTES + len(entry.key) + len(entry.value or b"")
