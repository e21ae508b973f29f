"""Request ids for this agent's writes, so that a retry through another leader is applied once.

The store remembers the last sequence number of each client, so one client id must not have two requests under way.
Each request borrows a session (a client id) and gives it back; the number of sessions is the largest number of
writes that were ever under way at once, not the number of writes.
"""

from swarmlet.errors import SwarmletError
from swarmlet.model.transaction import RequestId

SESSIONS_MAX = 1_024
"""Writes one agent has under way at once; more are refused rather than queued without limit."""


class TooManyWrites(SwarmletError):
    def __init__(self) -> None:
        super().__init__(f"this peer has {SESSIONS_MAX} writes under way already: try again in a moment")


class Sessions:
    def __init__(self, prefix: str) -> None:
        """`prefix` must differ for each start of each agent."""
        self._prefix = prefix
        self._idle: list[str] = []
        self._made = 0
        self._sequence: dict[str, int] = {}

    def take(self) -> RequestId:
        """The next request of a session that has none under way. Has to be given back when its outcome is known."""
        client = self._idle.pop() if self._idle else self._make()
        self._sequence[client] += 1
        return RequestId(client, self._sequence[client])

    def give_back(self, request: RequestId) -> None:
        self._idle.append(request.client)

    def _make(self) -> str:
        if self._made >= SESSIONS_MAX:
            raise TooManyWrites
        self._made += 1
        client = f"{self._prefix}-{self._made}"
        self._sequence[client] = 0
        return client
