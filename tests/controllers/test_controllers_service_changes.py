"""What a deploy changes, field by field, without giving any secret away."""

import base64

from controllers_builders import APP

from swarmlet.controllers.service_changes import HIDDEN, TEXT_CHARS_MAX, Action, ServiceChange, service_changes
from swarmlet.model.container import FileMount
from swarmlet.model.ids import StackName
from swarmlet.model.objects import Service
from swarmlet.model.spec import HealthCheck, PublishedPort, ServiceSpec, TaskTemplate, TcpProbe
from swarmlet.model.state import Versioned


def a_service(replicas: int = 1, **template: object) -> Versioned[Service]:
    made = TaskTemplate.model_validate({"image": "web:1", **template})
    spec = ServiceSpec(name="app", template=made, replicas=replicas)
    return Versioned(Service(id=APP, stack=StackName("web"), spec=spec, revision=made.revision()), 1)


def the_change(before: Versioned[Service] | None, after: Versioned[Service] | None) -> ServiceChange:
    def mapping(each: Versioned[Service] | None) -> dict:  # type: ignore[type-arg]
        return {APP: each} if each else {}

    (change,) = service_changes(mapping(before), mapping(after))
    return change


def fields(before: Versioned[Service], after: Versioned[Service]) -> list[tuple[str, str | None, str | None]]:
    return [(each.key, each.before, each.after) for each in the_change(before, after).fields]


def a_file(content: bytes, secret: bool) -> FileMount:
    return FileMount(target="/run/x", content_base64=base64.b64encode(content).decode(), secret=secret)


def test_services_are_added_removed_and_left_alone() -> None:
    assert the_change(None, a_service()).action is Action.ADD
    assert the_change(a_service(), None).action is Action.REMOVE
    assert the_change(a_service(), a_service()).action is Action.UNCHANGED


def test_a_change_of_number_replaces_no_task() -> None:
    change = the_change(a_service(1), a_service(3))

    assert (change.action, change.replaces_tasks) == (Action.CHANGE, False)
    assert [(each.key, each.before, each.after) for each in change.fields] == [("deploy.replicas", "1", "3")]


def test_a_change_of_the_template_replaces_tasks() -> None:
    change = the_change(a_service(), a_service(image="web:2"))

    assert change.replaces_tasks
    assert [(each.key, each.before, each.after) for each in change.fields] == [("image", "web:1", "web:2")]


def test_fields_are_called_as_in_a_compose_file() -> None:
    check = HealthCheck(probe=TcpProbe(port=80))
    slower = check.model_copy(update={"interval_s": 60.0})

    assert fields(a_service(health_check=check), a_service(health_check=slower)) == [
        ("healthcheck.interval_s", "30.0", "60.0")
    ]
    assert fields(a_service(), a_service(limits={"memory_bytes": 9})) == [
        ("deploy.resources.limits.memory_bytes", "0", "9")
    ]


def test_items_of_lists_are_told_apart() -> None:
    one, two = (PublishedPort(target=80, published=port) for port in (8080, 8081))

    ((key, before, after),) = fields(a_service(ports=(one,)), a_service(ports=(one, two)))

    assert (key, before) == ("ports.8081", None)
    assert after and '"published": 8081' in after


def test_contents_of_secrets_are_shown_in_no_way() -> None:
    before, after = (a_service(files=(a_file(text, secret=True),)) for text in (b"hunter2", b"hunter3"))

    ((key, old, new),) = fields(before, after)

    assert key == "files./run/x"
    assert old == f"secret, owner 0:0, mode 0444, contents {HIDDEN}"
    assert new == f"{old}, another"


def test_contents_of_configs_are_told_by_size_and_digest() -> None:
    before, after = (a_service(files=(a_file(text, secret=False),)) for text in (b"one", b"other"))

    ((_, old, new),) = fields(before, after)

    assert old and new and "3 bytes, sha256" in old and "5 bytes, sha256" in new
    assert base64.b64encode(b"other").decode() not in new


def test_variables_that_sound_like_secrets_are_hidden() -> None:
    before = a_service(environment={"DB_PASSWORD": "one", "MODE": "a", "URL": "pg://me:pass@db/x", "API_TOKEN": "t"})
    after = a_service(environment={"DB_PASSWORD": "two", "MODE": "b", "URL": "pg://me:word@db/y"})

    assert fields(before, after) == [
        ("environment.DB_PASSWORD", HIDDEN, f"{HIDDEN}, another"),
        ("environment.MODE", "a", "b"),
        ("environment.URL", f"pg://me:{HIDDEN}@db/x", f"pg://me:{HIDDEN}@db/y"),
        ("environment.API_TOKEN", HIDDEN, None),
    ]


def test_a_long_value_is_cut() -> None:
    ((_, _, new),) = fields(a_service(), a_service(environment={"A": "x" * 10_000}))

    assert new and len(new) == TEXT_CHARS_MAX
