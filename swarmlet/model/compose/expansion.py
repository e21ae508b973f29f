"""Aliases and merge keys expanded: each node gets its path and stands where it is used.

Rules of `<<` (https://yaml.org/type/merge.html): keys of the mapping itself win; of several merged mappings the
earlier wins. Every copied node and every merged entry is paid from one budget, so that a few lines of aliases of
aliases cannot fill the memory.
"""

from swarmlet.model.compose.budget import Budget
from swarmlet.model.compose.errors import refusal
from swarmlet.model.compose.marks import Entry, Mapping, Node, Scalar, Sequence, below
from swarmlet.model.compose.source import DEPTH_MAX, FILE_BYTES_MAX, MERGE_KEY

NODES_MAX = 100_000
"""After expansion. A stack of 500 services with 100 values each is half of it."""
TEXT_LENGTH_MAX = 4 * FILE_BYTES_MAX
"""Of all values together, after expansion, in characters: a long text that many services use is read many times."""


class Expansion:
    """Of all files of a stack: they share the budgets."""

    def __init__(self) -> None:
        self._nodes = Budget(NODES_MAX, "more than {limit} values once aliases are expanded, write fewer aliases")
        self._texts = Budget(TEXT_LENGTH_MAX, "more than {limit} characters once aliases are expanded, write less")

    def file(self, root: Node) -> Node:
        return self._node(root, path="", depth=0)

    def pay(self, nodes: int, node: Node) -> None:
        """For copies that others make (`extends`)."""
        self._nodes.pay(nodes, node.place, node.path)

    def _node(self, node: Node, path: str, depth: int) -> Node:
        self._nodes.pay(1, node.place, path)
        if depth > DEPTH_MAX:
            raise refusal(node.place, path, f"nested deeper than {DEPTH_MAX} levels by aliases, write it flatter")
        match node:
            case Scalar():
                self._texts.pay(len(node.text), node.place, path)
                return Scalar(node.place, path, node.text, node.plain, node.tag)
            case Sequence():
                items = (self._node(item, f"{path}[{at}]", depth + 1) for at, item in enumerate(node.items))
                return Sequence(node.place, path, tuple(items), node.tag)
            case Mapping():
                entries = (
                    Entry(entry.key, entry.key_place, self._node(entry.value, below(path, entry.key), depth + 1))
                    for entry in self._merged(node, path, depth).values()
                )
                return Mapping(node.place, path, tuple(entries), node.tag)

    def _merged(self, mapping: Mapping, path: str, depth: int) -> dict[str, Entry]:
        own = {entry.key: entry for entry in mapping.entries if entry.key != MERGE_KEY}
        merge = next((entry.value for entry in mapping.entries if entry.key == MERGE_KEY), None)
        if merge is None:
            return own
        if depth > DEPTH_MAX:
            raise refusal(merge.place, path, f"nested deeper than {DEPTH_MAX} levels by merges, write it flatter")
        sources = merge.items if isinstance(merge, Sequence) else (merge,)
        merged = dict(own)
        for source in sources:
            if not isinstance(source, Mapping):
                message = f"only mappings can be merged, this is {source.kind}, write <<: *name of a mapping's anchor"
                raise refusal(source.place, below(path, MERGE_KEY), message)
            for key, entry in self._merged(source, path, depth + 1).items():
                self._nodes.pay(1, source.place, path)
                merged.setdefault(key, entry)
        return merged
