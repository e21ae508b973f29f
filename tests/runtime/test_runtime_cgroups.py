"""What a container has used, read from control groups as each kind of host has them."""

from pathlib import Path

import pytest

from swarmlet.runtime.cgroups import Cgroups
from swarmlet.runtime.interface import Used

ID = "7d1f" * 16
MEMORY_STAT = "cache 1000\nrss 5000\ninactive_file 200\ntotal_inactive_file 300\n"


class Machine:
    """A folder with a `proc` and hierarchies, as the kernel shows them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mounts: list[str] = ["22 1 0:21 / /proc rw - proc proc rw"]

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def mount(self, at: str, kind: str, options: str, root: str = "/") -> None:
        self.mounts.append(f"30 1 0:30 {root} {self.folder / at} rw,nosuid shared:9 - {kind} {kind} {options}")

    def used(self, groups: str) -> Used | None:
        self.write("proc/42/cgroup", groups)
        self.write("proc/self/mountinfo", "\n".join(self.mounts) + "\n")
        return Cgroups(self.folder / "proc").used(42, ID)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_unified_hierarchy(machine: Machine) -> None:
    group = f"/machine.slice/libpod-{ID}.scope"
    machine.mount("sys/fs/cgroup", "cgroup2", "rw,nsdelegate")
    machine.write(f"sys/fs/cgroup{group}/cpu.stat", "usage_usec 2500000\nuser_usec 1\nsystem_usec 2\n")
    machine.write(f"sys/fs/cgroup{group}/memory.current", "6000\n")
    machine.write(f"sys/fs/cgroup{group}/memory.stat", "anon 5000\ninactive_file 300\n")

    assert machine.used(f"0::{group}\n") == Used(2.5, 5700)
    assert machine.used(f"0::{group}/container\n") == Used(2.5, 5700), "a group that it made within is part of it"


def test_hybrid_each_figure_comes_from_where_its_controller_is(machine: Machine) -> None:
    machine.mount("sys/fs/cgroup/cpuacct", "cgroup", "rw,cpu,cpuacct")
    machine.mount("sys/fs/cgroup/memory", "cgroup", "rw,memory")
    machine.mount("sys/fs/cgroup/unified", "cgroup2", "rw")
    machine.write(f"sys/fs/cgroup/cpuacct/libpod_parent/libpod-{ID}/cpuacct.usage", "1500000000\n")
    machine.write(f"sys/fs/cgroup/memory/libpod_parent/libpod-{ID}/memory.usage_in_bytes", "6000\n")
    machine.write(f"sys/fs/cgroup/memory/libpod_parent/libpod-{ID}/memory.stat", MEMORY_STAT)

    groups = f"8:memory:/libpod_parent/libpod-{ID}\n2:cpu,cpuacct:/libpod_parent/libpod-{ID}\n0::/\n"
    assert machine.used(groups) == Used(1.5, 5700)


def test_a_mount_of_a_part_of_the_hierarchy(machine: Machine) -> None:
    machine.mount("sys/fs/cgroup", "cgroup2", "rw", root="/box")
    machine.write(f"sys/fs/cgroup/libpod-{ID}/cpu.stat", "usage_usec 1000000\n")
    machine.write(f"sys/fs/cgroup/libpod-{ID}/memory.current", "100\n")
    machine.write(f"sys/fs/cgroup/libpod-{ID}/memory.stat", "")

    assert machine.used(f"0::/box/libpod-{ID}\n") == Used(1.0, 100)


def test_another_process_with_the_same_pid_is_not_taken_for_it(machine: Machine) -> None:
    machine.mount("sys/fs/cgroup", "cgroup2", "rw")
    machine.write("sys/fs/cgroup/system.slice/cpu.stat", "usage_usec 1000000\n")

    assert machine.used("0::/system.slice\n") is None


def test_one_that_is_gone_has_no_figures(machine: Machine) -> None:
    machine.mount("sys/fs/cgroup", "cgroup2", "rw")

    assert machine.used(f"0::/libpod-{ID}\n") is None
