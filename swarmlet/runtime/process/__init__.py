"""Containers without an engine: plain processes with the same life cycle, for hosts that have no Podman."""

from swarmlet.runtime.process.runtime import ProcessRuntime

__all__ = ["ProcessRuntime"]
