"""What a file says of where tasks may run, as the scheduler reads it."""

import pytest
from compose_builders import parse

from swarmlet.model.placement import (
    Constraint,
    NodePreference,
    Placement,
    ServiceAffinity,
    Strategy,
    TaintEffect,
    Toleration,
)
from swarmlet.model.spec import ALL_DEVICES

FILE = """
services:
  db: {image: x}
  web:
    image: x
    platform: linux/arm64
    gpus: [{count: 1}]
    deploy:
      placement:
        constraints: [node.labels.disk==ssd, "engine.labels.rack != a", node.role == manager]
        preferences: [{spread: node.labels.zone}, {spread: engine.labels.rack}]
        max_replicas_per_node: 2
      resources:
        reservations:
          devices: [{capabilities: [tpu, compute], count: 2}]
          generic_resources: [{discrete_resource_spec: {kind: licence, value: 1}}]
    x-swarmlet:
      priority: -5
      placement:
        strategy: binpack
        affinity:
          - service: db
          - {node: node.labels.disk==nvme, weight: 3}
        anti_affinity:
          - {service: other.web, per: node.labels.zone, required: false, weight: 7}
          - {service: web}
      tolerations:
        - {key: gpu, value: "yes", effect: no-execute}
        - {key: disk}
"""


def test_all_of_it_reaches_the_service() -> None:
    web = parse(FILE).spec.services["web"]

    assert web.priority == -5
    assert web.template.reservations.devices == {"gpu": 1, "licence": 1, "tpu": 2}
    assert web.placement == Placement(
        constraints=(
            Constraint(attribute="node.labels.disk", value="ssd"),
            Constraint(attribute="node.labels.rack", value="a", equal=False),
            Constraint(attribute="node.role", value="manager"),
        ),
        platform="linux/arm64",
        spread=("node.labels.zone", "node.labels.rack"),
        per_node_max=2,
        tolerations=(
            Toleration(key="gpu", value="yes", effect=TaintEffect.NO_EXECUTE),
            Toleration(key="disk"),
        ),
        affinities=(
            ServiceAffinity(service="shop.db"),
            ServiceAffinity(service="other.web", away=True, per="node.labels.zone", required=False, weight=7),
            ServiceAffinity(service="shop.web", away=True),
        ),
        preferences=(NodePreference(constraint=Constraint(attribute="node.labels.disk", value="nvme"), weight=3),),
        strategy=Strategy.BINPACK,
    )


def test_where_tasks_may_run_is_no_part_of_how_they_run() -> None:
    with_placement, without = parse(FILE), parse(FILE.replace("node.labels.disk==ssd", "node.labels.disk==hdd"))

    assert with_placement.spec.services["web"].template == without.spec.services["web"].template


def _reserved(*devices: str) -> str:
    return f"deploy: {{resources: {{reservations: {{devices: [{', '.join(devices)}]}}}}}}"


@pytest.mark.parametrize(
    ("keys", "devices"),
    [
        ("gpus: all", {"gpu": ALL_DEVICES}),
        ("gpus: [{driver: nvidia}]", {"gpu": ALL_DEVICES}),
        (_reserved("{capabilities: [gpu]}"), {"gpu": ALL_DEVICES}),
        (_reserved("{capabilities: [gpu], count: all}", "{capabilities: [gpu], count: 1}"), {"gpu": ALL_DEVICES}),
        (_reserved("{capabilities: [gpu], count: 2}", "{capabilities: [gpu], count: 1}"), {"gpu": 3}),
    ],
)
def test_all_devices_are_what_no_number_means(keys: str, devices: dict[str, int]) -> None:
    web = parse(f"services:\n  web:\n    image: x\n    {keys}\n").spec.services["web"]

    assert web.template.reservations.devices == devices
    assert web.template.reservations.device_ids == {}


@pytest.mark.parametrize(
    ("keys", "devices", "ids"),
    [
        ("gpus: [{device_ids: ['0', 3]}]", {"gpu": 2}, {"gpu": ("0", "3")}),
        (_reserved("{capabilities: [gpu], device_ids: [nvidia.com/gpu=1]}", "{capabilities: [gpu], count: 1}"),
         {"gpu": 2}, {"gpu": ("nvidia.com/gpu=1",)}),
    ],
)  # fmt: skip
def test_devices_are_asked_for_by_their_ids(keys: str, devices: dict[str, int], ids: dict[str, object]) -> None:
    web = parse(f"services:\n  web:\n    image: x\n    {keys}\n").spec.services["web"]

    assert web.template.reservations.devices == devices
    assert web.template.reservations.device_ids == ids
