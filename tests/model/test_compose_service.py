"""What each supported key of a service becomes."""

import pytest
from compose_builders import a_file, a_service, a_template, parse, the_error, the_warnings

from swarmlet.model.spec import (
    DependencyCondition,
    Mode,
    RestartCondition,
    RestartPolicy,
    ServiceSpec,
    TaskTemplate,
)


def test_a_service_of_nothing_but_an_image_has_the_models_defaults() -> None:
    assert a_service() == ServiceSpec(name="web", template=TaskTemplate(image="nginx"))


@pytest.mark.parametrize(
    ("written", "argv"),
    [
        ("[nginx, -g, 'daemon off;']", ("nginx", "-g", "daemon off;")),
        ("sh -c 'echo \"a b\"' x\\ y", ("sh", "-c", 'echo "a b"', "x y")),
        ("", None),
        ("null", None),
        ("''", ()),
        ("[]", ()),
    ],
)
def test_command_and_entrypoint(written: str, argv: tuple[str, ...] | None) -> None:
    template = a_template(f"command: {written}\nentrypoint: {written}")

    assert template.command == argv
    assert template.entrypoint == argv


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("no", RestartPolicy(condition=RestartCondition.NEVER)),
        ("'no'", RestartPolicy(condition=RestartCondition.NEVER)),
        ("always", RestartPolicy()),
        ("unless-stopped", RestartPolicy()),
        ("on-failure", RestartPolicy(condition=RestartCondition.ON_FAILURE)),
        ("on-failure:3", RestartPolicy(condition=RestartCondition.ON_FAILURE, attempts_max=3)),
    ],
)
def test_restart(written: str, policy: RestartPolicy) -> None:
    assert a_template(f"restart: {written}").restart == policy


@pytest.mark.parametrize(
    "written", ["{A: 1, B: 'x=y', C: true, D: '', E: null, F: null}", "[A=1, B=x=y, C=true, D=, E, F]"]
)
def test_environment_as_mapping_and_as_list(written: str) -> None:
    template = a_template(f"environment: {written}", {"E": "given"})

    assert template.environment == {"A": "1", "B": "x=y", "C": "true", "D": "", "E": "given"}


@pytest.mark.parametrize("written", ["{a: b, c: 1, d: null}", "[a=b, c=1, d]"])
def test_labels_as_mapping_and_as_list(written: str) -> None:
    assert a_template(f"labels: {written}").labels == {"a": "b", "c": "1", "d": ""}


def test_env_files_in_order_and_environment_over_them() -> None:
    template = a_template(
        """\
        env_file:
          - one.env
          - path: two.env
          - {path: three.env, required: false}
        environment: {C: own}
        """,
        files={"one.env": "A=1\nB=1\nC=1", "two.env": "B=2\nC=2"},
    )

    assert template.environment == {"A": "1", "B": "2", "C": "own"}


def test_an_env_files_path_may_hold_variables() -> None:
    assert a_template("env_file: $STAGE.env", {"STAGE": "test"}, {"test.env": "A=1"}).environment == {"A": "1"}


def test_an_unset_variable_in_an_env_file_warns_with_its_line() -> None:
    (warning,) = parse(a_file("env_file: a.env"), files={"a.env": "A=1\nB=$NOWHERE\n"}).warnings

    assert str(warning).startswith("a.env:2:1: the variable 'NOWHERE' is not set")


def test_the_small_keys() -> None:
    template = a_template(
        """\
        user: app:app
        working_dir: /app
        read_only: true
        cap_add: [NET_ADMIN, cap_sys_time, NET_ADMIN]
        cap_drop: [ALL]
        stop_grace_period: 1m30s
        """
    )

    assert template.user == "app:app"
    assert template.working_dir == "/app"
    assert template.read_only
    assert template.cap_add == ("NET_ADMIN", "SYS_TIME")
    assert template.cap_drop == ("ALL",)
    assert template.stop_grace_period_s == 90


def test_deploy() -> None:
    service = a_service(
        """\
        deploy:
          replicas: "6"
          resources:
            limits: {cpus: '0.50', memory: 512m, pids: 100}
            reservations: {cpus: 0.25, memory: 20M}
        """
    )

    assert (service.mode, service.replicas) == (Mode.REPLICATED, 6)
    limits, reservations = service.template.limits, service.template.reservations
    assert (limits.cpus, limits.memory_bytes, limits.pids) == (0.5, 512 * 2**20, 100)
    assert (reservations.cpus, reservations.memory_bytes) == (0.25, 20 * 2**20)


def test_a_global_service() -> None:
    assert a_service("deploy: {mode: global}").mode is Mode.GLOBAL


def test_an_empty_deploy_is_none() -> None:
    assert a_service("deploy:") == a_service()


def test_a_change_of_replicas_is_no_change_of_the_template() -> None:
    few, many = a_template("deploy: {replicas: 1}"), a_template("deploy: {replicas: 9}")

    assert few.revision() == many.revision()


def test_dependencies_as_list_and_as_mapping() -> None:
    services = parse(
        """\
        services:
          web:
            image: x
            depends_on: [db, cache]
          job:
            image: x
            depends_on:
              db: {condition: service_healthy}
              cache: {condition: service_started, required: true}
              absent: {condition: service_started, required: false}
          cache: {image: x}
          db: {image: x, healthcheck: {test: "true"}}
        """
    ).spec.services

    started, healthy = DependencyCondition.STARTED, DependencyCondition.HEALTHY
    assert services["web"].depends_on == {"db": started, "cache": started}
    assert services["job"].depends_on == {"db": healthy, "cache": started}


def test_a_service_whose_end_others_wait_for_ends_unless_it_is_written_otherwise() -> None:
    text = """
        services:
          migrate: {image: x}
          seed: {image: x, restart: on-failure}
          web:
            image: x
            depends_on:
              migrate: {condition: service_completed_successfully}
              seed: {condition: service_completed_successfully, required: false, restart: true}
        """
    services = parse(text).spec.services
    assert services["web"].depends_on == {name: DependencyCondition.COMPLETED for name in ("migrate", "seed")}
    assert services["web"].optional_dependencies == services["web"].restarts_with == ("seed",)
    assert services["migrate"].template.restart.condition is RestartCondition.NEVER
    assert services["seed"].template.restart.condition is RestartCondition.ON_FAILURE


def test_nobody_waits_for_the_end_of_what_never_ends() -> None:
    text = """
        services:
          web: {image: x, depends_on: {db: {condition: service_completed_successfully}}}
          db: {image: x, restart: always}
        """
    error = the_error(text)
    assert error.key_path == "services.web.depends_on.db"
    assert "db is started again whenever it ends" in error.message


def test_waiting_for_the_health_of_a_service_without_check_warns() -> None:
    text = "services:\n  a: {image: x, depends_on: {b: {condition: service_healthy}}}\n  b: {image: x}\n"

    assert "b has no health check and counts as healthy" in the_warnings(text)[0]


def test_version_and_a_deviating_name_are_accepted_with_warnings() -> None:
    first, second = the_warnings("version: '3'\nname: other\nservices: {web: {image: x}}\n")

    assert first.startswith("compose.yaml:1:1: version: obsolete, remove it")
    assert second.startswith("compose.yaml:2:7: name: the stack is deployed as 'shop', not as 'other'")


def test_a_name_that_agrees_is_fine() -> None:
    assert the_warnings("name: shop\nservices: {web: {image: x}}\n") == []


def test_old_booleans_are_read_with_a_warning() -> None:
    parsed = parse(a_file("read_only: yes"))

    assert parsed.spec.services["web"].template.read_only
    assert "write true" in str(parsed.warnings[0])


def test_a_pod_is_named_as_services_are() -> None:
    assert a_template("x-swarmlet: {pod: front}").pod == "front"
    assert a_template().pod == ""
    assert "'Front' is no name for a pod" in the_error(a_file("x-swarmlet: {pod: Front}")).message
