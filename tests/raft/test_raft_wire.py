"""Two versions of the messages in one cluster."""

import pytest

from swarmlet.model.ids import NodeId
from swarmlet.raft import Message, MessageInvalid, VersionUnknown, Wire, decode_message, encode_message
from swarmlet.raft.messages import StaleTerm
from swarmlet.raft.wire import Dialect

ME, PEER = NodeId("me"), NodeId("peer")
HELLO = StaleTerm(7)


def encode_reversed(message: Message) -> bytes:
    return encode_message(message)[::-1]


def decode_reversed(data: bytes) -> Message:
    return decode_message(data[::-1])


FIRST, SECOND = Dialect(encode_message, decode_message), Dialect(encode_reversed, decode_reversed)


def a_server_of(*versions: int) -> Wire:
    return Wire({version: FIRST if version % 2 else SECOND for version in versions})


def tell(sender: Wire, receiver: Wire) -> Message | None:
    return receiver.decode(ME, sender.encode(PEER, HELLO))


def test_a_peer_that_was_not_heard_yet_is_spoken_to_in_the_oldest_version():
    old, new = a_server_of(1), a_server_of(1, 2)

    assert tell(new, old) == HELLO
    assert tell(old, new) == HELLO
    assert new.version_for(ME) == 1


def test_two_new_servers_find_their_newest_version():
    one, other = a_server_of(1, 2), a_server_of(1, 2)

    tell(one, other)

    assert other.version_for(ME) == 2
    assert one.decode(PEER, other.encode(ME, HELLO)) == HELLO


def test_a_peer_that_went_back_to_the_old_version_is_understood_again():
    one, other = a_server_of(1, 2), a_server_of(1, 2)
    one.decode(PEER, other.encode(ME, HELLO))
    assert one.version_for(PEER) == 2

    older = a_server_of(1)
    with pytest.raises(VersionUnknown, match="understands 1 to 1"):
        older.decode(ME, one.encode(PEER, HELLO))
    assert one.decode(PEER, older.notice()) is None

    assert older.decode(ME, one.encode(PEER, HELLO)) == HELLO


def test_what_a_peer_understands_is_learned_from_a_message_that_nobody_here_can_read():
    old, new = a_server_of(1, 2), a_server_of(3, 4)

    with pytest.raises(VersionUnknown):
        tell(new, old)

    assert old.version_for(ME) == 2, "its newest: nearest to what the peer wants"


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01\x01", b"\x01\x01junk"])
def test_foreign_bytes_are_refused(data: bytes):
    with pytest.raises(MessageInvalid):
        Wire().decode(ME, data)
