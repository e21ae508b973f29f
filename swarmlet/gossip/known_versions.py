"""Which of an owner's writes a copy has taken into account: all up to `base`, and all from `top_from` to `top`.

Scuttlebutt (van Renesse, Dumitriu, Gough, Thomas 2008, section 3) describes a copy by its highest version alone, so
deltas have to be sent oldest first. Writes that travel as news, and deltas that start with the newest, leave gaps; one
gap is described exactly. Of several only the newest span is remembered: what is forgotten so comes once more.
"""

Span = tuple[int, int]
"""First and last version, both included."""


class KnownVersions:
    __slots__ = ("base", "top", "top_from")

    def __init__(self, base: int = 0, top_from: int = 0, top: int = 0) -> None:
        self.base, self.top_from, self.top = base, top_from, top

    @property
    def gapless(self) -> bool:
        return self.base == self.top

    def spans(self) -> list[Span]:
        spans = [(1, self.base)] if self.base else []
        return spans if self.gapless else [*spans, (self.top_from, self.top)]

    def add(self, first: int, last: int) -> None:
        if first <= self.base + 1:
            self.base = max(self.base, last)
        elif self.gapless or first > self.top + 1:
            self.top_from, self.top = first, last
        elif last >= self.top_from - 1:
            self.top_from, self.top = min(self.top_from, first), max(self.top, last)
        if self.top_from <= self.base + 1:
            self.base = self.top = self.top_from = max(self.base, self.top)

    def clear(self) -> None:
        self.base = self.top_from = self.top = 0

    def not_in(self, other: "KnownVersions") -> list[Span]:
        """What is known here and not there, the oldest first."""
        spans = self.spans()
        for first, last in other.spans():
            spans = [part for span in spans for part in _without(span, first, last)]
        return spans


def _without(span: Span, first: int, last: int) -> list[Span]:
    """What is left of a span when another is cut out of it."""
    below, above = (span[0], min(span[1], first - 1)), (max(span[0], last + 1), span[1])
    return [part for part in (below, above) if part[0] <= part[1]]
