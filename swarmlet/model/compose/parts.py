"""What stands below a key that has no effect: held against the key table too, so that a misspelt key is found there."""

from swarmlet.model.compose.errors import refused_key
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.keys import below_pattern, is_wildcard, keys_of, remedy_for_unknown
from swarmlet.model.compose.marks import Mapping, Node, Sequence


def check_parts(node: Node, pattern: str, findings: Findings) -> None:
    match node:
        case Sequence():
            for item in node.items:
                check_parts(item, f"{pattern}[]", findings)
        case Mapping():
            fixed = keys_of(pattern) if not is_wildcard(pattern) else None
            for entry in node.entries:
                if fixed and entry.key not in fixed and not entry.key.startswith("x-"):
                    remedy = remedy_for_unknown(entry.key, pattern)
                    findings.refuse(refused_key(node.path, entry.key, entry.key_place, f"unknown key, {remedy}"))
                elif fixed != {}:
                    check_parts(entry.value, below_pattern(pattern, entry.key), findings)
        case _:
            return
