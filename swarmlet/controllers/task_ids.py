"""Ids of new tasks: derived, not drawn, so that the same decision made twice makes the same task once.

Two leaders, or one with a stale view, that both find the same slot empty come to the same id, and the
comparison 'this key must not exist' refuses the second. The id is a digest of what the decision rests on: the
service object's store revision, the seat, and the task that held it last. A later decision for the same seat
has another predecessor, or another service revision, hence another id; so the last holder of a wanted seat is
never forgotten (see `retention`).
"""

import hashlib
from collections.abc import Container

from swarmlet.model.ids import ServiceId, TaskId

COLLISIONS_MAX = 100
"""48 bits hardly ever collide once; a hundred times in a row is a fault of ours."""


def derived_task_id(
    service: ServiceId, service_revision: int, seat: str, predecessor: TaskId | None, taken: Container[TaskId]
) -> TaskId:
    """`seat` tells apart what the predecessor alone does not: the slot, or the node and since when it is up."""
    for attempt in range(COLLISIONS_MAX):
        basis = "\n".join((service, str(service_revision), seat, predecessor or "", str(attempt)))
        derived = TaskId(hashlib.sha256(basis.encode()).hexdigest()[:12])
        if derived not in taken:
            return derived
    raise AssertionError(f"no free task id for {service} {seat} in {COLLISIONS_MAX} attempts")
