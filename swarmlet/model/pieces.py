"""A snapshot's bytes in pieces: hundreds of megabytes that nobody has to copy, encode or write in one go.

Whatever holds the interpreter for the length of one call stalls the event loop for as long. So what is large is made,
sent, written and read piece by piece, and never joined.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Protocol

PIECE_SIZE_BYTES = 256 * 1024
"""Copying or packing so much takes a fraction of a millisecond."""


class SnapshotData(Protocol):
    """What `bytes` and `Pieces` have in common, and all that consensus and storage need of a snapshot."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


class Pieces:
    """Immutable. A slice costs what it returns."""

    __slots__ = ("_ends", "_pieces")

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = tuple(piece for piece in pieces if piece)
        self._ends = tuple(accumulate(map(len, self._pieces)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, step = part.indices(len(self))
        assert step == 1, "a piece of bytes is taken as it is"
        return b"".join(self._between(start, stop))

    def _between(self, start: int, stop: int) -> Iterator[bytes]:
        which = bisect_right(self._ends, start)
        while start < stop:
            piece = self._pieces[which]
            begin = self._ends[which] - len(piece)
            yield piece if start == begin and stop >= self._ends[which] else piece[start - begin : stop - begin]
            start = self._ends[which]
            which += 1

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pieces | bytes):
            return NotImplemented
        return len(self) == len(other) and all(
            mine == theirs for mine, theirs in zip(pieces_of(self), pieces_of(other), strict=True)
        )

    def __hash__(self) -> int:
        return hash((len(self), self[:64]))

    def __repr__(self) -> str:
        return f"Pieces({len(self)} bytes in {len(self._pieces)})"


def joined(parts: Iterable[bytes]) -> SnapshotData:
    """What arrived in parts, as one: plain bytes where it is small."""
    pieces = Pieces(parts)
    return pieces[:] if len(pieces) <= PIECE_SIZE_BYTES else pieces


def pieces_of(data: SnapshotData, size_bytes: int = PIECE_SIZE_BYTES) -> Iterator[bytes]:
    """It all, in pieces of one size but for the last."""
    for start in range(0, len(data), size_bytes):
        yield data[start : start + size_bytes]
