"""A host's own loop: the tasks assigned to it against what its runtime runs, health probes, restarts with back-off.

The decisions are pure (`task_machine`, `health`, `backoff`, `settings`); `loop`, `task_runner`, `inventory`,
`images`, `probes` and `watchdog` do the I/O. Nothing here asks the leader for anything: a node that is cut off
goes on healing what it runs.
"""
