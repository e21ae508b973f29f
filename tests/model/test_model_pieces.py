import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlet.model.pieces import PIECE_SIZE_BYTES, Pieces, joined, pieces_of

PARTS = st.lists(st.binary(max_size=6), max_size=8)


@given(PARTS, st.integers(0, 50), st.integers(0, 50))
def test_a_slice_of_pieces_is_the_slice_of_what_they_make_together(parts: list[bytes], start: int, stop: int) -> None:
    whole = b"".join(parts)

    assert len(Pieces(parts)) == len(whole)
    assert Pieces(parts)[start:stop] == whole[start:stop]
    assert Pieces(parts) == whole


@given(PARTS, st.integers(1, 10))
def test_pieces_are_cut_anew_without_a_byte_lost(parts: list[bytes], size_bytes: int) -> None:
    again = list(pieces_of(Pieces(parts), size_bytes))

    assert b"".join(again) == b"".join(parts)
    assert all(len(piece) == size_bytes for piece in again[:-1])


@pytest.mark.parametrize(("size_bytes", "kind"), [(PIECE_SIZE_BYTES, bytes), (PIECE_SIZE_BYTES + 1, Pieces)])
def test_only_what_is_small_is_joined(size_bytes: int, kind: type) -> None:
    parts = [b"x" * 1_000] * (size_bytes // 1_000) + [b"x" * (size_bytes % 1_000)]

    assert isinstance(joined(parts), kind)
    assert joined(parts) == b"x" * size_bytes


def test_pieces_that_differ_are_not_equal() -> None:
    assert Pieces([b"ab", b"c"]) != Pieces([b"ab", b"d"])
    assert Pieces([b"ab"]) != b"abc"
