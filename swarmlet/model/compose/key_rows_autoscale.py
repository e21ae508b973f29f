"""Rows of the key table: `x-swarmlet: autoscale:`. See `key_table`, `autoscale`."""

from swarmlet.model.compose.key_row import KeyRow, supported

_A = "services.*.x-swarmlet.autoscale"
_PROMETHEUS = f"{_A}.metrics[].prometheus"


def _direction(key: str, doc: str, stabilization: str, policies: str) -> tuple[KeyRow, ...]:
    path = f"{_A}.{key}"
    return (
        supported(path, doc),
        supported(f"{path}.stabilization", f"How long a change must have been wanted; {stabilization} by default."),
        supported(f"{path}.policies", f"How much may change within a period; by default {policies}."),
        supported(f"{path}.policies[].percent", "Of the tasks there were when the period began; this or `tasks`."),
        supported(f"{path}.policies[].tasks", "So many tasks."),
        supported(f"{path}.policies[].period", "15 s by default."),
        supported(
            f"{path}.select",
            "Which policy counts: `max` (the largest change, the default), `min`, or `disabled` (no change at all).",
        ),
    )


AUTOSCALE: tuple[KeyRow, ...] = (
    supported(
        _A,
        "The number of tasks follows what they use, as by Kubernetes' HPA: see [autoscaling.md](autoscaling.md). "
        "`deploy.replicas` is the number to begin with.",
    ),
    supported(f"{_A}.min", "Never fewer tasks; 1 by default."),
    supported(f"{_A}.max", "Never more tasks; required."),
    supported(
        f"{_A}.cpu",
        "Target, like `70%`: of the reserved `cpus` (of the limit where none are), on average over all tasks.",
    ),
    supported(f"{_A}.memory", "The same of memory."),
    supported(f"{_A}.metrics", "Targets of the tasks' own metrics."),
    supported(
        _PROMETHEUS, "Each task is asked by its node; the sum of all series with the name and the labels counts."
    ),
    supported(f"{_PROMETHEUS}.port", "Port in the container; required."),
    supported(f"{_PROMETHEUS}.path", "Path to ask for; `/metrics` by default."),
    supported(f"{_PROMETHEUS}.name", "The metric's name; required. A counter counts as its rate a second."),
    supported(f"{_PROMETHEUS}.labels", "Only series that have these."),
    supported(f"{_PROMETHEUS}.labels.*", "A label's value."),
    supported(f"{_PROMETHEUS}.target_average", "What each task should have, on average; required."),
    supported(f"{_A}.tolerance", "An average this close to its target changes nothing; `0.1` by default."),
    *_direction("scale_up", "How fast the number grows.", "0 s", "100 percent or 4 tasks, whichever is more, in 15 s"),
    *_direction("scale_down", "How fast it shrinks.", "300 s", "100 percent in 15 s"),
)
