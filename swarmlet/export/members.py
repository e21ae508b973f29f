"""Services that share a pod (`x-swarmlet.pod`), or one that has its pods for itself: which of them run before the
others, and whether the pod as a whole comes to an end.

Rules: who ends and is waited for becomes an init container, unless it waits for one that is none itself, since those
start only when all init containers have ended. One container at least is no init container.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from swarmlet.export.document import ServiceNotes
from swarmlet.export.metadata import ServiceNames
from swarmlet.model.bonds import awaited_by
from swarmlet.model.spec import Mode, RestartCondition, ServiceSpec


@dataclass(frozen=True, slots=True)
class Member:
    """A service, beside those that share its pods."""

    spec: ServiceSpec
    names: ServiceNames
    notes: ServiceNotes
    is_awaited: bool
    """Others start when its tasks have ended well."""

    @property
    def ends(self) -> bool:
        return self.is_awaited or self.spec.template.restart.condition is RestartCondition.NEVER


@dataclass(frozen=True, slots=True)
class Group:
    """All members of one pod."""

    inits: tuple[Member, ...]
    """Those that run before the rest, one after the other."""
    rest: tuple[Member, ...]
    """The most important one first; never empty."""

    @property
    def first(self) -> Member:
        """It speaks for the pod where only one can."""
        return self.rest[0]

    @property
    def members(self) -> tuple[Member, ...]:
        """In the order in which they are merged."""
        return (*self.rest, *self.inits)

    @property
    def ends(self) -> bool:
        """Of a global one the pods run for ever: no Job has one on each node."""
        return self.first.spec.mode is not Mode.GLOBAL and all(each.ends for each in self.rest)

    @property
    def is_job(self) -> bool:
        return self.ends or self.first.spec.job is not None


def group_of(members: Sequence[Member]) -> Group:
    """`members` are sorted, the most important first."""
    inits = _inits(members)
    return Group(tuple(inits), tuple(each for each in members if each not in inits))


def _inits(members: Sequence[Member]) -> list[Member]:
    own = {each.spec.name for each in members}
    awaited = {name for each in members for name in awaited_by(each.spec)}
    if any(not each.ends for each in members):
        awaited |= {each.spec.name for each in members if each.is_awaited}
    left = [each for each in members if each.ends and each.spec.name in awaited]
    chosen: list[Member] = []
    while ready := [
        each for each in left if not (each.spec.depends_on.keys() & own - {one.spec.name for one in chosen})
    ]:
        chosen.append(ready[0])
        left.remove(ready[0])
    return chosen
