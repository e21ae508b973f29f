"""What a server does for clients: writes through its log, linearizable reads, backups. As `drivers/consensus` does it.

It lives as long as its server does without a crash; who was waiting then never gets an answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmlet.model.ids import NodeId
from swarmlet.model.transaction import RequestId
from swarmlet.raft import (
    Entry,
    ProposalAccepted,
    ProposalRefused,
    Propose,
    ReadReady,
    ReadRefused,
    ReadRequest,
)
from swarmlet.store import Store, TransactionResult, decode_transaction

if TYPE_CHECKING:
    from sim_server import SimServer


@dataclass(frozen=True, slots=True)
class Refused:
    """Not taken; perhaps this one would."""

    leader_id: NodeId | None


OnWritten = Callable[[TransactionResult | Refused], None]
OnIndex = Callable[[int | Refused], None]
OnRead = Callable[[Store | Refused], None]


@dataclass(slots=True)
class _Write:
    request: RequestId | None
    answer: OnWritten
    term: int = 0


class Service:
    def __init__(self, server: "SimServer") -> None:
        self._server = server
        self._requests = 0
        self._proposing: dict[int, _Write] = {}
        self._pending: dict[int, _Write] = {}
        self._reading: dict[int, tuple[int, OnIndex]] = {}
        self._waiting: list[tuple[int, OnRead]] = []

    def next_request(self) -> int:
        self._requests += 1
        return self._requests

    def write(self, body: bytes, answer: OnWritten) -> None:
        request = self.next_request()
        self._proposing[request] = _Write(decode_transaction(body).request, answer)
        self._server.post(Propose(request, body))

    def read_index(self, answer: OnIndex) -> None:
        request = self.next_request()
        self._reading[request] = (self._server.cluster.invariants.applied_index, answer)
        self._server.post(ReadRequest(request))

    def read(self, answer: OnRead) -> None:
        """Linearizable, from this server's own store once it has caught up; the leader says with what."""
        raft, node_id, network = self._server.raft, self._server.node_id, self._server.cluster.network
        leader_id = raft.leader_id if raft is not None else None
        if leader_id is None:
            answer(Refused(None))
        elif leader_id == node_id:
            self.read_index(lambda index: self._read_from(index, answer))
        else:
            leader = self._server.cluster.servers[leader_id]
            incarnation = self._server.incarnation

            def told(index: int | Refused) -> None:
                network.carry(
                    leader_id, node_id, lambda: self._server.if_same(incarnation, self._read_from, index, answer)
                )

            network.carry(node_id, leader_id, lambda: leader.serve(lambda service: service.read_index(told)))

    def _read_from(self, index: int | Refused, answer: OnRead) -> None:
        if isinstance(index, Refused):
            answer(index)
        else:
            self._waiting.append((index, answer))
            self.applied()

    # What the core says

    def accepted(self, effect: ProposalAccepted) -> None:
        write = self._proposing.pop(effect.request, None)
        if write is not None:
            write.term = effect.term
            self._lose(self._pending.pop(effect.index, None))
            self._pending[effect.index] = write

    def refused(self, effect: ProposalRefused) -> None:
        if (write := self._proposing.pop(effect.request, None)) is not None:
            write.answer(Refused(effect.leader_id))

    def read_ready(self, effect: ReadReady) -> None:
        applied_before, answer = self._reading.pop(effect.request)
        self._server.cluster.reads_ready += 1
        self._server.cluster.invariants.read_ready(self._server.node_id, effect.index, applied_before)
        answer(effect.index)

    def read_refused(self, effect: ReadRefused) -> None:
        _, answer = self._reading.pop(effect.request)
        answer(Refused(effect.leader_id))

    def entry_applied(self, entry: Entry, result: TransactionResult | None) -> None:
        write = self._pending.pop(entry.index, None)
        if write is None:
            return
        if write.term != entry.term:
            self._lose(write)
            return
        assert result is not None
        if write.request is not None:
            invariants = self._server.cluster.invariants
            invariants.write_acknowledged(self._server.node_id, write.request, entry.index, result)
        write.answer(result)

    def applied(self) -> None:
        """The store has moved on: who waits for it may read."""
        machine = self._server.machine
        ready = [answer for index, answer in self._waiting if index <= machine.index]
        self._waiting = [(index, answer) for index, answer in self._waiting if index > machine.index]
        for answer in ready:
            answer(machine.store)

    def installed(self, last_index: int) -> None:
        for index in [index for index in self._pending if index <= last_index]:
            self._lose(self._pending.pop(index))
        self.applied()

    def _lose(self, write: _Write | None) -> None:
        if write is not None:
            raft = self._server.raft
            write.answer(Refused(raft.leader_id if raft is not None else None))
