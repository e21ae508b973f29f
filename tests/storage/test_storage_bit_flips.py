"""Whatever a disk does to one of the files: all is as it was written, or an end was cut and is known to be, or an error
of ours says what is wrong. Never other data, never less without a word, never an error of somebody else's.
"""

import shutil
from pathlib import Path
from random import Random

import pytest
from storage_builders import a_persist, a_snapshot, as_after_a_crash, entries, write_and_wait

from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.raft import HardState, RestoredState
from swarmlet.storage import RaftStorage

EXAMPLES = 300
WRITES = 14
VOTE = HardState(WRITES, NodeId("a"))


@pytest.fixture(scope="module", params=["in the write-ahead log", "in the database"])
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with a snapshot in pieces, on the disk as after a crash, or as after an orderly end."""
    path = tmp_path_factory.mktemp("original") / "raft.db"
    with RaftStorage.open(path) as storage:
        for number in range(1, WRITES + 1):
            snapshot = a_snapshot(10, b"state" * 3000) if number == 5 else None
            write_and_wait(
                storage,
                a_persist(
                    number, entries(4 * number - 3, 4 * number), HardState(number, NodeId("a")), snapshot=snapshot
                ),
            )
        if request.param == "in the write-ahead log":
            return as_after_a_crash(path, tmp_path_factory.mktemp("copy"))
    return path


def spoil(file: Path, rng: Random) -> str:
    content = bytearray(file.read_bytes())
    if rng.random() < 0.25:
        length = rng.randrange(len(content))
        file.write_bytes(content[:length])
        return f"{file.name} cut to {length} bytes"
    if rng.random() < 0.15:
        start = rng.randrange(len(content)) // 512 * 512
        content[start : start + 512] = rng.choice([b"\0" * 512, rng.randbytes(512)])[: len(content) - start]
        file.write_bytes(content)
        return f"{file.name}: another sector at {start}"
    places = [rng.randrange(len(content) * 8) for _ in range(rng.choice([1, 1, 2, 8]))]
    for place in places:
        content[place // 8] ^= 1 << place % 8
    file.write_bytes(content)
    return f"{file.name}: bits {places} flipped"


def fault_of(found: RestoredState) -> str | None:
    """What of it is neither as it was written nor known to be lost."""
    whole = entries(1, 4 * WRITES)
    if found.hard_state != VOTE:
        return f"the vote is {found.hard_state}"
    first = found.entries[0].index if found.entries else 11
    last = found.entries[-1].index if found.entries else 10 if found.snapshot else 0
    if found.entries != whole[first - 1 : last]:
        return "entries are others"
    if found.snapshot not in (None, a_snapshot(10, b"state" * 3000)):
        return "the snapshot is another"
    if first > (11 if found.snapshot else 1) and found.entries:
        return "entries are missing before the first"
    if found.lost_tail is None and (found.snapshot is None or last != 4 * WRITES):
        return f"it ends at {last}, and nothing is known to be lost"
    if found.lost_tail is not None and found.lost_tail.last_index < 4 * WRITES:
        return f"lost is only known up to {found.lost_tail}"
    return None


def test_a_spoilt_file_is_noticed_or_harmless(original: Path, tmp_path: Path) -> None:
    seen = {"right": 0, "cut": 0, "refused": 0}
    for seed in range(EXAMPLES):
        rng = Random(seed)
        copy = tmp_path / str(seed)
        shutil.copytree(original.parent, copy)
        files = sorted(file for file in copy.iterdir() if file.stat().st_size)
        spoilt = spoil(rng.choice(files), rng)
        try:
            with RaftStorage.open(copy / original.name) as storage:
                found = storage.load()
        except SwarmletError as refused:
            assert "\n" not in str(refused) and str(copy) in str(refused)
            seen["refused"] += 1
        else:
            fault = fault_of(found)
            assert fault is None, f"seed {seed}: {spoilt}: {fault}"
            seen["right" if found.lost_tail is None else "cut"] += 1
        shutil.rmtree(copy)

    assert seen["right"] and seen["refused"], seen
    assert seen["cut"] or not original.with_name("raft.db-wal").exists(), seen
