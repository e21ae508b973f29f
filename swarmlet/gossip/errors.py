"""What may go wrong between the gossip core and its shell. Bad packets are no errors: they are counted and dropped."""

from swarmlet.errors import SwarmletError


class GossipError(SwarmletError):
    """The branch of the error tree for gossip."""


class Malformed(GossipError):
    """Bytes that no agent of this cluster's protocol writes. Never leaves `Gossip.step`."""


class RecordRefused(GossipError):
    """A record of this node that can't be published; nothing was changed."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"record {key[:64]!r} can't be published: {reason}")
        self.key = key


class RecordTooLarge(RecordRefused):
    def __init__(self, key: str, size_bytes: int, size_bytes_max: int) -> None:
        super().__init__(key, f"it has {size_bytes} bytes, at most {size_bytes_max} are allowed")
        self.size_bytes = size_bytes
        self.size_bytes_max = size_bytes_max


class InvalidRecordKey(RecordRefused):
    def __init__(self, key: str, length_max: int) -> None:
        super().__init__(key, f"its key must have 1 to {length_max} bytes")


class TooManyRecords(RecordRefused):
    def __init__(self, key: str, limit: str) -> None:
        super().__init__(key, f"this node's records would exceed {limit}")
