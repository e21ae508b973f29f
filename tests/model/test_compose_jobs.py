"""Jobs in Compose files: `x-swarmlet: job` and Docker Swarm's job modes."""

import pytest
from compose_builders import parse, the_error

from swarmlet.model.job import Concurrency, JobPolicy
from swarmlet.model.spec import Mode, RestartCondition, ServiceSpec


def work(lines: str) -> ServiceSpec:
    return parse(f"services:\n  work:\n    image: a\n{lines}").spec.services["work"]


def test_swarms_job_modes_make_a_job_of_as_many_completions_as_replicas() -> None:
    spec = work("    deploy: {mode: replicated-job, replicas: 5}\n")
    assert spec.job == JobPolicy(completions=5)
    assert spec.template.restart.condition is RestartCondition.NEVER

    spec = work("    deploy: {mode: global-job}\n")
    assert (spec.mode, spec.job) == (Mode.GLOBAL, JobPolicy())


def test_a_section_says_all_that_compose_cannot() -> None:
    spec = work(
        "    x-swarmlet:\n      job:\n        completions: 10\n        parallelism: 3\n        retries: 5\n"
        "        backoff: 2s\n        deadline: 1h\n        schedule: '30 2 * * *'\n        time_zone: Europe/Berlin\n"
        "        concurrency: replace\n        history: {succeeded: 3, failed: 20}\n"
    )
    assert spec.job == JobPolicy(
        completions=10,
        parallelism=3,
        retries=5,
        backoff_s=2,
        deadline_s=3600,
        schedule="30 2 * * *",
        time_zone="Europe/Berlin",
        concurrency=Concurrency.REPLACE,
        history_succeeded=3,
        history_failed=20,
    )


def test_a_service_without_either_is_no_job() -> None:
    assert work("    restart: on-failure\n").job is None


@pytest.mark.parametrize(
    ("lines", "retries"),
    [
        ("", 3),
        ("    restart: 'no'\n", 0),
        ("    restart: on-failure:7\n", 7),
        ("    restart: on-failure\n", 3),
        ("    restart: on-failure:7\n    x-swarmlet: {job: {retries: 0}}\n", 0),
    ],
)
def test_a_restart_policy_says_how_often_it_is_tried_again(lines: str, retries: int) -> None:
    job = work(f"    deploy: {{mode: replicated-job}}\n{lines}").job
    assert job is not None and job.retries == retries


def test_always_is_warned_of() -> None:
    parsed = parse("services:\n  work:\n    image: a\n    restart: always\n    x-swarmlet: {job: {}}\n")
    (warning,) = parsed.warnings
    assert "has no effect on a job" in str(warning)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("    x-swarmlet: {job: {completions: 0}}\n", "write 1 to 10000"),
        ("    x-swarmlet: {job: {schedule: '* * *'}}\n", "'* * *' is no schedule (wrong number of fields), write five"),
        (
            "    x-swarmlet: {job: {schedule: '@daily', time_zone: Mars}}\n",
            "'Mars' is no time zone, write one like UTC",
        ),
        ("    x-swarmlet: {job: {time_zone: UTC}}\n", "only means something beside a schedule"),
        ("    x-swarmlet: {job: {schedule: '@daily', concurrency: none}}\n", "write allow or forbid or replace"),
        ("    deploy: {replicas: 2}\n    x-swarmlet: {job: {completions: 3}}\n", "says something else than replicas"),
        (
            "    deploy: {mode: global-job}\n    x-swarmlet: {job: {completions: 3}}\n",
            "once on every node, remove this",
        ),
        ("    deploy: {mode: replicated-job, replicas: 0}\n", "a job without completions does nothing"),
        ("    x-swarmlet: {job: {}, autoscale: {max: 3, metrics: []}}\n", "a job has no replicas to scale"),
        ("    x-swarmlet: {job: {}, pod: together}\n", "a job's tasks stand alone (yet), remove 'pod'"),
        ("    x-swarmlet: {job: {retry: 1}}\n", "unknown key, write 'retries'"),
    ],
)
def test_what_cannot_be_is_refused(lines: str, message: str) -> None:
    assert message in str(the_error(f"services:\n  work:\n    image: a\n{lines}"))
