"""Rows of the key table: a service's `x-swarmlet: job`. See `key_table`."""

from swarmlet.model.compose.key_row import KeyRow, supported

_J = "services.*.x-swarmlet.job"

JOB: tuple[KeyRow, ...] = (
    supported(_J, "Work that ends, instead of a service that stays: docs/jobs.md."),
    supported(_J + ".completions", "How often it has to succeed in a run; `deploy.replicas` or 1 by default."),
    supported(_J + ".parallelism", "How many of its tasks may run at once; all by default."),
    supported(_J + ".retries", "How often a completion is tried again after a failure; 3 by default."),
    supported(_J + ".backoff", "Before the first retry; doubled with each further one, up to 6m; 10s by default."),
    supported(_J + ".deadline", "A run that takes longer has failed and is stopped; none by default."),
    supported(
        _J + ".schedule",
        'When to run: cron\'s five fields, six with seconds in front, or "@hourly", "@daily" …; without it, it runs'
        " once for each revision that is deployed.",
    ),
    supported(_J + ".time_zone", "Of the schedule, like Europe/Berlin; UTC by default."),
    supported(
        _J + ".concurrency",
        "When a run is due while another is not over: `forbid` (the default) skips it, `replace` cancels the other,"
        " `allow` runs both.",
    ),
    supported(_J + ".history", "How many finished runs are kept, with their logs: a number, or one for each kind."),
    supported(_J + ".history.succeeded", "Of those that succeeded; 10 by default."),
    supported(_J + ".history.failed", "Of those that failed or were cancelled; 10 by default."),
)
