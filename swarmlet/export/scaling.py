"""How many pods: the autoscaler, and the disruption budget."""

from swarmlet.export.document import Document, said
from swarmlet.export.members import Group
from swarmlet.export.quantities import seconds
from swarmlet.model.autoscale import Autoscale, PrometheusMetric, ScalingRules, Select
from swarmlet.model.spec import Mode

_SELECT = {Select.MAX: "Max", Select.MIN: "Min", Select.DISABLED: "Disabled"}
_KEY = "x-swarmlet.autoscale"
USUAL_TOLERANCE = 0.1


def autoscaler_of(group: Group) -> list[Document]:
    spec, names, notes = group.first.spec, group.first.names.of_pod(), group.first.notes
    scaling = spec.autoscale
    if scaling is None or spec.mode is Mode.GLOBAL:
        return []
    if group.is_job:
        notes.add(_KEY, "nothing scales a Job")
        return []
    notes.add_if(
        scaling.metrics, f"{_KEY}.metrics", "need an adapter, such as prometheus-adapter, that tells them of pods"
    )
    notes.add_if(
        scaling.tolerance != USUAL_TOLERANCE, f"{_KEY}.tolerance", "is a setting of the controller manager, 0.1"
    )
    document = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": names.metadata(),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": names.name},
            "minReplicas": scaling.replicas_min,
            "maxReplicas": scaling.replicas_max,
            "metrics": _metrics(scaling),
            "behavior": {"scaleUp": _rules(scaling.scale_up), "scaleDown": _rules(scaling.scale_down)},
        },
    }
    return [document]


def _metrics(scaling: Autoscale) -> list[Document]:
    found: list[Document] = []
    for name, percent in (("cpu", scaling.cpu_percent), ("memory", scaling.memory_percent)):
        if percent:
            target = {"type": "Utilization", "averageUtilization": percent}
            found.append({"type": "Resource", "resource": {"name": name, "target": target}})
    return found + [_pods_metric(each) for each in scaling.metrics]


def _pods_metric(metric: PrometheusMetric) -> Document:
    selector = {"matchLabels": metric.labels} if metric.labels else None
    milli = round(metric.target_average * 1000)
    value = str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"
    return {
        "type": "Pods",
        "pods": {
            "metric": said({"name": metric.name, "selector": selector}),
            "target": {"type": "AverageValue", "averageValue": value},
        },
    }


def _rules(rules: ScalingRules) -> Document:
    policies = [
        {"type": kind, "value": value, "periodSeconds": seconds(policy.period_s, 1)}
        for policy in rules.policies
        for kind, value in (("Percent", policy.percent), ("Pods", policy.tasks))
        if value
    ]
    return {
        "stabilizationWindowSeconds": seconds(rules.stabilization_s),
        "selectPolicy": _SELECT[rules.select],
        "policies": policies,
    }


def budget_of(group: Group) -> list[Document]:
    """Only where there is more than one task: the budget of a single one would only ever be in the way. A Job's are
    replaced anyway, and nobody waits for them to serve."""
    spec, names = group.first.spec, group.first.names.of_pod()
    if group.is_job or spec.mode is Mode.GLOBAL or (spec.replicas < 2 and spec.autoscale is None):
        return []
    budget = spec.max_unavailable
    document = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": names.metadata(),
        "spec": {
            "maxUnavailable": f"{budget.percent}%" if budget.percent else budget.count,
            "selector": {"matchLabels": names.selector()},
        },
    }
    return [document]
