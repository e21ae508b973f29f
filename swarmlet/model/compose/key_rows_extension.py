"""Rows of the key table: a service's `x-swarmlet`, which has what Compose has no key for. See `key_table`."""

from swarmlet.model.compose.key_row import KeyRow, supported
from swarmlet.model.compose.key_rows_autoscale import AUTOSCALE
from swarmlet.model.compose.key_rows_job import JOB

_X = "services.*.x-swarmlet"

EXTENSION: tuple[KeyRow, ...] = (
    supported(_X, "What Compose has no key for."),
    supported(
        _X + ".pod",
        "Services of the stack with the same name here share one network: their tasks of one slot are on one node and "
        "reach each other by localhost. They have as many tasks, and no port in common.",
    ),
    supported(
        _X + ".health",
        "A probe by the node instead of a command in the container; timings are those of `healthcheck`.",
    ),
    supported(_X + ".health.http", "Healthy on an answer with status 200 to 399."),
    supported(_X + ".health.http.port", "Port in the container; required."),
    supported(_X + ".health.http.path", "Path to ask for; `/` by default."),
    supported(_X + ".health.tcp", "Healthy when the port accepts a connection."),
    supported(_X + ".health.tcp.port", "Port in the container; required."),
    supported(
        _X + ".readiness",
        "A probe that decides over connections alone: a task that fails it gets none, and is not restarted.",
    ),
    supported(_X + ".readiness.http", "Ready on an answer with status 200 to 399."),
    supported(_X + ".readiness.http.port", "Port in the container; required."),
    supported(_X + ".readiness.http.path", "Path to ask for; `/` by default."),
    supported(_X + ".readiness.tcp", "Ready when the port accepts a connection."),
    supported(_X + ".readiness.tcp.port", "Port in the container; required."),
    supported(_X + ".readiness.interval", "Time between two probes; 5s by default."),
    supported(_X + ".readiness.timeout", "A probe that takes longer has failed; 5s by default."),
    supported(_X + ".readiness.retries", "Failures in a row after which a task is not ready; 3 by default."),
    supported(
        _X + ".max_unavailable",
        "How many tasks drains, relocations and updates may keep from serving at a time: a number, or a share of the"
        " replicas like 25%, rounded up; 1 by default.",
    ),
    supported(
        _X + ".exclusive",
        "At most one task at any moment, also while the network is cut: it runs only while its node holds a lease of"
        " it. Needs a static busybox on the nodes (Debian's busybox-static).",
    ),
    supported(_X + ".rollout", "How a new revision takes over, beside `deploy.update_config`."),
    supported(
        _X + ".rollout.strategy",
        "`rolling` (the default), or `blue-green`: all new tasks start beside all old ones, traffic switches when all"
        " are ready, then the old ones stop.",
    ),
    supported(_X + ".rollout.canary", "First a part of the tasks, in steps, then the rest."),
    supported(_X + ".rollout.canary.steps", "Rising shares of the tasks, like [10%, 50%]; required."),
    supported(
        _X + ".rollout.canary.hold",
        "How long each step is watched, or `manual` (the default): until `swarmlet rollout resume`.",
    ),
    supported(
        _X + ".rollout.patience",
        "A new task that keeps failing has failed when it is so old, its start period not counted; 10s by default.",
    ),
    supported(_X + ".rollout.deadline", "A new task that is not ready after so long has failed whatever it says; 10m."),
    *AUTOSCALE,
    supported(
        _X + ".ingress",
        "Where it answers HTTP from outside, a mapping or a list: for `swarmlet export kubernetes`, which writes an "
        "Ingress; it has no effect here (yet).",
    ),
    supported(_X + ".ingress[].host", "The host, like shop.example.com or *.example.com; any by default."),
    supported(_X + ".ingress[].path", "All paths that begin so; `/` by default."),
    supported(_X + ".ingress[].port", "Port in the container; required."),
    *JOB,
)
