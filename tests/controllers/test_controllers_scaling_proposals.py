"""How many replicas a metric asks for: Kubernetes' replica calculator, sentence by sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlet.controllers.scaling_proposals import Proposal, ScaledTask, proposals
from swarmlet.model.autoscale import Autoscale, PrometheusMetric
from swarmlet.model.spec import Resources, TaskTemplate
from swarmlet.model.usage import TaskUsage

TEMPLATE = TaskTemplate(image="web:1", reservations=Resources(cpus=0.1, memory_bytes=1000))
OF_CPU = Autoscale(replicas_max=100, cpu_percent=50)
QUEUE = PrometheusMetric(port=80, name="waiting", target_average=10)
OF_QUEUE = Autoscale(replicas_max=100, metrics=(QUEUE,))


def a_task(cpu_milli: int | None, *, ready: bool = True, template: TaskTemplate = TEMPLATE) -> ScaledTask:
    return ScaledTask(template, ready, None if cpu_milli is None else TaskUsage(cpu_milli, 100))


def waiting(value: float | None, problem: str = "") -> ScaledTask:
    return ScaledTask(TEMPLATE, True, TaskUsage(0, 0, {} if value is None else {QUEUE.key: value}, problem))


def the_proposal(scaling: Autoscale, tasks: list[ScaledTask], current: int | None = None) -> Proposal:
    (found,) = proposals(scaling, len(tasks) if current is None else current, TEMPLATE, tasks)
    return found


@pytest.mark.parametrize(
    ("milli", "replicas"),
    [
        ([100, 100], 4),  # twice the target of 50: twice as many
        ([54, 55], 2),  # within the tolerance
        ([56, 56], 3),
        ([46, 45], 2),
        ([20, 20], 1),
        ([0, 0], 0),
        ([100, 0], 2),  # the average counts
        ([50, 50, 1], 3),
    ],
)
def test_the_ratio_to_the_target_times_the_tasks_rounded_up(milli: list[int], replicas: int) -> None:
    assert the_proposal(OF_CPU, [a_task(each) for each in milli]).replicas == replicas


def test_it_says_what_it_saw() -> None:
    assert the_proposal(OF_CPU, [a_task(80), a_task(60)]).why == (
        "cpu 70 % on average over 2 tasks, target 50 % -> 3 replicas"
    )
    assert the_proposal(OF_QUEUE, [waiting(12.5), waiting(37.5)]).why == (
        "waiting 25 on average over 2 tasks, target 10 -> 5 replicas"
    )


def test_a_task_without_a_figure_is_assumed_idle_where_more_would_be_and_busy_where_fewer_would() -> None:
    up = the_proposal(OF_CPU, [a_task(150), a_task(150), a_task(None)])
    assert up.replicas == 6, "not 9: 300 over three targets of 50"
    down = the_proposal(OF_CPU, [a_task(10), a_task(10), a_task(10), a_task(None)])
    assert down.replicas == 3, "the one counts with all that it reserves: 130 over four targets"
    assert down.why.endswith("(1 without a figure) -> 3 replicas")


def test_a_task_that_is_not_ready_is_assumed_idle_where_more_would_be_and_has_no_say_else() -> None:
    assert the_proposal(OF_CPU, [a_task(150), a_task(999, ready=False)]).replicas == 3
    assert the_proposal(OF_CPU, [a_task(10), a_task(10), a_task(999, ready=False)]).replicas == 1


def test_a_seat_without_a_task_is_like_a_task_that_is_not_ready() -> None:
    assert the_proposal(OF_CPU, [a_task(100)], current=2).replicas == 2, "the second is on its way"
    assert the_proposal(OF_CPU, [a_task(100)], current=1).replicas == 2


def test_assumptions_never_turn_the_direction() -> None:
    many_missing = [a_task(10), *[a_task(None)] * 5]
    assert the_proposal(OF_CPU, many_missing).replicas == 6, "fewer by the one figure, more by the assumptions: stay"
    assert the_proposal(OF_CPU, [a_task(70), *[a_task(None)] * 5]).replicas == 6


def test_a_share_is_of_each_tasks_own_reservation_or_limit() -> None:
    larger = TaskTemplate(image="web:2", limits=Resources(cpus=0.3))

    assert the_proposal(OF_CPU, [a_task(50), a_task(150, template=larger)]).replicas == 2
    assert the_proposal(OF_CPU, [a_task(50), a_task(9_999, template=TaskTemplate(image="web:0"))]).replicas == 2


def test_without_any_figure_nothing_is_proposed_and_why_is_said() -> None:
    assert the_proposal(OF_CPU, [a_task(None)]) == Proposal("cpu", None, "cpu: no figure of any of 1 ready task yet")
    assert the_proposal(OF_CPU, [a_task(5, ready=False)]).why == "cpu: no task is ready"
    troubled = the_proposal(OF_QUEUE, [waiting(None, "GET /metrics answered 404")])
    assert troubled.why == "waiting: no figure of any of 1 ready task: GET /metrics answered 404"


@given(
    milli=st.lists(st.integers(0, 1_000), min_size=1, max_size=20),
    unready=st.integers(0, 5),
    missing=st.integers(0, 5),
)
def test_what_is_not_known_only_ever_dampens(milli: list[int], unready: int, missing: int) -> None:
    known = [a_task(each) for each in milli]
    unknown = [a_task(None)] * missing + [a_task(None, ready=False)] * unready
    current = len(known) + len(unknown)

    plain = the_proposal(OF_CPU, known).replicas
    dampened = the_proposal(OF_CPU, known + unknown).replicas

    assert plain is not None and dampened is not None
    ratio = sum(milli) / (50 * len(milli))
    if ratio > 1.1:
        assert current <= dampened <= max(current, plain)
    elif ratio < 0.9 and not unready:
        assert min(plain, current) <= dampened <= current


T, F = True, False
KUBERNETES = {
    # name: current, target in percent, levels of those measured (milli), readiness of all, expected
    "ScaleUp": (3, 30, [300, 500, 700], [T, T, T], 5),
    "ScaleUpUnreadyLessScale": (3, 30, [300, 500, 700], [F, T, T], 4),
    "ScaleUpUnreadyNoScale": (3, 30, [400, 500, 700], [T, F, F], 3),
    "ScaleUpIgnoresFailedPods": (2, 30, [500, 700], [T, T], 4),
    "ScaleDown": (5, 50, [100, 300, 500, 250, 250], [T] * 5, 3),
    "ScaleDownIncludeUnreadyPods": (5, 50, [100, 300, 500, 250, 250], [T, T, T, F, F], 2),
    "ScaleDownExcludeUnscheduledPods": (5, 50, [100], [T, F, F, F, F], 1),
    "MissingMetrics": (4, 100, [400, 95], [T] * 4, 3),
    "MissingMetricsNoChangeEq": (2, 100, [1000], [T, T], 2),
    "MissingMetricsNoChangeGt": (2, 100, [1900], [T, T], 2),
    "MissingMetricsNoChangeLt": (2, 100, [600], [T, T], 2),
    "MissingMetricsUnreadyChange": (3, 50, [100, 450], [F, T, T], 3),
    "MissingMetricsUnreadyScaleUp": (3, 50, [100, 2000], [F, T, T], 4),
    "MissingMetricsUnreadyScaleDown": (4, 50, [100, 100, 100], [F, T, T, T], 3),
    "DuringRollingUpdateWithMaxSurge": (2, 50, [100, 100], [T, T, T], 2),
}
"""Figures of the cases of Kubernetes' own replica_calculator_test.go, each task with one processor reserved."""


@pytest.mark.parametrize("case", KUBERNETES)
def test_the_same_is_proposed_as_by_kubernetes(case: str) -> None:
    current, percent, levels, readiness, expected = KUBERNETES[case]
    whole = TaskTemplate(image="web:1", reservations=Resources(cpus=1))
    measured: list[int | None] = [*levels, *[None] * (len(readiness) - len(levels))]
    tasks = [a_task(level, ready=ready, template=whole) for level, ready in zip(measured, readiness, strict=True)]

    (found,) = proposals(Autoscale(replicas_max=100, cpu_percent=percent), current, whole, tasks)

    assert found.replicas == expected


@pytest.mark.parametrize(
    ("target", "levels", "expected"),
    [(15, [20, 10, 30], 4), (20, [12] * 5, 3), (20, [20, 21, 21], 3)],
    ids=["ScaleUpCM", "ScaleDownCM", "ToleranceCM"],
)
def test_also_by_metrics_of_the_tasks_own(target: float, levels: list[float], expected: int) -> None:
    metric = QUEUE.model_copy(update={"target_average": target})

    assert the_proposal(
        Autoscale(replicas_max=100, metrics=(metric,)), [waiting(each) for each in levels]
    ).replicas == (expected)
