"""`deploy`, and the older keys beside it that say the same: how many tasks, and what each may use."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node, is_null
from swarmlet.model.compose.placement import UNSAID_PLACEMENT, read_placement
from swarmlet.model.compose.reserved_devices import (
    NONE_RESERVED,
    Reserved,
    all_together,
    read_devices,
    read_generic,
    read_gpus,
)
from swarmlet.model.compose.restart_policy import read_restart_policy
from swarmlet.model.compose.scalars import decimal, integer, one_of, pairs, size
from swarmlet.model.compose.updates import read_rollback, read_update
from swarmlet.model.placement import Placement
from swarmlet.model.rollout import UpdatePolicy
from swarmlet.model.spec import REPLICAS_MAX, Mode, Resources, RestartPolicy

T = TypeVar("T", int, float)

CPUS_MAX = 10_000
PIDS_MAX = 4_194_304
"""The kernel's own limit (PID_MAX_LIMIT)."""
MEMORY_LIMIT_BYTES_MIN = 6 * 1024 * 1024
"""As in Docker: less than this is a forgotten unit, and no container starts in it."""
NO_RESOURCES = Resources()
_PATTERN = "services.*.deploy"
_JOB = "-job"
_RESOURCES = f"{_PATTERN}.resources"


@dataclass(frozen=True, slots=True)
class Deploy:
    mode: Mode = Mode.REPLICATED
    replicas: int | None = None
    """None: not said here."""
    limits: Resources = NO_RESOURCES
    reservations: Resources = NO_RESOURCES
    restart: RestartPolicy | None = None
    update: UpdatePolicy | None = None
    rollback: UpdatePolicy | None = None
    placement: Placement = UNSAID_PLACEMENT
    is_job: bool = False


def read_deploy(node: Node, findings: Findings) -> Deploy:
    if is_null(node):
        return Deploy()
    fields = Fields(node, _PATTERN, findings)
    fields.read("labels", pairs, ())
    fields.read("endpoint_mode", one_of("vip", "dnsrr"), "vip")
    limits, reservations = fields.read(
        "resources", lambda value: _resources(value, findings), (NO_RESOURCES, NO_RESOURCES)
    )
    written = fields.read("mode", one_of(*Mode, *(f"{mode}{_JOB}" for mode in Mode)), Mode.REPLICATED)
    mode = Mode(written.removesuffix(_JOB))
    _refuse_number_of_global(mode, fields.value("replicas"), findings)
    return Deploy(
        mode=mode,
        replicas=fields.read("replicas", integer(0, REPLICAS_MAX), None),
        limits=limits,
        reservations=reservations,
        restart=fields.read("restart_policy", lambda value: read_restart_policy(value, findings), None),
        update=fields.read("update_config", lambda value: read_update(value, findings), None),
        rollback=fields.read("rollback_config", lambda value: read_rollback(value, findings), None),
        placement=fields.read("placement", lambda value: read_placement(value, findings), UNSAID_PLACEMENT),
        is_job=written.endswith(_JOB),
    )


def with_older_keys(service: Fields, deploy: Deploy, findings: Findings) -> Deploy:
    """`deploy` with what the service's `scale`, `cpus`, `mem_limit` … say; both may be written if they agree."""
    older = _OlderKeys(service, findings)
    limits, reservations = deploy.limits, deploy.reservations
    devices = _reserved_once(service, reservations, findings)
    replicas = older.value("scale", integer(0, REPLICAS_MAX), deploy.replicas, "deploy.replicas")
    _refuse_number_of_global(deploy.mode, service.value("scale"), findings)
    merged = replace(
        deploy,
        replicas=replicas,
        limits=Resources(
            cpus=older.value("cpus", decimal(CPUS_MAX), limits.cpus or None, "deploy.resources.limits.cpus") or 0.0,
            memory_bytes=older.value(
                "mem_limit", memory_limit, limits.memory_bytes or None, "deploy.resources.limits.memory"
            )
            or 0,
            pids=older.value("pids_limit", _pids, limits.pids or None, "deploy.resources.limits.pids") or 0,
        ),
        reservations=reservations.model_copy(
            update={
                "memory_bytes": older.value(
                    "mem_reservation", size, reservations.memory_bytes or None, "deploy.resources.reservations.memory"
                )
                or 0,
                "devices": devices.counts,
                "device_ids": devices.ids,
            }
        ),
    )
    _check_room(service, merged, findings)
    return merged


def _reserved_once(service: Fields, deploy: Resources, findings: Findings) -> Reserved:
    """`gpus` says what `deploy` may say, too: written twice it would count twice."""
    node = service.value("gpus")
    gpus = service.read("gpus", lambda value: read_gpus(value, findings), NONE_RESERVED)
    if node is not None and deploy.devices.keys() & gpus.counts.keys():
        findings.refuse(refused(node, "deploy.resources.reservations has devices of this kind too, remove one of them"))
        return gpus
    return all_together((gpus, Reserved(deploy.devices, deploy.device_ids)))


@dataclass(frozen=True, slots=True)
class _OlderKeys:
    service: Fields
    findings: Findings

    def value(self, key: str, reader: Callable[[Node], T], newer: T | None, newer_key: str) -> T | None:
        node = self.service.value(key)
        found = self.service.read(key, reader, None)
        if node is None or found is None:
            return newer
        if newer is not None and newer != found:
            self.findings.refuse(refused(node, f"says something else than {newer_key}, remove one of the two"))
        return found


def _refuse_number_of_global(mode: Mode, number: Node | None, findings: Findings) -> None:
    if mode is Mode.GLOBAL and number is not None:
        message = "a global service has one task on every node, remove this or write 'mode: replicated'"
        findings.refuse(refused(number, message))


def _check_room(service: Fields, deploy: Deploy, findings: Findings) -> None:
    node = service.value("deploy") or service.value("mem_reservation")
    limits, reservations = deploy.limits, deploy.reservations
    if node is None:
        return
    if 0 < limits.cpus < reservations.cpus:
        findings.refuse(refused(node, "reserves more cpus than its limit allows, write at most the limit"))
    if 0 < limits.memory_bytes < reservations.memory_bytes:
        findings.refuse(refused(node, "reserves more memory than its limit allows, write at most the limit"))


def _resources(node: Node, findings: Findings) -> tuple[Resources, Resources]:
    fields = Fields(node, _RESOURCES, findings)
    limits = fields.read("limits", lambda value: _limits(value, findings), NO_RESOURCES)
    return limits, fields.read("reservations", lambda value: _reservations(value, findings), NO_RESOURCES)


def _limits(node: Node, findings: Findings) -> Resources:
    fields = Fields(node, f"{_RESOURCES}.limits", findings)
    return Resources(
        cpus=fields.read("cpus", decimal(CPUS_MAX), 0.0),
        memory_bytes=fields.read("memory", memory_limit, 0),
        pids=fields.read("pids", _pids, 0),
    )


def _reservations(node: Node, findings: Findings) -> Resources:
    fields = Fields(node, f"{_RESOURCES}.reservations", findings)
    devices = fields.read("devices", lambda value: read_devices(value, findings), NONE_RESERVED)
    generic = fields.read("generic_resources", lambda value: read_generic(value, findings), NONE_RESERVED)
    reserved = all_together((devices, generic))
    return Resources(
        cpus=fields.read("cpus", decimal(CPUS_MAX), 0.0),
        memory_bytes=fields.read("memory", size, 0),
        devices=reserved.counts,
        device_ids=reserved.ids,
    )


def _pids(node: Node) -> int:
    """-1, Compose's 'no limit', is 0 here."""
    found = integer(-1, PIDS_MAX)(node)
    if found == 0:
        raise refused(node, f"cannot be 0, write 1 to {PIDS_MAX}, or -1 for no limit")
    return max(found, 0)


def memory_limit(node: Node) -> int:
    limit = size(node)
    if limit < MEMORY_LIMIT_BYTES_MIN:
        raise refused(
            node, f"{limit} bytes are too few for any container, write at least 6m (a size without unit is in bytes)"
        )
    return limit
