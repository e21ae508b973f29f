"""Which version of the messages two servers speak, so that a cluster can be upgraded one server at a time.

Rules:
- A server understands a range of versions, and never sends one that its peer has not said it understands.
- Two bytes open every message: the version it is written in, and the newest that its sender understands. They stay
  as they are in every version, so a server learns from a message that it can't read what it should say instead.
- Until a peer is heard, it is spoken to in the oldest version. One that went back to an older agent is heard in it.
- A message of an unknown version is dropped, as if it were lost, and answered by a notice: a header without a
  message (version 0). A learner never speaks first, so its leader would not learn otherwise that it went back to an
  older agent. Raft repeats what matters, by then in a version that is understood. Versions too far apart to share
  one (a release was left out) never do.
A version is only how messages look. What servers do with them changes through the log, or not at all.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from swarmlet.model.ids import NodeId
from swarmlet.raft.codec import VERSION, MessageInvalid, decode_message, encode_message
from swarmlet.raft.messages import Message

HEADER_BYTES = 2
NOTICE = 0
"""No version: only the header counts."""


class Dialect(NamedTuple):
    """One version: how messages are written and read in it. Reading raises `MessageInvalid`."""

    encode: Callable[[Message], bytes]
    decode: Callable[[bytes], Message]


DIALECTS: Mapping[int, Dialect] = {VERSION: Dialect(encode_message, decode_message)}
"""By their versions, without a gap. A release adds one at the end, and drops the first when nobody may speak it."""


class VersionUnknown(MessageInvalid):
    """A message of a version that this server does not understand."""

    def __init__(self, sender: NodeId, version: int, oldest: int, newest: int) -> None:
        super().__init__(f"{sender} sent version {version}; this server understands {oldest} to {newest}")
        self.sender = sender
        self.version = version


class Wire:
    """One server's end of it."""

    def __init__(self, dialects: Mapping[int, Dialect] = DIALECTS) -> None:
        self._dialects = dialects
        self.oldest, self.newest = min(dialects), max(dialects)
        self._peers: dict[NodeId, int] = {}
        """The newest version that each one heard understands; as many as there are members."""
        self._last: tuple[Message | None, int, bytes] = (None, 0, b"")
        """The same message often goes to several peers, one after the other."""

    def version_for(self, peer: NodeId) -> int:
        return max(self.oldest, min(self.newest, self._peers.get(peer, self.oldest)))

    def encode(self, to: NodeId, message: Message) -> bytes:
        version = self.version_for(to)
        if self._last[0] is not message or self._last[1] != version:
            encoded = bytes((version, self.newest)) + self._dialects[version].encode(message)
            self._last = (message, version, encoded)
        return self._last[2]

    def notice(self) -> bytes:
        """Answers a message of an unknown version."""
        return bytes((NOTICE, self.newest))

    def decode(self, sender: NodeId, data: bytes) -> Message | None:
        """None for a notice. What the sender understands is learned in any case.

        Raises `MessageInvalid`, and `VersionUnknown`, which has to be answered by a notice.
        """
        if len(data) < HEADER_BYTES:
            raise MessageInvalid("it is too short")
        version, self._peers[sender] = data[0], data[1]
        if version == NOTICE:
            return None
        dialect = self._dialects.get(version)
        if dialect is None:
            raise VersionUnknown(sender, version, self.oldest, self.newest)
        return dialect.decode(data[HEADER_BYTES:])
