"""Linearizable reads without a log entry (thesis §6.4).

A read waits for a heartbeat round that began after it arrived, so that this server surely led then, and for the
commit of the leader's first own entry, so that it knows everything that was ever committed. All reads that arrive
while a round is under way share the next one.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from swarmlet.raft.effects import ReadReady


class _Read(NamedTuple):
    request: int
    round_number: int
    read_index: int


class PendingReads:
    def __init__(self) -> None:
        self._arrived: deque[int] = deque()
        self._under_way: deque[_Read] = deque()

    def __len__(self) -> int:
        return len(self._arrived) + len(self._under_way)

    def add(self, request: int) -> None:
        self._arrived.append(request)

    @property
    def wants_round(self) -> bool:
        """Whether reads wait and no round is under way for others."""
        return bool(self._arrived) and not self._under_way

    def join(self, round_number: int, index: int) -> None:
        """Those that have arrived wait for this round, which begins now, and see everything up to `index`."""
        self._under_way.extend(_Read(request, round_number, index) for request in self._arrived)
        self._arrived.clear()

    def take_ready(self, confirmed_round: int, commit_index: int) -> Iterator[ReadReady]:
        while self._under_way:
            read = self._under_way[0]
            if read.round_number > confirmed_round or read.read_index > commit_index:
                return
            self._under_way.popleft()
            yield ReadReady(read.request, read.read_index)

    def take_all(self) -> list[int]:
        """The requests that still wait: to be refused, or answered since nobody has to be asked."""
        waiting = [read.request for read in self._under_way] + list(self._arrived)
        self._under_way.clear()
        self._arrived.clear()
        return waiting
