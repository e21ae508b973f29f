"""Lists of ids from peers: whatever comes is such a list or refused."""

from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlet.drivers.id_lists import IDS_MAX, NotIds, ids_of, packed_ids

WORDS = st.lists(st.one_of(st.text(max_size=70), st.integers(), st.none(), st.binary(max_size=4)), max_size=5)


@given(st.one_of(st.binary(max_size=60), WORDS.map(lambda words: packed_ids(map(str, words)))))
def test_what_is_read_is_what_was_packed(body: bytes) -> None:
    with suppress(NotIds, UnicodeEncodeError):
        ids = ids_of(body)
        assert all(1 <= len(each) <= 64 for each in ids)
        assert ids_of(packed_ids(ids)) == ids


@pytest.mark.parametrize("ids", [[1], [""], ["x" * 65], "x", {"x": 1}, None, ["x"] * (IDS_MAX + 1)])
def test_what_is_no_list_of_ids_is_refused(ids: object) -> None:
    with pytest.raises(NotIds, match="must be a list of at most"):
        ids_of(msgpack.packb(ids))


def test_bytes_that_are_no_message_are_refused() -> None:
    with pytest.raises(NotIds):
        ids_of(b"\xc1")
