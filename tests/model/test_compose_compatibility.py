"""What a newer agent reads of older ones, and writes for them: revisions and bytes stay as they were."""

from swarmlet.model.compose import parse_stack
from swarmlet.model.container import ContainerOptions
from swarmlet.model.frozen import decode, encode
from swarmlet.model.spec import TaskTemplate

STACK = """
services:
  web:
    image: docker.io/library/nginx:1.27
    command: [nginx, -g, daemon off;]
    environment: {B: "2", A: "1"}
    labels: [tier=front]
    ports: ["8080:80"]
    volumes: ["data:/data", "/etc/ssl:/etc/ssl:ro"]
    tmpfs: /run:size=64m
    user: "1000"
    read_only: true
    cap_drop: [ALL]
    restart: on-failure:3
    stop_grace_period: 5s
    healthcheck: {test: [CMD, "true"], interval: 5s}
    deploy: {replicas: 2, resources: {limits: {cpus: 0.5, memory: 64m, pids: 50}, reservations: {memory: 32m}}}
  plain: {image: busybox}
volumes: {data: }
"""
PLAIN = b"\x81\xa5image\xa7busybox"


def test_a_file_of_before_has_the_revisions_of_before() -> None:
    services = parse_stack("shop", STACK, "compose.yaml", {}, {}).spec.services

    # As agents computed them that knew neither options nor files: an upgrade must not replace a task.
    assert services["web"].template.revision() == "25404feed950"
    assert services["plain"].template.revision() == "3d48f70da9fe"


def test_what_was_stored_before_is_read_and_written_as_before() -> None:
    template = decode(TaskTemplate, PLAIN)

    assert template == TaskTemplate(image="busybox")
    assert encode(template) == PLAIN


def test_the_order_of_mappings_is_no_difference() -> None:
    one = TaskTemplate(
        image="x", options=ContainerOptions(sysctls={"net.a": "1", "net.b": "2"}, annotations={"a": "1"})
    )
    other = TaskTemplate(
        image="x", options=ContainerOptions(annotations={"a": "1"}, sysctls={"net.b": "2", "net.a": "1"})
    )

    assert one.revision() == other.revision() != TaskTemplate(image="x").revision()
