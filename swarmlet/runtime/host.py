"""What this machine has to give, from /proc: both real runtimes run on the agent's own machine."""

import os
from pathlib import Path

from swarmlet.model.spec import Resources


def host_capacity(meminfo: Path = Path("/proc/meminfo")) -> Resources:
    """All CPUs this process may run on, and all memory."""
    memory_kib = 0
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemTotal:"):
            memory_kib = int(line.split()[1])
    return Resources(cpus=float(len(os.sched_getaffinity(0))), memory_bytes=memory_kib * 1024)
