"""Remembers each client's last request and what it brought, so that a retry is applied at most once.

A client numbers its requests upward and has one under way at a time (Raft thesis, §6.3). The table is part of
what replicas agree on: same requests, same table, in the same order; so it is bounded by a rule that depends on
nothing else, the client that was silent for longest goes first. A retry of a client that was forgotten is applied
like a new request: that takes `CLIENTS_MAX` other clients who write between a request and its retry.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from swarmlet.model.transaction import RequestId
from swarmlet.store.hashing import MODULUS, request_digest
from swarmlet.store.objects import TransactionResult

CLIENTS_MAX = 10_000


class _Last(NamedTuple):
    sequence: int
    result: TransactionResult
    digest: int


class RequestTable:
    def __init__(self, clients: Iterable[tuple[str, int, TransactionResult]] = (), clients_max: int = CLIENTS_MAX):
        """`clients`: (client, last sequence, its result), the longest silent first."""
        self.hash = 0
        """The sum of what is remembered (`hashing`)."""
        self._last: dict[str, _Last] = {}
        self._clients_max = clients_max
        for client, sequence, result in clients:
            self.remember(RequestId(client, sequence), result)

    def copy(self) -> "RequestTable":
        """Costs a copy of references."""
        copy = RequestTable(clients_max=self._clients_max)
        copy.hash, copy._last = self.hash, self._last.copy()
        return copy

    def __len__(self) -> int:
        return len(self._last)

    def __iter__(self) -> Iterator[tuple[str, int, TransactionResult]]:
        return ((client, last.sequence, last.result) for client, last in self._last.items())

    def earlier_result(self, request: RequestId, revision: int) -> TransactionResult | None:
        """What the request brought when it was applied before; None when it is new."""
        last = self._last.get(request.client)
        if last is None or request.sequence > last.sequence:
            return None
        if request.sequence == last.sequence:
            return replace(last.result, duplicate=True)
        return TransactionResult(succeeded=False, revision=revision, duplicate=True)

    def remember(self, request: RequestId, result: TransactionResult) -> None:
        digest = request_digest(request.client, request.sequence, result)
        earlier = self._last.pop(request.client, None)
        self.hash = (self.hash + digest - (earlier.digest if earlier else 0)) % MODULUS
        self._last[request.client] = _Last(request.sequence, result, digest)
        while len(self._last) > self._clients_max:
            silent = self._last.pop(next(iter(self._last)))
            self.hash = (self.hash - silent.digest) % MODULUS
