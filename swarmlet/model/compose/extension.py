"""A service's `x-swarmlet`: what Compose has no words for. A section here, its rows in `key_rows_extension`."""

from dataclasses import dataclass

from swarmlet.model.autoscale import Autoscale
from swarmlet.model.compose.autoscale import read_autoscale
from swarmlet.model.compose.disruption import read_max_unavailable
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.ingress import read_ingress
from swarmlet.model.compose.job import JobSection, read_job
from swarmlet.model.compose.marks import Node
from swarmlet.model.compose.node_probes import read_node_probe
from swarmlet.model.compose.placement import UNSAID_EXTENSION as UNSAID_PLACEMENT
from swarmlet.model.compose.placement import PlacementExtension, read_tolerations
from swarmlet.model.compose.placement import read_extension as read_placement
from swarmlet.model.compose.pod import read_pod
from swarmlet.model.compose.readiness import read_readiness
from swarmlet.model.compose.scalars import boolean, integer
from swarmlet.model.compose.updates import RolloutExtension, read_rollout
from swarmlet.model.placement import PRIORITY_MAX, Toleration
from swarmlet.model.spec import HealthCheck, HttpRoute, MaxUnavailable, Probe

_EXTENSION = "services.*.x-swarmlet"
_HEALTH = f"{_EXTENSION}.health"
UNSAID_ROLLOUT = RolloutExtension()
UNSAID_BUDGET = MaxUnavailable()


@dataclass(frozen=True, slots=True)
class Extension:
    probe: Probe | None = None
    probe_node: Node | None = None
    readiness: HealthCheck | None = None
    rollout: RolloutExtension = UNSAID_ROLLOUT
    max_unavailable: MaxUnavailable = UNSAID_BUDGET
    priority: int = 0
    placement: PlacementExtension = UNSAID_PLACEMENT
    tolerations: tuple[Toleration, ...] = ()
    autoscale: Autoscale | None = None
    autoscale_node: Node | None = None
    pod: str = ""
    pod_node: Node | None = None
    ingress: tuple[HttpRoute, ...] = ()
    job: JobSection | None = None
    exclusive: bool = False
    exclusive_node: Node | None = None


UNSAID_EXTENSION = Extension()


def read_extension(node: Node, findings: Findings) -> Extension:
    fields = Fields(node, _EXTENSION, findings)
    return Extension(
        probe=fields.read("health", lambda value: _health(value, findings), None),
        probe_node=fields.value("health"),
        readiness=fields.read("readiness", lambda value: read_readiness(value, findings), None),
        rollout=fields.read("rollout", lambda value: read_rollout(value, findings), UNSAID_ROLLOUT),
        max_unavailable=fields.read("max_unavailable", read_max_unavailable, UNSAID_BUDGET),
        priority=fields.read("priority", integer(-PRIORITY_MAX, PRIORITY_MAX), 0),
        placement=fields.read("placement", lambda value: read_placement(value, findings), UNSAID_PLACEMENT),
        tolerations=fields.read("tolerations", lambda value: read_tolerations(value, findings), ()),
        autoscale=fields.read("autoscale", lambda value: read_autoscale(value, findings), None),
        autoscale_node=fields.value("autoscale"),
        pod=fields.read("pod", read_pod, ""),
        pod_node=fields.value("pod"),
        ingress=fields.read("ingress", lambda value: read_ingress(value, findings), ()),
        job=fields.read("job", lambda value: read_job(value, findings), None),
        exclusive=fields.read("exclusive", boolean(findings), False),
        exclusive_node=fields.value("exclusive"),
    )


def _health(node: Node, findings: Findings) -> Probe | None:
    return read_node_probe(Fields(node, _HEALTH, findings), _HEALTH, findings)
