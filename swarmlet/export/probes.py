"""Health checks as probes. Here a check that fails takes a task out of the proxies and, after its retries, restarts it:
both of Kubernetes' kinds in one. `x-swarmlet.readiness` is the first of them alone."""

import math

from swarmlet.export.document import Document, ServiceNotes
from swarmlet.export.literals import literals
from swarmlet.export.quantities import seconds
from swarmlet.model.spec import CommandProbe, HealthCheck, HttpProbe, TaskTemplate


def probes_of(template: TaskTemplate, notes: ServiceNotes) -> Document:
    health, readiness = template.health_check, template.readiness or template.health_check
    probes: Document = {}
    if health is not None:
        probes["livenessProbe"] = _probe(health)
        if health.start_period_s:
            probes["startupProbe"] = _startup(health)
        _note_fractions(health, "healthcheck", notes)
    if readiness is not None:
        probes["readinessProbe"] = _probe(readiness)
        if readiness is not health:
            _note_fractions(readiness, "x-swarmlet.readiness", notes)
    return probes


def _note_fractions(check: HealthCheck, key: str, notes: ServiceNotes) -> None:
    fractions = [each for each in (check.interval_s, check.timeout_s) if each != math.floor(each)]
    notes.add_if(fractions, key, "probes are timed in whole seconds: rounded up")


def _probe(check: HealthCheck) -> Document:
    return {
        **_handler(check),
        "periodSeconds": seconds(check.interval_s, 1),
        "timeoutSeconds": seconds(check.timeout_s, 1),
        "failureThreshold": check.retries,
    }


def _startup(check: HealthCheck) -> Document:
    """Until the first success the other probes wait; it may take the start period, and the retries after that."""
    period = seconds(check.start_interval_s, 1)
    allowed = check.start_period_s + check.retries * check.interval_s
    return {
        **_handler(check),
        "periodSeconds": period,
        "timeoutSeconds": seconds(check.timeout_s, 1),
        "failureThreshold": max(1, math.ceil(allowed / period)),
    }


def _handler(check: HealthCheck) -> Document:
    match check.probe:
        case CommandProbe(argv=argv):
            return {"exec": {"command": literals(argv)}}
        case HttpProbe(port=port, path=path):
            return {"httpGet": {"path": path, "port": port}}
        case probe:
            return {"tcpSocket": {"port": probe.port}}
