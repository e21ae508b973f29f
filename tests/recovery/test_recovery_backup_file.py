"""The file of a backup: whatever is not exactly what was written is refused, and never left half written."""

import zlib
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from swarmlet.recovery.backup_file import (
    FRAME,
    MAGIC,
    BackupHead,
    BackupReader,
    BackupWriter,
    BadBackup,
    NewerBackup,
    NotABackup,
    read_backup,
    save,
)

HEAD = BackupHead("c", "node1", revision=7, index=9, term=2, taken_at=1.5, version="0.1")
PIECES = (b"one", b"", b"three" * 1000)


def parts(pieces: Iterable[bytes] = PIECES) -> list[bytes]:
    writer = BackupWriter()
    return [writer.begin(HEAD), *map(writer.piece, pieces), writer.end()]


def read(content: bytes) -> object:
    reader = BackupReader()
    reader.feed(content)
    return reader.finish()


def test_what_was_saved_is_read_again_and_is_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "b"

    assert save(file, parts()) == HEAD

    found = read_backup(file)
    assert (found.head, found.pieces) == (HEAD, PIECES)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_it_is_read_in_any_parts(size: int) -> None:
    content = b"".join(parts())
    reader = BackupReader()

    for start in range(0, len(content), size):
        reader.feed(content[start : start + size])

    assert reader.finish().pieces == PIECES


def test_every_flipped_bit_is_found() -> None:
    content = b"".join(parts((b"one", b"two")))
    for place in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(BadBackup):
            read(bytes(flipped))


def test_every_end_that_is_missing_is_found() -> None:
    content = b"".join(parts((b"one", b"two")))
    for length in range(len(content)):
        with pytest.raises(BadBackup):
            read(content[:length])


def test_what_follows_the_end_is_refused() -> None:
    with pytest.raises(BadBackup, match="something follows"):
        read(b"".join(parts()) + b"x")


def test_pieces_left_out_are_found_although_every_frame_is_whole() -> None:
    whole = parts()

    with pytest.raises(BadBackup):
        read(b"".join([whole[0], *whole[2:]]))


def test_another_file_is_no_backup() -> None:
    for content in (b"", b"SWLT", Random(1).randbytes(1000)):
        with pytest.raises(NotABackup):
            read(content)


def test_a_backup_of_a_newer_format_is_refused_with_what_to_do() -> None:
    content = b"".join(parts()).replace(b'"format": 1', b'"format": 2')
    kind, length, _ = FRAME.unpack_from(content, len(MAGIC))
    frame = content[len(MAGIC) + FRAME.size :][:length]
    checksum = zlib.crc32(frame, zlib.crc32(bytes((kind,))))

    with pytest.raises(NewerBackup, match="it is of format 2, this version reads 1"):
        read(MAGIC + FRAME.pack(kind, length, checksum) + frame)


def test_a_backup_that_breaks_off_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "b"
    save(file, parts())
    before = file.read_bytes()

    with pytest.raises(BadBackup, match="its end is missing"):
        save(file, parts()[:-1])

    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]
