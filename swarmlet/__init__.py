"""Swarmlet: a peer-to-peer container orchestrator. The same agent runs on every host."""

__version__ = "0.1.0"
