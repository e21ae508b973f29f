"""From decisions to transactions: steps that must not be torn apart, packed into few transactions.

A step is the smallest thing that is right on its own; a transaction holds whole steps, up to a limit. Every
transaction carries the comparisons of all its steps, each once. Within one outcome no object is written by
two steps, and none that a later transaction compares is written by an earlier one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from swarmlet.model.transaction import Compare, Operation, Put, Transaction

OPERATIONS_MAX = 200
"""Per transaction: a hundred tasks take one or two, and none keeps the log busy for long."""
BYTES_MAX = 1024 * 1024
"""Likewise, for services with large templates. A single step may be larger than both limits."""


@dataclass(frozen=True, slots=True)
class Step:
    compares: tuple[Compare, ...]
    operations: tuple[Operation, ...]

    @property
    def size_bytes(self) -> int:
        return sum(len(each.key) + (len(each.value) if isinstance(each, Put) else 0) for each in self.operations)

    def __add__(self, other: "Step") -> "Step":
        return Step(self.compares + other.compares, self.operations + other.operations)


def pack(steps: Iterable[Step], reason: str, shared: tuple[Compare, ...] = ()) -> list[Transaction]:
    """The steps in their order, as few transactions as the limits allow; `shared` must hold for each of them."""
    return [_transaction(chunk, reason, shared) for chunk in _chunks(steps)]


def _chunks(steps: Iterable[Step]) -> Iterator[list[Step]]:
    chunk: list[Step] = []
    operations = size_bytes = 0
    for step in steps:
        operations += len(step.operations)
        size_bytes += step.size_bytes
        if chunk and (operations > OPERATIONS_MAX or size_bytes > BYTES_MAX):
            yield chunk
            chunk, operations, size_bytes = [], len(step.operations), step.size_bytes
        chunk.append(step)
    if chunk:
        yield chunk


def _transaction(chunk: list[Step], reason: str, shared: tuple[Compare, ...]) -> Transaction:
    compares = dict.fromkeys(shared)
    compares.update(dict.fromkeys(compare for step in chunk for compare in step.compares))
    operations = tuple(operation for step in chunk for operation in step.operations)
    return Transaction(tuple(compares), operations, reason=reason)
