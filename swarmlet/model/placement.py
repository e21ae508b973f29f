"""Where tasks may run: what people say of their nodes, and what services ask of them."""

from enum import StrEnum

from swarmlet.model.frozen import Frozen


class TaintEffect(StrEnum):
    NO_SCHEDULE = "no-schedule"
    """No new task without a toleration is placed there."""
    NO_EXECUTE = "no-execute"
    """Those that run there without one are replaced elsewhere, too."""


class Taint(Frozen):
    """A node repels every task that does not tolerate it. As in Kubernetes."""

    key: str
    value: str = ""
    effect: TaintEffect = TaintEffect.NO_SCHEDULE
