"""The example that the README deploys."""

from pathlib import Path

from swarmlet.model.compose import needed_inputs, parse_stack
from swarmlet.model.spec import DependencyCondition, HttpProbe

HELLO = Path(__file__).parents[2] / "docs" / "examples" / "hello" / "compose.yaml"


def test_hello_declares_six_web_tasks_and_a_counter() -> None:
    parsed = parse_stack("hello", HELLO.read_text(), HELLO.name, {}, {})

    web, counter = parsed.spec.services["web"], parsed.spec.services["counter"]
    assert parsed.warnings == ()
    assert (web.replicas, web.template.command) == (6, ("web",))
    assert (counter.replicas, counter.template.command, counter.template.ports) == (1, ("counter",), ())
    assert [(port.published, port.target) for port in web.template.ports] == [(8080, 8080)]
    assert web.template.health_check is not None
    assert web.template.health_check.probe == HttpProbe(port=8080)
    assert web.template.health_check.interval_s <= 2
    assert web.template.stop_grace_period_s == 2
    assert web.depends_on == {"counter": DependencyCondition.STARTED}


def test_hello_takes_another_image_from_a_variable() -> None:
    text = HELLO.read_text()

    spec = parse_stack("hello", text, HELLO.name, {"WEB_IMAGE": "other:1"}, {}).spec

    assert needed_inputs(text).variables == {"WEB_IMAGE"}
    assert {service.template.image for service in spec.services.values()} == {"other:1"}
