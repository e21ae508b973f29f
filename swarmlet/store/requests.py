"""Remembers each client's last request and what it brought, so that a retry is applied at most once.

A client numbers its requests upward and has one under way at a time (Raft thesis, §6.3). The table is part of
what replicas agree on: same requests, same table, in the same order; so it is bounded by a rule that depends on
nothing else, the client that was silent for longest goes first.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from swarmlet.model.transaction import RequestId
from swarmlet.store.objects import TransactionResult

CLIENTS_MAX = 10_000


class RequestTable:
    def __init__(self, clients: Iterable[tuple[str, int, TransactionResult]] = (), clients_max: int = CLIENTS_MAX):
        """`clients`: (client, last sequence, its result), the longest silent first."""
        self._last = {client: (sequence, result) for client, sequence, result in clients}
        self._clients_max = clients_max

    def __len__(self) -> int:
        return len(self._last)

    def __iter__(self) -> Iterator[tuple[str, int, TransactionResult]]:
        return ((client, sequence, result) for client, (sequence, result) in self._last.items())

    def earlier_result(self, request: RequestId, revision: int) -> TransactionResult | None:
        """What the request brought when it was applied before; None when it is new."""
        sequence, result = self._last.get(request.client, (-1, None))
        if result is None or request.sequence > sequence:
            return None
        if request.sequence == sequence:
            return replace(result, duplicate=True)
        return TransactionResult(succeeded=False, revision=revision, duplicate=True)

    def remember(self, request: RequestId, result: TransactionResult) -> None:
        self._last.pop(request.client, None)
        self._last[request.client] = (request.sequence, result)
        while len(self._last) > self._clients_max:
            del self._last[next(iter(self._last))]
