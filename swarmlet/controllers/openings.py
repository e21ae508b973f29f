"""Openings: which seats of a service wait for a task, and of which revision.

Rules:
- An empty seat opens at once; where two tasks must not run side by side (`stops_first`), when those that are to stop
  are gone for good. A seat with a former task gets another one beside it as far as the surge allows: those whose task
  leaves its node first, then those whose turn it is in the rollout.
- While the rollout may not have every seat (it is paused or waits for others, its canary step is reached, blue-green
  has not switched) what goes missing is replaced as the last healthy revision, not by more of the new one. A seat that
  had its new task before gets a new one again.
- So do seats that only a new task is left in, and nobody who serves: before a blue-green switch all of those; in a
  paused rollout those whose new task is hopeless.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from swarmlet.controllers import relocation, rollout
from swarmlet.controllers.hosts import stops_first
from swarmlet.controllers.rollout import Course
from swarmlet.controllers.seats import NO_NODE, Seat, SeatKey, seat_key
from swarmlet.controllers.verdicts import is_hopeless
from swarmlet.controllers.view import ClusterView, TaskView
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import Service
from swarmlet.model.spec import Mode


@dataclass(frozen=True, slots=True)
class Opening:
    """A seat that is to get a task."""

    key: SeatKey
    service: Service
    """What the task will be: the service as it is declared, or as it was."""
    beside: bool
    """Another task of the seat serves until this one is ready."""
    leaving: TaskView | None = None
    """Whom it follows, where that one is to leave its node."""

    @property
    def node(self) -> NodeId | None:
        """The only node that will do."""
        return self.key[1] or (self.leaving.task.relocate_to if self.leaving else None) or None


@dataclass(frozen=True, slots=True)
class SeatPlan:
    """The seats of one service, at the point of a look where they are to be filled."""

    view: ClusterView
    service: Service
    seats: Mapping[SeatKey, Seat]
    wanted: int
    newest: Mapping[SeatKey, TaskView]
    """Per seat the youngest task that is on record, running or not."""
    course: Course

    def openings(self) -> list[Opening]:
        followers = [*self._successors(), *self._stand_ins()][: max(0, rollout.room(self.seats.values(), self.course))]
        return [*self._empty_seats(), *followers, *self._turns(len(followers))]

    def _empty_seats(self) -> Iterator[Opening]:
        earlier, share = self.course.earlier, rollout.share(self.seats.values(), self.course)
        for key in sorted(self._empty_keys(), key=lambda key: not self._had_new(key)):
            if earlier is None or share > 0 or (self.course.held and self._had_new(key)):
                share -= 1
                yield Opening(key, self.service, beside=False)
            else:
                yield Opening(key, earlier, beside=False)

    def _empty_keys(self) -> list[SeatKey]:
        lingering = self._lingering()
        if self.service.spec.mode is Mode.GLOBAL:
            hosts = (record for record in self.view.hosts_of(self.service) if record.is_alive)
            keys: Iterable[SeatKey] = ((0, record.node.id) for record in hosts)
            missing = self.wanted
        else:
            keys = ((slot, NO_NODE) for slot in range(1, self.wanted + 1))
            missing = max(0, self.wanted - len(self.seats) - len(lingering))
        return list(islice((key for key in keys if key not in self.seats and key not in lingering), missing))

    def _lingering(self) -> set[SeatKey]:
        """Seats whose last task is not gone for good, where the next one may not start before that."""
        if not (self.course.stop_first or stops_first(self.service.spec)):
            return set()
        tasks = self.view.tasks_of(self.service.id)
        there = (each for each in tasks if not (each.is_gone or self.view.is_dead(each)))
        return {seat_key(each.task, self.service.spec.mode) for each in there} - self.seats.keys()

    def _had_new(self, key: SeatKey) -> bool:
        return key in self.newest and self.newest[key].task.revision == self.service.revision

    def _successors(self) -> Iterator[Opening]:
        earlier = self.course.earlier
        for seat, task in relocation.to_be_followed(self.service, self.seats.values()):
            declared = self.service if earlier is None or task.task.revision == self.service.revision else earlier
            yield Opening(seat.key, declared, beside=True, leaving=task)

    def _stand_ins(self) -> Iterator[Opening]:
        """For tasks of the earlier revision that are lost beside a new one which does not serve in their stead."""
        course, earlier = self.course, self.course.earlier
        if earlier is None or not (course.blue_green or course.held):
            return
        for seat in self.seats.values():
            current = seat.current
            if not seat.formers and current is not None and (course.blue_green or is_hopeless(current)):
                yield Opening(seat.key, earlier, beside=True)

    def _turns(self, taken: int) -> Iterator[Opening]:
        staying = [seat for seat in self.seats.values() if not relocation.leaving(seat)]
        course = replace(self.course, surge=self.course.surge - taken)
        for seat in rollout.next_seats(self.view, self.seats.values(), course, staying):
            host = self.view.nodes.get(seat.key[1])
            if self.service.spec.mode is not Mode.GLOBAL or (host is not None and host.is_alive):
                yield Opening(seat.key, self.service, beside=True)
