"""The cluster key, its file, and what is sealed with it."""

import base64
from pathlib import Path

import pytest

from swarmlet.security.keys import (
    ClusterKey,
    KeyFileError,
    KeyFileExposed,
    KeyFileUnreadable,
    KeyMalformed,
    generate_key,
    load_key,
    load_or_make_key,
    load_token,
)
from swarmlet.security.seal import OVERHEAD_BYTES, DatagramSealer, SealError


def a_key_file(directory: Path, text: str, mode: int = 0o600) -> Path:
    path = directory / "cluster.key"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_generated_key_is_loaded_from_its_file(tmp_path: Path) -> None:
    text = generate_key()
    path = a_key_file(tmp_path, text + "\n")

    assert load_key(path).derive("x") == ClusterKey.parse(text).derive("x")
    assert len(base64.b64decode(text)) == 32


def test_keys_for_different_purposes_and_from_different_secrets_differ() -> None:
    key, other = ClusterKey(b"a" * 32), ClusterKey(b"b" * 32)

    assert len({key.derive("one"), key.derive("two"), other.derive("one"), b"a" * 32}) == 4


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_can_use_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = a_key_file(tmp_path, generate_key(), mode)

    with pytest.raises(KeyFileExposed, match=f"chmod 600 {path}"):
        load_key(path)


def test_a_stricter_mode_is_fine(tmp_path: Path) -> None:
    assert load_key(a_key_file(tmp_path, generate_key(), 0o400))


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileUnreadable, match="No such file"):
        load_key(tmp_path / "absent.key")
    with pytest.raises(KeyFileUnreadable):
        load_key(tmp_path)


@pytest.mark.parametrize("text", ["", "not base64 at all!", base64.b64encode(b"short").decode(), "ä" * 10])
def test_what_is_no_key_is_refused_by_file_name(tmp_path: Path, text: str) -> None:
    path = a_key_file(tmp_path, text)

    with pytest.raises(KeyFileError, match=str(path)):
        load_key(path)


def test_a_key_never_shows_itself() -> None:
    assert repr(ClusterKey(b"s" * 32)) == str(ClusterKey(b"s" * 32)) == "ClusterKey(…)"
    with pytest.raises(KeyMalformed):
        ClusterKey(b"short")


def test_what_a_member_seals_another_opens() -> None:
    one, two = DatagramSealer(ClusterKey(b"k" * 32), "blue"), DatagramSealer(ClusterKey(b"k" * 32), "blue")

    sealed = one.seal(b"payload")

    assert two.open(sealed) == b"payload"
    assert len(sealed) == len(b"payload") + OVERHEAD_BYTES
    assert OVERHEAD_BYTES <= 50
    assert one.seal(b"payload") != sealed


@pytest.mark.parametrize(("key", "cluster"), [(b"f" * 32, "blue"), (b"k" * 32, "green")])
def test_another_key_or_another_cluster_opens_nothing(key: bytes, cluster: str) -> None:
    sealed = DatagramSealer(ClusterKey(key), cluster).seal(b"payload")

    with pytest.raises(SealError):
        DatagramSealer(ClusterKey(b"k" * 32), "blue").open(sealed)


def test_every_changed_byte_is_noticed() -> None:
    sealer = DatagramSealer(ClusterKey(b"k" * 32), "blue")
    sealed = sealer.seal(b"p")

    for position in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        with pytest.raises(SealError):
            sealer.open(bytes(damaged))
    for length in range(len(sealed)):
        with pytest.raises(SealError):
            sealer.open(sealed[:length])


def test_a_key_is_made_once_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "cluster.key"

    made = load_or_make_key(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_make_key(path).derive("x") == load_key(path).derive("x") == made.derive("x")


def test_a_token_is_one_long_word_in_a_private_file(tmp_path: Path) -> None:
    assert load_token(a_key_file(tmp_path, "0123456789abcdef\n")) == "0123456789abcdef"
    for text in ("short\n", "two words of some length", "", "x" * 5000):
        with pytest.raises(KeyFileError):
            load_token(a_key_file(tmp_path, text))
    with pytest.raises(KeyFileExposed):
        load_token(a_key_file(tmp_path, "0123456789abcdef", 0o644))
