"""The ledger: events follow from two looks at a container, never from a late word of the engine."""

import pytest

from swarmlet.model.ids import TaskId
from swarmlet.runtime.interface import ContainerEvent, ContainerId, ContainerState, EventKind
from swarmlet.runtime.podman.ledger import Ledger, Look, look_of, state_of

ID = ContainerId("c1")
TASK = TaskId("t1")


def created() -> Look:
    return Look(ID, TASK, ContainerState.CREATED, None, None, 0, "", 15)


def running(since: float) -> Look:
    return Look(ID, TASK, ContainerState.RUNNING, None, since, 42, "10.88.0.2", 15)


def exited(since: float, exit_code: int) -> Look:
    return Look(ID, TASK, ContainerState.EXITED, exit_code, since, 0, "", 15)


STARTED = ContainerEvent(ID, TASK, EventKind.STARTED)


def ended(exit_code: int | None) -> ContainerEvent:
    return ContainerEvent(ID, TASK, EventKind.EXITED, exit_code)


def told(*looks: Look) -> list[ContainerEvent]:
    ledger = Ledger()
    return [event for look in looks for event in ledger.observe(look)]


@pytest.mark.parametrize(
    ("looks", "events"),
    [
        ([created(), running(1.0), exited(1.0, 3)], [STARTED, ended(3)]),
        ([created(), running(1.0), running(1.0)], [STARTED]),
        ([created(), exited(1.0, 0)], [STARTED, ended(0)]),
        ([running(1.0), running(2.0)], [STARTED, ended(None), STARTED]),
        ([running(1.0), exited(2.0, 5)], [STARTED, ended(None), STARTED, ended(5)]),
        ([exited(1.0, 3), exited(1.0, 3)], []),
        ([exited(1.0, 3), running(2.0)], [STARTED]),
        ([created()], []),
    ],
)
def test_each_transition_is_told_once_in_order(looks: list[Look], events: list[ContainerEvent]) -> None:
    assert told(*looks) == events


def test_a_running_container_that_is_gone_has_ended() -> None:
    ledger = Ledger()
    ledger.observe(running(1.0))

    assert ledger.gone(ID) == [ended(None)]
    assert ledger.gone(ID) == []


def test_a_late_word_of_an_earlier_end_is_not_worth_a_look() -> None:
    ledger = Ledger()
    ledger.observe(running(100.0))

    assert not ledger.worth_a_look(ID, "died", at=99.9)
    assert ledger.worth_a_look(ID, "died", at=100.5)
    assert not ledger.worth_a_look(ID, "start", at=100.002)
    assert ledger.worth_a_look(ContainerId("another"), "start", at=1.0)


def test_an_end_that_was_seen_is_not_looked_at_again() -> None:
    ledger = Ledger()
    ledger.observe(running(100.0))
    ledger.observe(exited(100.0, 1))

    assert not ledger.worth_a_look(ID, "died", at=100.5)
    assert ledger.worth_a_look(ID, "start", at=101.0)


def test_a_row_of_the_list_agrees_by_state_and_whole_seconds() -> None:
    ledger = Ledger()
    ledger.observe(running(100.7))

    assert ledger.agrees(ID, ContainerState.RUNNING, 100)
    assert not ledger.agrees(ID, ContainerState.RUNNING, 101)
    assert not ledger.agrees(ID, ContainerState.EXITED, 100)


def test_a_look_is_read_from_an_inspection() -> None:
    inspected = {
        "Id": "c1",
        "State": {"Status": "running", "ExitCode": 0, "Pid": 42, "StartedAt": "1970-01-01T00:00:01.5Z"},
        "NetworkSettings": {"Networks": {"podman": {"IPAddress": "10.88.0.2"}}},
        "Config": {"Labels": {"io.swarmlet.task": "t1"}, "StopSignal": 15},
    }

    assert look_of(inspected) == running(1.5)


def test_the_engines_other_states_count_as_one_of_ours() -> None:
    assert state_of("stopping") is ContainerState.RUNNING
    assert state_of("configured") is ContainerState.CREATED
    assert state_of("stopped") is ContainerState.EXITED
