"""Which log a server's log is: logs of different origin must never be mixed, whatever their terms say.

A new cluster's log gets an id by chance. Bringing a cluster back from one survivor begins a new epoch of the same log,
which ends the older ones: what their servers hold may contradict it. Restoring a backup begins another log.
Decision 0016.
"""

import secrets
from enum import StrEnum
from typing import NamedTuple

LOG_ID_BYTES = 8


class Relation(StrEnum):
    """What another server's log is to one's own."""

    SAME = "same"
    NEWER = "newer"
    """Of the same origin; ours was ended by a recovery."""
    OLDER = "older"
    FOREIGN = "foreign"
    """Another cluster's, or of another recovery with the same number: a person has to decide."""


class Lineage(NamedTuple):
    log_id: str
    epoch: int
    recovery: str
    """Tells two recoveries of the same number apart."""

    def relation_of(self, other: "Lineage") -> Relation:
        if other == self:
            return Relation.SAME
        if other.log_id != self.log_id or other.epoch == self.epoch:
            return Relation.FOREIGN
        return Relation.NEWER if other.epoch > self.epoch else Relation.OLDER

    def recovered(self) -> "Lineage":
        return Lineage(self.log_id, self.epoch + 1, secrets.token_hex(LOG_ID_BYTES))


NO_LINEAGE = Lineage("", 0, "")
"""Of a server that has no log yet, and of logs made before lineages were kept."""


def new_lineage() -> Lineage:
    return Lineage(secrets.token_hex(LOG_ID_BYTES), 1, "")
