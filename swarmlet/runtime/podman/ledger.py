"""What was last seen of each container, and which events follow from seeing it anew. Pure.

A container seen for the first time after its end makes no event: whoever resyncs lists it.

The engine's event stream is only a hint to look: it is up to a quarter of a second late (its event file is
polled), and by then the container may run again. So events are made by comparing two looks at the container
itself. Each transition is told once, in order, and a late hint changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from swarmlet.model.ids import TaskId
from swarmlet.runtime.interface import TASK_LABEL, ContainerEvent, ContainerId, ContainerState, EventKind

LOOPBACK = "127.0.0.1"
_NEVER_YEAR = 1
"""Go's zero time is in the year 1."""


@dataclass(frozen=True, slots=True)
class Look:
    """One inspection of one container."""

    id: ContainerId
    task: TaskId
    state: ContainerState
    exit_code: int | None
    started_at: float | None
    pid: int
    address: str
    stop_signal: int
    pod: str = ""
    """The engine's id of its pod."""

    @property
    def running(self) -> bool:
        return self.state is ContainerState.RUNNING


def state_of(word: str) -> ContainerState:
    """The engine knows more states; what is between two of ours counts as the one it comes from."""
    if word in ("created", "configured", "initialized"):
        return ContainerState.CREATED
    if word in ("running", "paused", "stopping"):
        return ContainerState.RUNNING
    return ContainerState.EXITED


def look_of(inspected: Mapping[str, Any]) -> Look:
    """From the engine's answer to an inspection."""
    state = inspected["State"]
    seen = state_of(state["Status"])
    networks = (inspected["NetworkSettings"].get("Networks") or {}).values()
    addresses = [network["IPAddress"] for network in networks if network.get("IPAddress")]
    labels = inspected["Config"].get("Labels") or {}
    stop_signal = inspected["Config"].get("StopSignal") or 15
    return Look(
        id=ContainerId(inspected["Id"]),
        task=TaskId(labels.get(TASK_LABEL, "")),
        state=seen,
        exit_code=int(state["ExitCode"]) if seen is ContainerState.EXITED else None,
        started_at=wall_time(state["StartedAt"]),
        pid=int(state["Pid"]),
        address=addresses[0] if addresses else _address_without_network(inspected),
        stop_signal=int(stop_signal),
        pod=inspected.get("Pod") or "",
    )


def _address_without_network(inspected: Mapping[str, Any]) -> str:
    """A container in its host's own network answers where the host does."""
    mode = (inspected.get("HostConfig") or {}).get("NetworkMode")
    return LOOPBACK if mode == "host" else ""


def wall_time(text: str) -> float | None:
    moment = datetime.fromisoformat(text)
    return None if moment.year == _NEVER_YEAR else moment.timestamp()


class Ledger:
    def __init__(self) -> None:
        self._looks: dict[ContainerId, Look] = {}

    def last(self, container_id: ContainerId) -> Look | None:
        return self._looks.get(container_id)

    def observe(self, look: Look) -> list[ContainerEvent]:
        """The events between the last look at this container and this one."""
        before = self._looks.get(look.id)
        self._looks[look.id] = look
        same_run = before is not None and before.started_at == look.started_at
        was_running = before is not None and before.running
        events = []
        if was_running and not same_run:
            events.append(ContainerEvent(look.id, look.task, EventKind.EXITED, None))
        if look.running and not (same_run and was_running):
            events.append(ContainerEvent(look.id, look.task, EventKind.STARTED))
        if look.state is ContainerState.EXITED and before is not None and not (same_run and not was_running):
            if not same_run:
                events.append(ContainerEvent(look.id, look.task, EventKind.STARTED))
            events.append(ContainerEvent(look.id, look.task, EventKind.EXITED, look.exit_code))
        return events

    def gone(self, container_id: ContainerId) -> list[ContainerEvent]:
        """The engine doesn't know it any more."""
        before = self._looks.pop(container_id, None)
        if before is None or not before.running:
            return []
        return [ContainerEvent(container_id, before.task, EventKind.EXITED, None)]

    def looks(self) -> list[Look]:
        return list(self._looks.values())

    def known(self) -> frozenset[ContainerId]:
        return frozenset(self._looks)

    def agrees(self, container_id: ContainerId, state: ContainerState, started_at_s: int) -> bool:
        """Whether a row of the engine's list (whole seconds) tells nothing that the last look didn't."""
        before = self._looks.get(container_id)
        if before is None or before.state is not state:
            return False
        return state is ContainerState.CREATED or int(before.started_at or 0) == started_at_s

    def worth_a_look(self, container_id: ContainerId, action: str, at: float) -> bool:
        """Whether the engine's event tells of something that was not seen yet."""
        before = self._looks.get(container_id)
        if before is None or before.started_at is None:
            return True
        if action == "died":
            return before.running and at >= before.started_at
        # Its start event is written a few milliseconds after a container's recorded start.
        return not before.running or at - before.started_at > 1.0
