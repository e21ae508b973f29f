"""The autoscaler over time: a cluster whose service is under load, deploys beside it, and leaders that come and go."""

from copy import deepcopy
from itertools import pairwise
from random import Random

import pytest
from controllers_builders import APP, a_service, a_stack
from hypothesis import given, settings
from hypothesis import strategies as st
from scaling_builders import LOOK_S, ScaledCluster, a_scaled_stack, by_cpu

from swarmlet.controllers import rollout_commands, stacks
from swarmlet.controllers.autoscaling import CHANGES_KEPT_MAX, SETTLE_S
from swarmlet.controllers.stack_errors import AutoscaledNotScalable
from swarmlet.model.autoscale import PrometheusMetric, ScalePolicy, ScalingRules
from swarmlet.model.ids import StackName
from swarmlet.model.observed import Liveness

SHORT = ScalingRules(stabilization_s=30, policies=(ScalePolicy(percent=100),))
FAST = by_cpu(scale_down=SHORT)
"""Targets of 50 of 100 milli a task; half a minute until it scales down."""


def test_a_service_follows_its_load_up_at_once_and_down_after_the_window() -> None:
    cluster = ScaledCluster.with_service(FAST)

    cluster.live(60, load_milli=300)
    assert cluster.replicas == 6
    assert len(cluster.ready()) == 6
    cluster.live(20, load_milli=90)
    assert cluster.replicas == 6, "within the window"
    cluster.live(30, load_milli=90)

    assert cluster.replicas == 2
    cluster.settle()
    assert len(cluster.ready()) == 2


def test_no_more_than_the_policies_allow_at_a_time() -> None:
    cluster = ScaledCluster.with_service(by_cpu(replicas_max=100))

    cluster.live(60, load_milli=4_000)

    steps = [number for number, before in zip(cluster.counts, [1, *cluster.counts], strict=False) if number != before]
    assert steps == [5, 10, 20, 40]


def test_what_a_new_service_begins_with_stays_for_a_window() -> None:
    cluster = ScaledCluster.with_service(FAST, replicas=5)

    cluster.live(25, load_milli=50)
    assert cluster.replicas == 5
    cluster.live(15, load_milli=50)

    assert cluster.replicas == 1


def test_bounds_hold_whatever_the_metrics_say_and_at_once() -> None:
    cluster = ScaledCluster.with_service(by_cpu(replicas_min=2, replicas_max=4), replicas=2)
    cluster.live(120, load_milli=10_000)
    assert cluster.replicas == 4

    cluster.deploy(a_scaled_stack(by_cpu(replicas_min=6, replicas_max=8)))

    assert cluster.replicas == 6, "the deploy itself brings it within the new bounds"


def test_without_figures_nothing_changes_and_the_window_begins_anew() -> None:
    cluster = ScaledCluster.with_service(FAST)
    cluster.live(60, load_milli=300)
    cluster.live(25, load_milli=50)
    cluster.silent = {task.id for task in cluster.running()}
    for _ in range(20):
        cluster.now += LOOK_S
        cluster.publish_usage(lambda _: None)
        cluster.reconcile()
    assert cluster.replicas == 6
    assert cluster.assess().reasons == (
        "cpu: no figure of any of 6 ready tasks yet",
        "without any figure the number stays",
    )

    cluster.silent = set()
    cluster.live(25, load_milli=50)
    assert cluster.replicas == 6, "nobody saw a low load for a whole window"
    cluster.live(15, load_milli=50)

    assert cluster.replicas == 1


def test_while_nobody_led_nobody_saw_a_low_load_and_the_window_begins_anew() -> None:
    cluster = ScaledCluster.with_service(FAST)
    cluster.live(60, load_milli=300)
    cluster.live(20, load_milli=50)

    cluster.now += 600
    cluster.live(25, load_milli=50)
    assert cluster.replicas == 6
    cluster.live(15, load_milli=50)

    assert cluster.replicas == 1


def test_a_slow_policy_goes_step_by_step_and_waits_for_no_further_window() -> None:
    slowly = ScalingRules(stabilization_s=30, policies=(ScalePolicy(tasks=1, period_s=120),))
    cluster = ScaledCluster.with_service(by_cpu(scale_down=slowly))
    cluster.live(180, load_milli=250)
    assert cluster.replicas == 5
    cluster.counts.clear()

    cluster.live(450, load_milli=50)

    kept_s = {number: cluster.counts.count(number) * LOOK_S for number in (4, 3, 2)}
    assert kept_s == {4: 120, 3: 120, 2: 120}


def test_while_one_metric_cannot_be_had_nothing_is_scaled_down_but_up_it_is() -> None:
    queue = PrometheusMetric(port=80, name="waiting", target_average=10)
    cluster = ScaledCluster.with_service(FAST.model_copy(update={"metrics": (queue,)}), replicas=3)

    cluster.live(120, load_milli=10)
    assert cluster.replicas == 3
    assert "while a metric can't be had nothing is scaled down" in cluster.assess().reasons
    cluster.live(30, load_milli=300)

    assert cluster.replicas == 6


def test_figures_of_a_node_that_is_not_alive_do_not_count() -> None:
    cluster = ScaledCluster.with_service(FAST, replicas=3)
    cluster.measure(lambda _: 100)
    assert cluster.assess().wanted == 6

    cluster.set_liveness("n1", Liveness.SUSPECT)

    assert cluster.assess().proposals[0].why == (
        "cpu 100 % on average over 2 tasks, target 50 % (1 without a figure) -> 4 replicas"
    )


def test_a_deploy_keeps_the_number_and_a_new_revision_rolls_out_with_it() -> None:
    cluster = ScaledCluster.with_service(FAST)
    cluster.live(60, load_milli=300)

    unchanged = stacks.deploy(cluster.state, a_scaled_stack(FAST), cluster.now)
    cluster.deploy(a_scaled_stack(FAST, version="2"))

    assert unchanged.operations == ()
    assert cluster.replicas == 6
    cluster.settle()
    assert {task.template.image for task in cluster.ready()} == {"web:2"}
    assert len(cluster.ready()) == 6


def test_one_that_was_scaled_by_hand_keeps_its_number_and_one_that_is_no_more_autoscaled_gets_the_files() -> None:
    cluster = ScaledCluster.of("n1")
    cluster.deploy(a_stack(a_service(replicas=7)))
    cluster.deploy(a_scaled_stack(FAST))
    assert cluster.replicas == 7
    cluster.settle()
    assert APP in cluster.state.autoscaling

    cluster.deploy(a_stack(a_service(replicas=3)))
    cluster.settle()

    assert cluster.replicas == 3
    assert APP not in cluster.state.autoscaling, "what was known of it is forgotten"


def test_a_removed_service_leaves_nothing_behind() -> None:
    cluster = ScaledCluster.with_service(FAST)

    assert cluster.commit(stacks.remove(cluster.state, StackName("web")))
    cluster.settle()

    assert cluster.state.autoscaling == {}


def test_by_hand_it_is_not_scaled_and_what_to_do_is_said() -> None:
    cluster = ScaledCluster.with_service(by_cpu(replicas_min=2, replicas_max=4), replicas=2)

    with pytest.raises(AutoscaledNotScalable, match=r"between 2 and 4: change 'min' and 'max' at 'x-swarmlet"):
        stacks.scale(cluster.state, APP, 3)


def test_why_it_was_scaled_is_kept_for_the_last_times() -> None:
    cluster = ScaledCluster.with_service(FAST)
    for _ in range(CHANGES_KEPT_MAX):
        cluster.live(60, load_milli=300)
        cluster.live(60, load_milli=50)

    changes = cluster.record.changes
    assert len(changes) == CHANGES_KEPT_MAX
    up = [change for change in changes if change.after > change.before]
    assert up[-1].why.startswith("cpu ")


def test_a_steady_load_is_not_written_down_again_and_again() -> None:
    cluster = ScaledCluster.with_service(FAST)
    cluster.live(120, load_milli=300)
    revision = cluster.store.revision

    cluster.live(600, load_milli=300)

    assert cluster.store.revision == revision


def test_a_load_that_is_never_the_same_is_written_at_most_as_often_as_it_is_measured() -> None:
    cluster = ScaledCluster.with_service(by_cpu())
    cluster.live(60, load_milli=400)
    revision = cluster.store.revision

    for turn in range(40):
        cluster.now += 1
        cluster.measure(lambda ready: (400, 200)[turn % 2] / ready)  # noqa: B023
        cluster.reconcile()

    assert cluster.store.revision - revision <= 40 / SETTLE_S + 1


LOADS = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 1_000)), min_size=1, max_size=6)
"""So many looks at so much load."""


@settings(max_examples=25, deadline=None)
@given(LOADS, st.integers(1, 4), st.integers(0, 8), st.sampled_from([0, 15, 60, 300]))
def test_bounds_and_windows_hold_whatever_the_load(
    loads: list[tuple[int, int]], least: int, more: int, window_s: int
) -> None:
    down = SHORT.model_copy(update={"stabilization_s": window_s})
    cluster = ScaledCluster.with_service(by_cpu(least + more, least, scale_down=down), replicas=least)
    wanted: list[tuple[float, int]] = [(cluster.now, least)]
    for looks, load in loads:
        for _ in range(looks):
            before = cluster.replicas
            cluster.live(LOOK_S, load)
            wanted.append((cluster.now, cluster.record.levels[-1].high))
            assert least <= cluster.replicas <= least + more
            if cluster.replicas < before:
                recent = [number for at, number in wanted if at > cluster.now - window_s]
                assert cluster.replicas >= max(recent, default=0), "more was recommended within the window"


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 900), st.integers(1, 10), st.sampled_from([0.0, 0.03]), st.integers())
def test_a_constant_load_comes_to_rest(load: int, replicas: int, noise: float, seed: int) -> None:
    cluster = ScaledCluster.with_service(by_cpu(replicas_max=20, scale_down=SHORT), replicas=replicas)
    cluster.live(150, load)
    settled, random = cluster.replicas, Random(seed)

    for _ in range(40):
        cluster.live(LOOK_S, load * random.uniform(1 - noise, 1 + noise))

    numbers = [settled, *cluster.counts[-40:]]
    changes = [other - one for one, other in pairwise(numbers) if one != other]
    assert len(changes) <= (noise > 0), "noise may draw it over the tolerance's edge once, and never back"


@settings(max_examples=15, deadline=None)
@given(LOADS)
def test_a_new_leader_after_every_transaction_chooses_the_same_numbers(loads: list[tuple[int, int]]) -> None:
    """It knows what is agreed and what is observed, and nothing else."""
    steady = ScaledCluster.with_service(FAST)
    troubled = deepcopy(steady)

    for looks, load in loads:
        for _ in range(looks):
            steady.live(LOOK_S, load)
            troubled.now += LOOK_S
            troubled.measure(lambda ready: load / max(ready, 1))  # noqa: B023
            for _ in range(4):
                moved = False
                while transactions := troubled.look().transactions:
                    assert troubled.commit(transactions[0])
                    moved = True
                if not troubled.nodes_act() and not moved:
                    break
            troubled.counts.append(troubled.replicas)

    assert troubled.counts == steady.counts
    assert troubled.record.levels == steady.record.levels


def test_going_back_to_an_old_revision_keeps_the_number() -> None:
    cluster = ScaledCluster.with_service(FAST)
    cluster.deploy(a_scaled_stack(FAST, version="2"))
    cluster.settle()
    cluster.live(60, load_milli=300)

    assert cluster.commit(rollout_commands.rollback(cluster.state, APP, None, cluster.now))
    cluster.settle()

    assert cluster.replicas == 6
    assert {task.template.image for task in cluster.ready()} == {"web:1"}
