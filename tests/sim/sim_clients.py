"""Clients that want the same few keys at once, and write down what they asked and what they were told.

A client has one operation under way. A write goes, with the same request id, to one server after the other until it
is answered or given up; what was given up may still happen. Clients reach all servers over lossy links.
"""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from lin_checker import UNKNOWN, Operation
from lin_register import Read, Swap, Value, Write
from sim_service import Refused

from swarmlet.model.ids import NodeId
from swarmlet.model.transaction import Compare, Delete, Put, RequestId, Transaction
from swarmlet.store import Store, TransactionResult, encode_transaction

if TYPE_CHECKING:
    from sim_cluster import SimCluster

KEYS = ("a", "b", "c", "d")
RETRY_S, GIVE_UP_S = 0.6, 3.0


class Client:
    def __init__(self, name: str, cluster: "SimCluster", think_max_s: float) -> None:
        self.name = NodeId(name)
        self.history: list[Operation] = []
        self.finished = 0
        self._cluster = cluster
        self._rng = Random(cluster.rng.random())
        self._think_max_s = think_max_s
        self._sequence = 0
        self._attempt = 0
        self._seen: dict[str, tuple[Value, int]] = dict.fromkeys(KEYS, (None, 0))
        """By key: what it knew last, a value and its revision."""
        self._leader_id: NodeId | None = None
        self._key, self._called_at = "", 0.0
        self._action: Read | Write | Swap = Read()
        self._body = b""
        self._revision_before = 0
        self._stopped = False

    def start(self) -> None:
        self._cluster.timeline.after(self._rng.uniform(0, self._think_max_s), self._begin)

    def stop(self) -> None:
        """Begins nothing more; an operation that is under way is given up."""
        if not self._stopped:
            self._stopped = True
            if self._body or self._action == Read():
                self._record(UNKNOWN)

    # One operation

    def _begin(self) -> None:
        if self._stopped:
            return
        self._sequence += 1
        self._key = key = self._rng.choice(KEYS)
        self._called_at = self._cluster.timeline.now
        self._revision_before = self._cluster.invariants.acknowledged_revision
        value, revision = self._seen[key]
        new = f"{self.name}.{self._sequence}"
        compares: tuple[Compare, ...] = ()
        operation: Put | Delete = Put(key, new.encode())
        match self._rng.choice(("read", "read", "write", "swap", "swap", "delete")):
            case "read":
                self._action, self._body = Read(), b""
                self._try()
                return
            case "write":
                self._action = Write(new)
            case "swap":
                self._action, compares = Swap(value, new), (Compare(key, revision),)
            case "delete":
                self._action, operation = Write(None), Delete(key)
        request = RequestId(self.name, self._sequence)
        self._body = encode_transaction(Transaction(compares, (operation,), request))
        self._try()

    def _try(self) -> None:
        if self._stopped:
            return
        if self._cluster.timeline.now - self._called_at > GIVE_UP_S:
            self._end(UNKNOWN)
            return
        self._attempt += 1
        attempt, server_id = self._attempt, self._leader_id
        if server_id is None or server_id not in self._cluster.servers or self._action == Read():
            server_id = self._rng.choice(list(self._cluster.servers))
        self._leader_id = None
        server = self._cluster.servers[server_id]
        carry, body = self._cluster.network.carry, self._body

        def answered(answer: TransactionResult | Store | Refused) -> None:
            """Called at the server, at the moment at which it answers."""
            told: object = answer
            if isinstance(answer, Store):
                found = answer.get(self._key) if attempt == self._attempt else None
                if attempt == self._attempt:
                    self._cluster.invariants.read_served(server_id, answer.revision, self._revision_before)
                told = (found.value.decode(), found.modified_revision) if found else (None, 0)
            carry(server_id, self.name, lambda: self._take(attempt, server_id, told))

        if self._action == Read():
            carry(self.name, server_id, lambda: server.serve(lambda service: service.read(answered)))
        else:
            carry(self.name, server_id, lambda: server.serve(lambda service: service.write(body, answered)))
        self._cluster.timeline.after(RETRY_S, lambda: self._try() if attempt == self._attempt else None)

    def _take(self, attempt: int, server_id: NodeId, answer: object) -> None:
        if attempt != self._attempt or self._stopped:
            return  # late, or repeated by the network
        match answer:
            case Refused(leader_id):
                self._leader_id = leader_id
                self._later(0.05, self._try)
            case TransactionResult(succeeded, revision):
                self._leader_id = server_id
                if succeeded:
                    written = None if self._action == Write(None) else self._action.value  # type: ignore[union-attr]
                    self._seen[self._key] = (written, 0 if written is None else revision)
                self._end(succeeded)
            case (value, revision):
                self._seen[self._key] = (value, revision)
                self._end(value)

    def _end(self, outcome: object) -> None:
        self._record(outcome)
        self.finished += outcome is not UNKNOWN
        self._attempt += 1
        self._action, self._body = Write(None), b""
        self._later(self._rng.uniform(0, self._think_max_s), self._begin)

    def _record(self, outcome: object) -> None:
        if self._action == Read() and outcome is UNKNOWN:
            return
        now = self._cluster.timeline.now
        self.history.append(Operation(self.name, self._key, self._action, outcome, self._called_at, now))

    def _later(self, delay_s: float, then: Callable[[], None]) -> None:
        attempt = self._attempt
        self._cluster.timeline.after(delay_s, lambda: then() if attempt == self._attempt else None)
