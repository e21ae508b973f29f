"""Seats: the places a service has to fill, and who sits in each.

A replicated service has N seats, told apart by slot number; which numbers they carry does not matter. A global
service has one seat per node. A seat holds one task, and for the length of a rollout or a relocation two: the former,
of an old revision or on a node that it is to leave, beside the current one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from swarmlet.controllers.view import Standing, TaskView
from swarmlet.model.ids import NodeId, RevisionHash
from swarmlet.model.objects import Task
from swarmlet.model.spec import Mode

SeatKey = tuple[int, NodeId]
"""The slot and no node, or slot 0 and the node."""

NO_NODE = NodeId("")


def seat_key(task: Task, mode: Mode) -> SeatKey:
    """A service that changed its mode keeps its tasks: a global one's are seats of their own in a replicated one."""
    if mode is Mode.GLOBAL or task.slot == 0:
        return 0, task.node
    return task.slot, NO_NODE


@dataclass(slots=True)
class Seat:
    key: SeatKey
    currents: list[TaskView] = field(default_factory=list)
    """Tasks of the wanted revision. More than one only after a mishap."""
    formers: list[TaskView] = field(default_factory=list)
    """Tasks of older revisions, and those that are to leave their node: both serve until another one does. The oldest
    first."""

    @property
    def current(self) -> TaskView | None:
        return self.currents[0] if len(self.currents) == 1 else max(self.currents, key=worth, default=None)

    @property
    def best(self) -> TaskView:
        sitting = [*self.currents, *self.formers]
        return sitting[0] if len(sitting) == 1 else max(sitting, key=worth)

    def __iter__(self) -> Iterator[TaskView]:
        yield from self.formers
        yield from self.currents

    def __len__(self) -> int:
        return len(self.formers) + len(self.currents)


def worth(view: TaskView) -> tuple[Standing, float, str]:
    """The better standing, then the older, then the smaller id: the same on every peer."""
    return view.standing, -view.task.created_at, view.id


def seats_of(tasks: Iterable[TaskView], mode: Mode, revision: RevisionHash) -> dict[SeatKey, Seat]:
    seats: dict[SeatKey, Seat] = {}
    for view in tasks:
        key = seat_key(view.task, mode)
        seat = seats.setdefault(key, Seat(key))
        stays = view.task.revision == revision and not view.leaves
        (seat.currents if stays else seat.formers).append(view)
    return dict(sorted(seats.items()))
