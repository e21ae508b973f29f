"""A mapping with fixed keys, held against the key table and then read key by key.

Every key that the table does not support becomes a finding when the mapping is opened, so readers name only what they
take, and of the keys without effect those whose values they check. `read` keeps a fault of one value as a finding and
goes on with the default.
"""

from collections.abc import Callable
from typing import TypeVar

from swarmlet.model.compose.errors import ComposeError, refused, refused_key
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.key_row import Support
from swarmlet.model.compose.keys import keys_of, remedy_for_unknown, takes_extensions
from swarmlet.model.compose.marks import Entry, Node, below, shown
from swarmlet.model.compose.parts import check_parts
from swarmlet.model.compose.scalars import mapping, sequence

T = TypeVar("T")
D = TypeVar("D")


class Fields:
    def __init__(self, node: Node, pattern: str, findings: Findings) -> None:
        """Raises `ComposeError` where the node is no mapping at all."""
        self.node = node
        self._pattern = pattern
        self._findings = findings
        self._values: dict[str, Node] = {}
        self._fault: ComposeError | None = None
        for entry in mapping(node).entries:
            try:
                if self._is_accepted(entry):
                    self._values[entry.key] = entry.value
            except ComposeError as error:
                findings.refuse(error)
                self._fault = self._fault or error

    def has(self, key: str) -> bool:
        return self.value(key) is not None

    def value(self, key: str) -> Node | None:
        row = keys_of(self._pattern).get(key)
        assert row is not None and row.support is not Support.REFUSED, f"{self._pattern}.{key} is not in the key table"
        return self._values.get(key)

    def read(self, key: str, reader: Callable[[Node], T], default: D) -> T | D:
        """The value, or the default where the key is absent or its value wrong (which is a finding then)."""
        value = self.value(key)
        if value is not None:
            with self._findings.collecting():
                return reader(value)
        return default

    def require(self, key: str, reader: Callable[[Node], T], example: str) -> T:
        """Like `read` for a key that must be there: its fault is the mapping's."""
        value = self.value(key)
        if value is None:
            line = f"{key}: {example}".rstrip()
            raise self.lack(f"has no {shown(key)}, write '{line}'")
        return reader(value)

    def lack(self, message: str) -> ComposeError:
        """The error for a key that must be there. A refused key beside it (misspelt, say) is the likelier cause."""
        return self._fault or refused(self.node, message)

    def _is_accepted(self, entry: Entry) -> bool:
        row = keys_of(self._pattern).get(entry.key)
        if row is None:
            self._judge_unknown(entry)
            return False
        if row.support is Support.WARNED:
            self._findings.warn(entry.key_place, below(self.node.path, entry.key), row.doc)
            check_parts(entry.value, row.path, self._findings)
        if row.support is Support.REFUSED:
            raise self._refused(entry, f"not supported by swarmlet (yet), {row.doc}")
        return True

    def _judge_unknown(self, entry: Entry) -> None:
        if not (entry.key.startswith("x-") and takes_extensions(self._pattern)):
            remedy = remedy_for_unknown(entry.key, self._pattern)
            raise self._refused(entry, f"unknown key, {remedy}")
        if entry.key == "x-swarmlet":
            path = below(self.node.path, entry.key)
            self._findings.warn(entry.key_place, path, "has no effect here, write it inside of a service")

    def _refused(self, entry: Entry, message: str) -> ComposeError:
        return refused_key(self.node.path, entry.key, entry.key_place, message)


def each(node: Node, reader: Callable[[Node], T], findings: Findings) -> tuple[T, ...]:
    """The items of a list; a faulty one is a finding and left out."""
    found: list[T] = []
    for item in sequence(node).items:
        with findings.collecting():
            found.append(reader(item))
    return tuple(found)
