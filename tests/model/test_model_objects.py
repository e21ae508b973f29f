"""Objects survive their way through the log and the records."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from swarmlet.model.frozen import decode, encode
from swarmlet.model.ids import NodeId, RevisionHash, ServiceId, StackName, TaskId, service_id
from swarmlet.model.job import Cause, JobPolicy, JobRun, RunId
from swarmlet.model.objects import Desired, Service, Task
from swarmlet.model.spec import (
    CommandProbe,
    HealthCheck,
    HttpProbe,
    Mount,
    MountKind,
    Probe,
    PublishedPort,
    Resources,
    ServiceSpec,
    TaskTemplate,
    TcpProbe,
)
from swarmlet.model.state import ClusterState

FULL = TaskTemplate(
    image="web:1",
    command=("serve", "--port", "80"),
    entrypoint=(),
    environment={"A": "1"},
    ports=(PublishedPort(target=80, published=8080),),
    mounts=(Mount(kind=MountKind.VOLUME, target="/data", source="data"),),
    limits=Resources(cpus=0.5, memory_bytes=1 << 20),
)


def a_task() -> Task:
    return Task(
        id=TaskId("t1"), service=service_id(StackName("s"), "w"), slot=1, node=NodeId("n1"),
        revision=FULL.revision(), template=FULL, created_at=1.0, desired=Desired.RUN,
    )  # fmt: skip


@pytest.mark.parametrize("probe", [CommandProbe(argv=("true",)), HttpProbe(port=80), TcpProbe(port=80)])
def test_a_service_is_the_same_after_encoding_and_decoding(probe: Probe) -> None:
    template = FULL.model_copy(update={"health_check": HealthCheck(probe=probe)})
    service = Service(
        id=service_id(StackName("shop"), "web"),
        stack=StackName("shop"),
        spec=ServiceSpec(name="web", template=template),
        revision=template.revision(),
    )

    assert decode(Service, encode(service)) == service


def test_a_cleared_entrypoint_differs_from_the_images_own() -> None:
    cleared, own = TaskTemplate(image="a", entrypoint=()), TaskTemplate(image="a")

    assert decode(TaskTemplate, encode(cleared)).entrypoint == ()
    assert decode(TaskTemplate, encode(own)).entrypoint is None
    assert cleared.revision() != own.revision()


def test_the_order_of_a_mapping_makes_no_new_revision() -> None:
    one = TaskTemplate(image="a", environment={"A": "1", "B": "2"})
    other = TaskTemplate(image="a", environment={"B": "2", "A": "1"})

    assert one.revision() == other.revision()


def test_a_state_follows_puts_and_deletes_and_leaves_unknown_kinds_alone() -> None:
    task = a_task()
    state = ClusterState()

    state.put(task.key, encode(task), 3)
    state.put("futures/x", b"?", 4)

    assert state.tasks_on(NodeId("n1")) == [task]
    assert state.tasks[task.id].revision == 3
    state.delete(task.key, 5)
    assert (state.tasks, state.revision) == ({}, 5)


OBJECTS = st.sampled_from([f"t{number}" for number in range(6)])


@given(st.lists(st.tuples(OBJECTS, st.sampled_from(["n1", "n2", "n3", ""])), max_size=40))
def test_a_nodes_tasks_are_those_that_are_on_record_for_it(changes: list[tuple[str, str]]) -> None:
    """Empty: the task is deleted."""
    state = ClusterState()
    for revision, (name, node) in enumerate(changes, 1):
        task = a_task().model_copy(update={"id": TaskId(name), "node": NodeId(node)})
        if node:
            state.put(task.key, encode(task), revision)
        else:
            state.delete(task.key, revision)

    for found in (state, state.copy()):
        for node in ("n1", "n2", "n3"):
            there = {each.value.id: each.value for each in found.tasks.values() if each.value.node == node}
            assert {each.id: each for each in found.tasks_on(NodeId(node))} == there
            assert len(found.tasks_on(NodeId(node))) == len(there)


def a_run(name: str, service: str, number: int) -> JobRun:
    return JobRun(
        id=RunId(name), service=ServiceId(service), number=number,
        revision=RevisionHash("r"), policy=JobPolicy(), cause=Cause.REQUEST, created_at=1.0,
    )  # fmt: skip


@given(st.lists(st.tuples(OBJECTS, st.sampled_from(["web.one", "web.two", ""]), st.integers(1, 3)), max_size=40))
def test_a_jobs_runs_are_those_that_are_on_record_for_it_the_oldest_first(changes: list[tuple[str, str, int]]) -> None:
    """Empty: the run is deleted."""
    state = ClusterState()
    for revision, (name, service, number) in enumerate(changes, 1):
        run = a_run(name, service, number)
        if service:
            state.put(run.key, encode(run), revision)
        else:
            state.delete(run.key, revision)

    for found in (state, state.copy()):
        for service in ("web.one", "web.two"):
            own = [each for each in found.job_runs.values() if each.value.service == service]
            assert found.runs_of(ServiceId(service)) == sorted(own, key=lambda run: (run.value.number, run.value.id))
