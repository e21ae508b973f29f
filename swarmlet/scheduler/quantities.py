"""Quantities in words for people."""

MIB = 1024 * 1024
GIB = 1024 * MIB


def number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def cpus_text(cpus: float) -> str:
    return f"{number(cpus)} CPU" if cpus == 1 else f"{number(cpus)} CPUs"


def size_text(size_bytes: int) -> str:
    """`512 MiB`, `1.5 GiB`; sizes below one MiB in bytes."""
    if size_bytes >= GIB:
        return f"{number(size_bytes / GIB)} GiB"
    if size_bytes >= MIB:
        return f"{number(size_bytes / MIB)} MiB"
    return f"{size_bytes} bytes" if size_bytes else "0 MiB"


def tasks_text(count: int) -> str:
    return f"{count} task" if count == 1 else f"{count} tasks"
