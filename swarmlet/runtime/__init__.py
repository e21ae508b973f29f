"""Runtimes: what runs containers on a node, behind the one small interface in `interface`.

`podman` drives a Podman engine, `process` runs plain processes with the same life cycle, `fake` keeps
containers in memory for tests. They all pass the same contract tests.
"""
