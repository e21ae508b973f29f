"""Several files merged by Compose's rules, key by key."""

from typing import Any

import pytest
from compose_builders import a_file, merged, parse, the_error

from swarmlet.model.compose import Given, Source
from swarmlet.model.spec import DependencyCondition, TaskTemplate

PORTS_A_B = [(80, 8080), (81, 8081)]


def field(template: TaskTemplate, name: str) -> Any:
    """What is compared of a template: dotted names, and short forms of ports and mounts."""
    match name:
        case "ports":
            return [(port.target, port.published) for port in template.ports]
        case "mounts":
            return [(mount.source, mount.target) for mount in template.mounts]
        case "ulimits":
            return [(limit.name, limit.soft) for limit in template.options.ulimits]
    found: Any = template
    for part in name.split("."):
        found = getattr(found, part)
    return found


MERGED = [
    # (the first file's keys, the second's, what is compared, what is expected)
    ("user: '1'", "user: '2'", "user", "2"),
    ("command: [a, b]", "command: [c]", "command", ("c",)),
    ("entrypoint: [a]", "entrypoint: b c", "entrypoint", ("b", "c")),
    ("environment: [A=1, B=2]", "environment: {B: 3, C: 4}", "environment", {"A": "1", "B": "3", "C": "4"}),
    ("environment: {A: 1}", "environment: [A=2]", "environment", {"A": "2"}),
    ("labels: {a: b}", "labels: [c=d]", "labels", {"a": "b", "c": "d"}),
    ("annotations: [a=1]", "annotations: {a: 2}", "options.annotations", {"a": "2"}),
    ("sysctls: [net.a.b=1]", "sysctls: {net.a.b: 2}", "options.sysctls", {"net.a.b": "2"}),
    ("ports: ['8080:80']", "ports: ['8081:81', '8080:80']", "ports", PORTS_A_B),
    ("ports: ['8080:80']", "ports: [{target: 81, published: 8081}]", "ports", PORTS_A_B),
    ("ports: ['8080:80/tcp']", "ports: [{target: 80, published: 8080}]", "ports", PORTS_A_B[:1]),
    ("volumes: ['/a:/x', '/b:/y']", "volumes: ['/c:/x']", "mounts", [("/c", "/x"), ("/b", "/y")]),
    ("volumes: ['/a:/x']", "volumes: [{type: bind, source: /c, target: /x/}]", "mounts", [("/c", "/x")]),
    ("devices: ['/dev/a:/dev/x']", "devices: ['/dev/b:/dev/x']", "options.devices", None),
    ("dns: 8.8.8.8", "dns: [1.1.1.1, 8.8.8.8]", "options.dns", ("8.8.8.8", "1.1.1.1")),
    ("dns_search: [a.b]", "dns_search: c.d", "options.dns_search", ("a.b", "c.d")),
    ("extra_hosts: ['a:1.1.1.1']", "extra_hosts: {a: 2.2.2.2}", "options.extra_hosts", ("a:1.1.1.1", "a:2.2.2.2")),
    ("cap_add: [NET_RAW]", "cap_add: [NET_RAW, CHOWN]", "cap_add", ("NET_RAW", "CHOWN")),
    ("ulimits: {core: 1, nproc: 5}", "ulimits: {core: {soft: 2, hard: 3}}", "ulimits", [("core", 2), ("nproc", 5)]),
    ("healthcheck: {test: [CMD, a], retries: 5}", "healthcheck: {test: b}", "health_check.retries", 5),
    ("healthcheck: {test: [CMD, a]}", "healthcheck: {test: [CMD, b]}", "health_check.probe.argv", ("b",)),
    (
        "logging: {driver: local, options: {max-size: 1m}}",
        "logging: {driver: none}",
        "options.logging.size_bytes_max",
        0,
    ),
    ("logging: {options: {max-size: 1m}}", "logging: {driver: local}", "options.logging.size_bytes_max", 1 << 20),
    ("deploy: {resources: {limits: {cpus: 1}}}", "deploy: {resources: {limits: {pids: 5}}}", "limits.cpus", 1.0),
    ("environment: {A: 1, B: 2}", "environment: !override {C: 3}", "environment", {"C": "3"}),
    ("ports: ['8080:80']", "ports: !override ['8081:81']", "ports", PORTS_A_B[1:]),
    ("ports: ['8080:80']", "ports: !reset []", "ports", []),
    ("environment: {A: 1, B: 2}", "environment: {A: !reset null}", "environment", {"B": "2"}),
    ("user: '1'", "user: !reset null", "user", ""),
    ("environment: {A: 1}", "environment:", "environment", {"A": "1"}),
]


@pytest.mark.parametrize(("first", "second", "name", "expected"), MERGED, ids=[f"{a} + {b}" for a, b, *_ in MERGED])
def test_a_second_file_is_merged_into_the_first(first: str, second: str, name: str, expected: Any) -> None:
    found = field(merged(first, second).template, name)

    if expected is None:
        assert [device.source for device in found] == ["/dev/b"]
    else:
        assert found == expected


def test_dependencies_are_merged_from_both_forms() -> None:
    first = (
        "services:\n  web: {image: x, depends_on: [db]}\n  db: {image: x, healthcheck: {test: x}}\n  q: {image: x}\n"
    )
    second = "services: {web: {depends_on: {db: {condition: service_healthy}, q: {condition: service_started}}}}"

    depends_on = parse(first, given=Given(overrides=(Source("b.yaml", second),))).spec.services["web"].depends_on

    assert depends_on == {"db": DependencyCondition.HEALTHY, "q": DependencyCondition.STARTED}


def test_a_secret_is_replaced_by_its_target() -> None:
    first = "services: {web: {image: x, secrets: [a], configs: [c]}}\nconfigs: {c: {content: x}}\n"
    first += "secrets: {a: {environment: A}, b: {environment: B}}\n"
    second = "services: {web: {secrets: [{source: b, target: a}], configs: [{source: c, target: /c, mode: '0400'}]}}"

    web = parse(first, {"A": "one", "B": "two"}, given=Given(overrides=(Source("b.yaml", second),))).spec.services[
        "web"
    ]

    assert [(file.target, file.content, file.mode) for file in web.template.files] == [
        ("/c", b"x", 0o400),
        ("/run/secrets/a", b"two", 0o444),
    ]


def test_services_and_volumes_of_all_files_are_had() -> None:
    second = "services: {db: {image: y, volumes: ['data:/d']}}\nvolumes: {data: }\n"

    services = parse(a_file(), given=Given(overrides=(Source("b.yaml", second),))).spec.services

    assert [(name, service.template.image) for name, service in services.items()] == [("web", "nginx"), ("db", "y")]


def test_a_third_file_is_merged_last() -> None:
    assert merged("user: '1'", "user: '2'", "user: '3'\nread_only: true").template.user == "3"


def test_what_cannot_be_merged_is_refused_in_the_later_file() -> None:
    error = the_error(a_file("healthcheck: {test: x}"), given=Given(overrides=(over("healthcheck: [x]"),)))

    assert str(error).startswith("b.yaml:3:18: services.web.healthcheck: a list cannot be merged into a mapping")
    assert "(compose.yaml:4:18), write a mapping, or !override" in error.message


def test_a_fault_of_a_later_file_is_reported_there() -> None:
    error = the_error(a_file(), given=Given(overrides=(over("user: 7"),)))

    assert str(error).startswith("b.yaml:3:11: services.web.user: must be a string")


def test_variables_are_filled_in_before_files_are_merged() -> None:
    services = parse(a_file("user: $A"), {"A": "1", "B": "2"}, given=Given(overrides=(over("user: $B"),))).spec.services

    assert services["web"].template.user == "2"


def test_a_reset_without_an_earlier_file_leaves_the_key_out() -> None:
    assert parse(a_file("user: !reset x")).spec.services["web"].template.user == ""


def over(key: str) -> Source:
    return Source("b.yaml", f"services:\n  web:\n    {key}\n")
