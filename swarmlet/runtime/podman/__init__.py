"""Containers by a Podman engine (4.3 or later), over its socket."""

from swarmlet.runtime.podman.runtime import PodmanRuntime

__all__ = ["PodmanRuntime"]
