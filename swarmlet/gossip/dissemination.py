"""News on its way: a bounded queue whose items ride on every datagram (SWIM, section 4.1; Lifeguard's memberlist).

- Each item is sent a limited number of times, in proportion to log(N), then it is gone.
- What was sent least goes first, and of those the newest.
- Newer news of the same subject replaces the older.
- A full queue lets go of what was sent most often: exchanges repair what was lost.
"""

import math
from collections.abc import Hashable

Subject = Hashable
SCANNED_MAX = 64
"""Items looked at for one datagram that is nearly full."""
ITEM_BYTES_MIN = 16
"""No news is smaller; with less room left nothing is looked for."""


def transmit_limit(retransmit_mult: int, nodes: int) -> int:
    return retransmit_mult * math.ceil(math.log10(nodes + 1))


class Dissemination:
    def __init__(self, items_max: int) -> None:
        self._items_max = items_max
        self._rounds: list[dict[Subject, bytes]] = [{}]
        """By number of transmissions so far; within one, the oldest first."""
        self._round_of: dict[Subject, int] = {}
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._round_of)

    def put(self, subject: Subject, item: bytes) -> None:
        self.drop(subject)
        if len(self._round_of) >= self._items_max:
            self._drop_most_sent()
        self._rounds[0][subject] = item
        self._round_of[subject] = 0

    def drop(self, subject: Subject) -> None:
        at = self._round_of.pop(subject, None)
        if at is not None:
            del self._rounds[at][subject]

    def take(self, budget_bytes: int, limit: int) -> list[bytes]:
        """Items for one datagram, at most `budget_bytes` of them, counted as sent once more."""
        taken: list[tuple[Subject, int]] = []
        items: list[bytes] = []
        scanned = 0
        for at, items_at in enumerate(self._rounds):
            for subject, item in reversed(items_at.items()):
                scanned += 1
                if len(item) <= budget_bytes:
                    budget_bytes -= len(item)
                    items.append(item)
                    taken.append((subject, at))
                if budget_bytes < ITEM_BYTES_MIN or scanned >= SCANNED_MAX:
                    break
            else:
                continue
            break
        for subject, at in reversed(taken):
            self._sent(subject, at, limit)
        return items

    def _sent(self, subject: Subject, at: int, limit: int) -> None:
        item = self._rounds[at].pop(subject)
        if at + 1 >= limit:
            del self._round_of[subject]
            return
        if at + 1 == len(self._rounds):
            self._rounds.append({})
        self._rounds[at + 1][subject] = item
        self._round_of[subject] = at + 1

    def _drop_most_sent(self) -> None:
        for items_at in reversed(self._rounds):
            if items_at:
                subject = next(iter(items_at))
                del items_at[subject], self._round_of[subject]
                self.dropped += 1
                return
