"""The cluster's keys: one alone, their ring, and the file that keeps it."""

import base64
from contextlib import suppress
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlet.security.keyring import (
    KEYS_MAX,
    KeyRing,
    RingMalformed,
    RingRefused,
    UnknownKey,
    load_or_make_ring,
    load_ring,
    save_ring,
)
from swarmlet.security.keys import (
    ClusterKey,
    KeyFileError,
    KeyFileExposed,
    KeyFileUnreadable,
    KeyMalformed,
    generate_key,
    load_token,
)


def a_key_file(directory: Path, text: str, mode: int = 0o600) -> Path:
    path = directory / "cluster.key"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_generated_key_is_loaded_from_its_file(tmp_path: Path) -> None:
    text = generate_key()
    path = a_key_file(tmp_path, text + "\n")

    assert load_ring(path) == KeyRing((ClusterKey.parse(text),))
    assert len(base64.b64decode(text)) == 32


def test_keys_for_different_purposes_and_from_different_secrets_differ() -> None:
    key, other = ClusterKey(b"a" * 32), ClusterKey(b"b" * 32)

    assert len({key.derive("one"), key.derive("two"), other.derive("one"), b"a" * 32}) == 4


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_can_use_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = a_key_file(tmp_path, generate_key(), mode)

    with pytest.raises(KeyFileExposed, match=f"chmod 600 {path}"):
        load_ring(path)


def test_a_stricter_mode_is_fine(tmp_path: Path) -> None:
    assert load_ring(a_key_file(tmp_path, generate_key(), 0o400))


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileUnreadable, match="No such file"):
        load_ring(tmp_path / "absent.key")
    with pytest.raises(KeyFileUnreadable):
        load_ring(tmp_path)


@pytest.mark.parametrize("text", ["", "not base64 at all!", base64.b64encode(b"short").decode(), "ä" * 10])
def test_what_is_no_key_is_refused_by_file_name(tmp_path: Path, text: str) -> None:
    path = a_key_file(tmp_path, text)

    with pytest.raises(KeyFileError, match=str(path)):
        load_ring(path)


def test_a_key_never_shows_itself() -> None:
    key = ClusterKey(b"s" * 32)

    assert repr(key) == str(key) == "ClusterKey(…)"
    assert "ssss" not in repr(KeyRing((key,)))
    assert len(key.id) == 12
    assert key.id != ClusterKey(b"t" * 32).id
    with pytest.raises(KeyMalformed):
        ClusterKey(b"short")


def test_a_key_is_made_once_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "cluster.key"

    made = load_or_make_ring(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_make_ring(path) == load_ring(path) == made


def test_a_token_is_one_long_word_in_a_private_file(tmp_path: Path) -> None:
    assert load_token(a_key_file(tmp_path, "0123456789abcdef\n")) == "0123456789abcdef"
    for text in ("short\n", "two words of some length", "", "x" * 5000):
        with pytest.raises(KeyFileError):
            load_token(a_key_file(tmp_path, text))
    with pytest.raises(KeyFileExposed):
        load_token(a_key_file(tmp_path, "0123456789abcdef", 0o644))


# The ring

A, B, C = (ClusterKey(letter * 32) for letter in (b"a", b"b", b"c"))


def test_a_rotation_is_three_steps_each_later_than_the_one_before() -> None:
    before = KeyRing((A,))

    installed = before.with_key(B)
    used = installed.with_primary(B.id)
    rotated = used.without(A.id)

    assert [ring.keys for ring in (installed, used, rotated)] == [(A, B), (B, A), (B,)]
    for earlier, later in ((before, installed), (installed, used), (used, rotated)):
        assert later.supersedes(earlier)
        assert not earlier.supersedes(later)


def test_a_step_that_is_done_already_changes_nothing() -> None:
    ring = KeyRing((A, B), 7)

    assert ring.with_key(B) is ring
    assert ring.with_primary(A.id) is ring
    assert not ring.supersedes(ring)


def test_of_two_rings_of_one_version_everyone_prefers_the_same() -> None:
    one, other = KeyRing((A,)).with_key(B), KeyRing((A,)).with_key(C)

    assert one.supersedes(other) != other.supersedes(one)


def test_what_a_ring_does_not_allow_is_refused() -> None:
    ring = KeyRing((A, B))
    full = KeyRing(tuple(ClusterKey(bytes([number]) * 32) for number in range(KEYS_MAX)))

    with pytest.raises(RingRefused, match="use another one first"):
        ring.without(A.id)
    with pytest.raises(UnknownKey, match=f"{A.id}, {B.id}"):
        ring.with_primary("0" * 12)
    with pytest.raises(RingRefused, match="remove one"):
        full.with_key(ClusterKey(b"z" * 32))


def test_a_ring_is_read_back_from_its_file_and_from_the_wire(tmp_path: Path) -> None:
    path, ring = a_key_file(tmp_path, generate_key(), 0o400), KeyRing((B, A), 3)

    save_ring(path, ring)

    assert load_ring(path) == KeyRing.unpack(ring.pack()) == ring
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_ring_behind_a_link_is_replaced_where_it_is(tmp_path: Path) -> None:
    path, link = a_key_file(tmp_path, generate_key()), tmp_path / "link.key"
    link.symlink_to(path)

    save_ring(link, KeyRing((A,)))

    assert link.is_symlink()
    assert load_ring(path) == KeyRing((A,))


def test_a_file_that_cant_be_replaced_is_named_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "cluster.key"

    with pytest.raises(KeyFileError, match=f"{path}: can't be replaced"):
        save_ring(path, KeyRing((A,)))


@pytest.mark.parametrize(
    "text",
    [
        "# nothing but words",
        "version 3",
        "version x\n" + A.text(),
        "version -1\n" + A.text(),
        f"{A.text()}\n" * 2,
        "\n".join(ClusterKey(bytes([number]) * 32).text() for number in range(KEYS_MAX + 1)),
    ],
)
def test_what_is_no_ring_is_refused_by_file_name(tmp_path: Path, text: str) -> None:
    path = a_key_file(tmp_path, text)

    with pytest.raises(KeyFileError, match=str(path)):
        load_ring(path)


SECRETS = st.lists(st.one_of(st.just(b"a" * 32), st.binary(max_size=40), st.integers(0, 9), st.none()), max_size=6)


@given(st.one_of(st.binary(max_size=80), st.builds(lambda *parts: msgpack.packb(parts), st.integers(-1, 9), SECRETS)))
def test_a_ring_from_elsewhere_is_a_ring_or_refused(packed: bytes) -> None:
    with suppress(RingMalformed):
        ring = KeyRing.unpack(packed)
        assert 1 <= len(ring.keys) <= KEYS_MAX
