"""Rows of the key table: a service's `x-swarmlet`, which has what Compose has no key for. See `key_table`."""

from swarmlet.model.compose.key_row import KeyRow, supported

_X = "services.*.x-swarmlet"

EXTENSION: tuple[KeyRow, ...] = (
    supported(_X, "What Compose has no key for."),
    supported(
        _X + ".health",
        "A probe by the node instead of a command in the container; timings are those of `healthcheck`.",
    ),
    supported(_X + ".health.http", "Healthy on an answer with status 200 to 399."),
    supported(_X + ".health.http.port", "Port in the container; required."),
    supported(_X + ".health.http.path", "Path to ask for; `/` by default."),
    supported(_X + ".health.tcp", "Healthy when the port accepts a connection."),
    supported(_X + ".health.tcp.port", "Port in the container; required."),
)
