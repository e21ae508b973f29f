"""`deploy`: how many tasks, and what each may use."""

from dataclasses import dataclass

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node, is_null
from swarmlet.model.compose.scalars import decimal, integer, one_of, size
from swarmlet.model.spec import REPLICAS_MAX, Mode, Resources

CPUS_MAX = 10_000
PIDS_MAX = 4_194_304
"""The kernel's own limit (PID_MAX_LIMIT)."""
MEMORY_LIMIT_BYTES_MIN = 6 * 1024 * 1024
"""As in Docker: less than this is a forgotten unit, and no container starts in it."""
NO_RESOURCES = Resources()
_PATTERN = "services.*.deploy"
_RESOURCES = f"{_PATTERN}.resources"


@dataclass(frozen=True, slots=True)
class Deploy:
    mode: Mode = Mode.REPLICATED
    replicas: int = 1
    limits: Resources = NO_RESOURCES
    reservations: Resources = NO_RESOURCES


def read_deploy(node: Node, findings: Findings) -> Deploy:
    if is_null(node):
        return Deploy()
    fields = Fields(node, _PATTERN, findings)
    mode = Mode(fields.read("mode", one_of(*Mode), Mode.REPLICATED))
    replicas = fields.read("replicas", integer(0, REPLICAS_MAX), 1)
    written_replicas = fields.value("replicas")
    if mode is Mode.GLOBAL and written_replicas is not None:
        message = "a global service has one task on every node, remove this or write 'mode: replicated'"
        findings.refuse(refused(written_replicas, message))
    limits, reservations = fields.read(
        "resources", lambda value: _resources(value, findings), (NO_RESOURCES, NO_RESOURCES)
    )
    return Deploy(mode, replicas, limits, reservations)


def _resources(node: Node, findings: Findings) -> tuple[Resources, Resources]:
    fields = Fields(node, _RESOURCES, findings)
    limits = fields.read("limits", lambda value: _limits(value, findings), NO_RESOURCES)
    reservations = fields.read("reservations", lambda value: _reservations(value, findings), NO_RESOURCES)
    written = fields.value("reservations")
    if written is not None:
        if 0 < limits.cpus < reservations.cpus:
            findings.refuse(refused(written, "reserves more cpus than its limit allows, write at most the limit"))
        if 0 < limits.memory_bytes < reservations.memory_bytes:
            findings.refuse(refused(written, "reserves more memory than its limit allows, write at most the limit"))
    return limits, reservations


def _limits(node: Node, findings: Findings) -> Resources:
    fields = Fields(node, f"{_RESOURCES}.limits", findings)
    return Resources(
        cpus=fields.read("cpus", decimal(CPUS_MAX), 0.0),
        memory_bytes=fields.read("memory", _memory_limit, 0),
        pids=fields.read("pids", integer(1, PIDS_MAX), 0),
    )


def _reservations(node: Node, findings: Findings) -> Resources:
    fields = Fields(node, f"{_RESOURCES}.reservations", findings)
    return Resources(cpus=fields.read("cpus", decimal(CPUS_MAX), 0.0), memory_bytes=fields.read("memory", size, 0))


def _memory_limit(node: Node) -> int:
    limit = size(node)
    if limit < MEMORY_LIMIT_BYTES_MIN:
        raise refused(
            node, f"{limit} bytes are too few for any container, write at least 6m (a size without unit is in bytes)"
        )
    return limit
