"""Rows of the key table: health, how many tasks, what each may use. See `key_table`."""

from swarmlet.model.compose.key_row import KeyRow, refused, supported, warned

_S = "services.*."
_D = _S + "deploy."
_R = _D + "resources."

HEALTH: tuple[KeyRow, ...] = (
    supported(_S + "healthcheck", "When a task counts as healthy: only healthy tasks get connections."),
    supported(
        _S + "healthcheck.test",
        "A command whose exit status 0 means healthy: [CMD, …], [CMD-SHELL, …], [NONE], or a string for the shell.",
    ),
    supported(_S + "healthcheck.interval", "Time between two probes; 30s by default."),
    supported(_S + "healthcheck.timeout", "A probe that takes longer has failed; 30s by default."),
    supported(_S + "healthcheck.retries", "Failures in a row that make a task unhealthy; 3 by default."),
    supported(_S + "healthcheck.start_period", "Failures do not count for so long after the start; 0s."),
    supported(_S + "healthcheck.start_interval", "Time between probes until the first success; 500ms."),
    supported(_S + "healthcheck.disable", "`true`: no probes, a running task is healthy."),
)

_PACE = (
    (".order", "`stop-first` (the default here) or `start-first`: the new task starts beside the old one."),
    (".parallelism", "How many tasks at a time; 1 by default, 0 is all."),
    (".delay", "Wait after a task was replaced, before the next one's turn; 0s by default."),
    (".monitor", "A new task takes over when it has been ready for so long; 0s by default."),
    (".max_failure_ratio", "The share of tasks that may be failing without the rollout having failed; 0 by default."),
)

DEPLOY: tuple[KeyRow, ...] = (
    supported(_S + "deploy", "How many tasks, and what each may use."),
    supported(_D + "replicas", "How many tasks; 1 by default."),
    supported(_S + "scale", "The same; write only one of the two."),
    supported(
        _D + "mode",
        "`replicated` (the default), `global` (one task on every node), `replicated-job`, `global-job` (docs/jobs.md).",
    ),
    supported(_D + "resources", "What a task may use (limits) and what is kept for it (reservations)."),
    supported(_R + "limits", "No task gets more than this."),
    supported(_R + "limits.cpus", "Processors, like 0.5."),
    supported(_R + "limits.memory", "Memory, like 512m."),
    supported(_R + "limits.pids", "Processes and threads."),
    supported(_R + "reservations", "A task is placed only where this much is left."),
    supported(_R + "reservations.cpus", "Processors, like 0.25."),
    supported(_R + "reservations.memory", "Memory, like 256m."),
    supported(_S + "cpus", "The same as `deploy.resources.limits.cpus`."),
    supported(_S + "mem_limit", "The same as `deploy.resources.limits.memory`."),
    supported(_S + "pids_limit", "The same as `deploy.resources.limits.pids`; -1 is no limit."),
    supported(_S + "mem_reservation", "The same as `deploy.resources.reservations.memory`."),
    supported(_S + "cpu_shares", "Weight among tasks that want more than there is; 1024 is the usual one."),
    supported(_S + "cpuset", "Processors of the node that may be used, like 0-3 or 0,1."),
    *refused(_S + "cpu_quota", "write `cpus`: the quota divided by the period"),
    *refused(_S + "cpu_period", "write `cpus`: the quota divided by the period"),
    *refused(_S + "cpu_rt_period", "remove it, tasks have no real-time budget"),
    *refused(_S + "cpu_rt_runtime", "remove it, tasks have no real-time budget"),
    *warned(_S + "cpu_count", "has no effect on Linux, write `cpus`"),
    *warned(_S + "cpu_percent", "has no effect on Linux, write `cpus`"),
    *warned(_S + "mem_swappiness", "has no effect, swapping is the node's to decide"),
    *warned(_S + "memswap_limit", "has no effect, swapping is the node's to decide"),
    *warned(_S + "oom_kill_disable", "has no effect, a task beyond its memory limit is killed and restarted"),
    *warned(_S + "storage_opt", "has no effect, the node's storage decides"),
    *warned(
        _S + "blkio_config",
        "has no effect, disks are not shared out (yet)",
        *(".weight", ".weight_device", ".weight_device[].path", ".weight_device[].weight"),
        *(
            f".device_{way}{part}"
            for way in ("read_bps", "read_iops", "write_bps", "write_iops")
            for part in ("", "[].path", "[].rate")
        ),
    ),
    *warned(_D + "labels", "have no effect, write `labels` of the service, which go to its containers"),
    *warned(_D + "endpoint_mode", "has no effect, published ports lead to every healthy task"),
    supported(_D + "restart_policy", "When a task is started again; wins over `restart`."),
    supported(_D + "restart_policy.condition", "`any` (the default), `on-failure` or `none`."),
    supported(_D + "restart_policy.max_attempts", "Starts in a row before it is given up; without end by default."),
    *warned(
        _D + "restart_policy.delay", "has no effect, restarts wait longer each time: from under a second to minutes"
    ),
    *warned(_D + "restart_policy.window", "has no effect, a task has proven itself when it was healthy for a while"),
    supported(
        _D + "update_config",
        "How a new revision replaces the old one. Without it: start-first, a third of the tasks at a time, and on"
        " failure a rollback of the whole service.",
    ),
    *(supported(f"{_D}update_config{part}", doc) for part, doc in _PACE),
    supported(
        _D + "update_config.failure_action",
        "`pause` (the default here), `rollback` to the last healthy revision, or `continue`: wait for as long as it"
        " takes.",
    ),
    supported(_D + "rollback_config", "How a rollback goes; as the update where it is not there."),
    *(supported(f"{_D}rollback_config{part}", doc) for part, doc in _PACE),
    supported(_D + "rollback_config.failure_action", "`pause` (the default) or `continue`."),
)
