"""A node whose disk fails hands over, says so, serves what it has, and comes back by itself; on real nodes."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from drivers_builders import Disk, Node, Nodes, nodes, puts, until

from swarmlet.drivers.consensus import SUBMIT
from swarmlet.drivers.leader_calls import NoLeader
from swarmlet.storage import RaftStorage
from swarmlet.storage.log_database import SIZE_BYTES_MAX

DISK_BYTES = 2 * 1024 * 1024


class FullFileSystem:
    """A file system of its own, filled by somebody else's file."""

    def __init__(self, path: Path) -> None:
        self.disk: Disk = (path, SIZE_BYTES_MAX)
        self._ballast = path / "ballast"

    async def fill(self, node: Node, made: Nodes) -> None:
        with self._ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free(self, node: Node) -> None:
        self._ballast.unlink()


class FullLog:
    """A log that has reached its own limit."""

    def __init__(self, path: Path) -> None:
        self.disk: Disk = (path, DISK_BYTES)

    async def fill(self, node: Node, made: Nodes) -> None:
        for number in range(DISK_BYTES // 60_000 - 5):
            await node.consensus.submit(puts(f"kv/fill{number}/", 1, 60_000))

    def free(self, node: Node) -> None:
        node.storage._size_bytes_max = 100 * DISK_BYTES


@pytest.fixture(params=[FullFileSystem, FullLog])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FullFileSystem | FullLog]:
    path = tmp_path / "small"
    path.mkdir()
    if request.param is FullLog:
        yield FullLog(path)
        return
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(path)], check=True)
    try:
        yield FullFileSystem(path)
    finally:
        subprocess.run(["umount", str(path)], check=True)


async def fill_until_it_fails(small: FullFileSystem | FullLog, node: Node, made: Nodes) -> None:
    await small.fill(node, made)
    for number in range(40):
        if not node.consensus.takes_part:
            break
        await made.by_name["b"].consensus.submit(puts(f"kv/last{number}/", 1, 60_000))
    assert not node.consensus.takes_part


async def test_a_leader_whose_disk_is_full_hands_over_and_comes_back_when_there_is_room(
    tmp_path: Path, small: FullFileSystem | FullLog
) -> None:
    async with nodes(tmp_path, disks={"a": small.disk}) as made:
        full = made.by_name["a"]
        assert await made.led() is full
        await full.consensus.submit(puts("kv/before/", 3))

        await fill_until_it_fails(small, full, made)

        await until(lambda: made.leader is not None and made.leader is not full)
        assert any("free some space" in problem for problem in full.consensus.problems())
        assert full.consensus.store.get("kv/before/0000") is not None
        await made.by_name["b"].consensus.submit(puts("kv/meanwhile/", 3))
        assert full.consensus.store.get("kv/meanwhile/0000") is None

        small.free(full)

        await until(lambda: full.consensus.takes_part and full.consensus.store.get("kv/meanwhile/0000"))
        assert full.consensus.problems() == []
        await full.consensus.submit(puts("kv/after/", 1))
        await made.all_applied()
        assert len(made.hashes()) == 1
        await made.stop("a")
        with RaftStorage.open(full.path) as storage:
            assert storage.load().lost_tail is None


async def test_a_write_through_a_node_whose_disk_is_full_is_committed_by_the_others(
    tmp_path: Path, small: FullFileSystem | FullLog
) -> None:
    async with nodes(tmp_path, disks={"c": small.disk}) as made:
        full = made.by_name["c"]
        await fill_until_it_fails(small, full, made)

        writing = full.consensus.submit(puts("kv/through/", 1), timeout_s=20.0)
        small.free(full)

        assert (await writing).succeeded


async def test_a_write_through_a_node_whose_disk_is_full_has_a_deadline_though_the_leader_never_answers(
    tmp_path: Path, small: FullFileSystem | FullLog
) -> None:
    async with nodes(tmp_path, disks={"c": small.disk}) as made:
        full = made.by_name["c"]
        await fill_until_it_fails(small, full, made)
        for node in made:
            node.network.on_prompt_call(SUBMIT, lambda *_: asyncio.get_running_loop().create_future())

        async with asyncio.timeout(15.0):
            with pytest.raises(NoLeader):
                await full.consensus.submit(puts("kv/unheard/", 1), timeout_s=0.3)

        assert not full.consensus.takes_part


async def test_a_cluster_whose_disks_were_all_full_comes_back(tmp_path: Path) -> None:
    async with nodes(tmp_path, count=1, disks={"a": (tmp_path, DISK_BYTES)}) as made:
        small, full = FullLog(tmp_path), made.by_name["a"]
        await small.fill(full, made)
        with contextlib.suppress(Exception):
            for number in range(40):
                await full.consensus.submit(puts(f"kv/last{number}/", 1, 60_000), timeout_s=0.5)
        await until(lambda: not full.consensus.takes_part)

        small.free(full)

        await until(lambda: full.consensus.is_leader)
        assert (await full.consensus.submit(puts("kv/after/", 1))).succeeded
