"""Why a user's wish is refused: one line each, with the data behind it."""

from collections.abc import Sequence

from swarmlet.errors import SwarmletError
from swarmlet.model.ids import ServiceId

NAMES_SHOWN_MAX = 10


class StackRefused(SwarmletError):
    """A deploy, removal or change of scale that can't be done as it was asked for."""


class UnknownStack(StackRefused):
    def __init__(self, stack: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no stack '{stack}'{_among(known)}")
        self.stack = stack
        self.known = tuple(known)


class UnknownService(StackRefused):
    def __init__(self, service: ServiceId, known: Sequence[ServiceId]) -> None:
        super().__init__(f"there is no service '{service}'{_among(known)}")
        self.service = service
        self.known = tuple(known)


class GlobalServiceNotScalable(StackRefused):
    def __init__(self, service: ServiceId) -> None:
        super().__init__(f"'{service}' is a global service: it has one task on every node and can't be scaled")
        self.service = service


class AutoscaledNotScalable(StackRefused):
    def __init__(self, service: ServiceId, replicas_min: int, replicas_max: int) -> None:
        super().__init__(
            f"'{service}' is scaled by what its tasks use, between {replicas_min} and {replicas_max}: change 'min' and "
            "'max' at 'x-swarmlet: autoscale:' (or remove it) and deploy again; 'swarmlet explain' says why it has as "
            "many as it has"
        )
        self.service = service


class JobNotScalable(StackRefused):
    def __init__(self, service: ServiceId) -> None:
        super().__init__(f"'{service}' is a job, which has runs and no replicas; see 'swarmlet job run {service}'")
        self.service = service


class ExclusiveServiceNotScalable(StackRefused):
    def __init__(self, service: ServiceId, replicas: int) -> None:
        super().__init__(f"'{service}' is exclusive: it can have 0 or 1 tasks, not {replicas}")
        self.service = service
        self.replicas = replicas


class ReplicasOutOfRange(StackRefused):
    def __init__(self, service: ServiceId, replicas: int, replicas_max: int) -> None:
        super().__init__(f"'{service}' can't have {replicas} replicas: give a number from 0 to {replicas_max}")
        self.service = service
        self.replicas = replicas
        self.replicas_max = replicas_max


class PortConflict(StackRefused):
    def __init__(self, service: ServiceId, published: int, other: ServiceId) -> None:
        where = "twice itself" if service == other else f"by '{other}' already"
        super().__init__(f"'{service}' can't publish port {published}: it is published {where}; choose another port")
        self.service = service
        self.published = published
        self.other = other


class UnknownDependency(StackRefused):
    def __init__(self, stack: str, service: str, dependency: str) -> None:
        super().__init__(f"service '{service}' of stack '{stack}' depends on '{dependency}', which the stack has not")
        self.stack = stack
        self.service = service
        self.dependency = dependency


class DependencyCycle(StackRefused):
    def __init__(self, stack: str, cycle: Sequence[str]) -> None:
        super().__init__(f"services of stack '{stack}' depend on each other in a circle: {' -> '.join(cycle)}")
        self.stack = stack
        self.cycle = tuple(cycle)


def _among(known: Sequence[str]) -> str:
    if not known:
        return "; there is none at all"
    shown = ", ".join(known[:NAMES_SHOWN_MAX]) + (", …" if len(known) > NAMES_SHOWN_MAX else "")
    return f"; there is {shown}"
