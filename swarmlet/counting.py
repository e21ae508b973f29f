"""Counters of the agent's parts, flattened into names and numbers for `/metrics`."""

from dataclasses import fields, is_dataclass


def counters_of(counters: object, prefix: str = "") -> dict[str, int]:
    """All whole numbers of a counters dataclass, nested ones under `outer_inner`."""
    found: dict[str, int] = {}
    assert is_dataclass(counters), f"{type(counters).__name__} is no dataclass"
    for field in fields(counters):
        value = getattr(counters, field.name)
        if is_dataclass(value):
            found |= counters_of(value, f"{prefix}{field.name}_")
        elif isinstance(value, int):
            found[prefix + field.name] = value
    return found
