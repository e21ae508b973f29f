"""Numbers as Kubernetes writes them: thousandths of processors, binary sizes, whole seconds."""

import math

_UNITS = ((1024**4, "Ti"), (1024**3, "Gi"), (1024**2, "Mi"), (1024, "Ki"))


def cpus(value: float) -> str:
    milli = math.ceil(round(value * 1000, 3))
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def size(size_bytes: int) -> str:
    for unit, name in _UNITS:
        if size_bytes and size_bytes % unit == 0:
            return f"{size_bytes // unit}{name}"
    return str(size_bytes)


def seconds(value: float, least: int = 0) -> int:
    return max(least, math.ceil(value))
