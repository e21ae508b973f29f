"""Exports for tests, and what must hold of every one of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import kubernetes_validate
import yaml

from swarmlet.export import Exported, as_yaml, to_kubernetes
from swarmlet.export.names import LENGTH_MAX
from swarmlet.model.compose import Given, parse_stack
from swarmlet.model.compose.stack import Unbuilt
from swarmlet.model.spec import StackSpec

VERSIONS = ("1.30", kubernetes_validate.latest_version())
"""The oldest for which manifests are meant, and the newest known."""
NEWEST = VERSIONS[-1:]
"""Enough for most tests: a schema takes its time."""
REAL = sorted((Path(__file__).parents[1] / "model" / "data" / "real").glob("*.yaml"))
SELECTORS = {
    "Deployment": lambda spec: spec["selector"]["matchLabels"],
    "StatefulSet": lambda spec: spec["selector"]["matchLabels"],
    "DaemonSet": lambda spec: spec["selector"]["matchLabels"],
}


def a_stack(text: str, contents: Mapping[str, str] | None = None) -> StackSpec:
    given = Given(folder="/srv/shop", unbuilt=Unbuilt.EXPECT, contents=contents or {}, profiles=frozenset("*"))
    return parse_stack("shop", dedent(text), "compose.yaml", {"HOME": "/home/me"}, {}, given).spec


def exported(
    text: str, contents: Mapping[str, str] | None = None, *, reveal: bool = True, versions: Sequence[str] = NEWEST
) -> Exported:
    """Checked, every time."""
    found = to_kubernetes(a_stack(text, contents), reveal=reveal)
    check(found, versions)
    return found


def web(keys: str, rest: str = "", others: Mapping[str, str] | None = None) -> Exported:
    """Of a file whose service `web` has these keys; `others` are images of further services."""
    indented = "".join(f"    {line}\n" for line in dedent(keys).strip().splitlines())
    more = "".join(f"  {name}: {{image: {image}}}\n" for name, image in (others or {}).items())
    return exported(f"services:\n  web:\n    image: nginx\n{indented}{more}{dedent(rest)}")


def the(found: Exported, kind: str, name: str | None = None) -> dict[str, Any]:
    chosen = [each for each in found.documents if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    (document,) = chosen
    return document


def kinds(found: Exported) -> list[str]:
    return sorted(each["kind"] for each in found.documents)


def pod(found: Exported, kind: str = "Deployment") -> dict[str, Any]:
    spec: dict[str, Any] = the(found, kind)["spec"]["template"]["spec"]
    return spec


def container(found: Exported, kind: str = "Deployment") -> dict[str, Any]:
    (only,) = pod(found, kind)["containers"]
    return only  # type: ignore[no-any-return]


def noted(found: Exported) -> set[str]:
    """Keys that could not be said in full, less what every service has to say of rollbacks."""
    return {note.key for note in found.notes if "rolled back by itself" not in note.message}


def check(found: Exported, versions: Sequence[str] = NEWEST) -> None:
    """Strictly valid, and whole: names are distinct, and whatever is referred to is there, before it is."""
    assert list(yaml.safe_load_all(as_yaml(found))) == list(found.documents)
    named = [(each["kind"], each["metadata"]["name"]) for each in found.documents]
    assert len(set(named)) == len(named)
    for document in found.documents:
        for version in versions:
            kubernetes_validate.validate(document, version, strict=True)
        assert len(document["metadata"]["name"]) <= LENGTH_MAX
        spec = document.get("spec", {})
        job = spec.get("jobTemplate", {}).get("spec", spec)
        template = job.get("template")
        if template is not None:
            at = found.documents.index(document)
            _check_pod(template, {(each["kind"], each["metadata"]["name"]) for each in found.documents[:at]})
            _check_restarts(document["kind"], job, template["spec"]["restartPolicy"])
            wanted = SELECTORS.get(document["kind"])
            if wanted is not None:
                assert wanted(document["spec"]).items() <= template["metadata"]["labels"].items()


def _check_restarts(kind: str, workload: dict[str, Any], policy: str) -> None:
    """As Kubernetes' validation has it, beyond its schemas."""
    assert (policy != "Always") is (kind in ("Job", "CronJob"))
    if "backoffLimitPerIndex" in workload:
        assert (workload["completionMode"], policy) == ("Indexed", "Never")


def _check_pod(template: dict[str, Any], named: set[tuple[str, str]]) -> None:
    spec = template["spec"]
    volumes = {each["name"]: each for each in spec.get("volumes", [])}
    assert len(volumes) == len(spec.get("volumes", []))
    claims = [
        each["persistentVolumeClaim"]["claimName"] for each in volumes.values() if "persistentVolumeClaim" in each
    ]
    assert len(set(claims)) == len(claims), "a kubelet waits for ever for the second"
    for each in volumes.values():
        for key, kind, name in (
            ("configMap", "ConfigMap", "name"),
            ("secret", "Secret", "secretName"),
            ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
        ):
            assert key not in each or (kind, each[key][name]) in named
    containers = [*spec["containers"], *spec.get("initContainers", [])]
    assert len({each["name"] for each in containers}) == len(containers)
    assert not any("Probe" in key for each in spec.get("initContainers", []) for key in each)
    mounts = [mount for each in containers for mount in each.get("volumeMounts", [])]
    assert {mount["name"] for mount in mounts} == set(volumes)
    for each in containers:
        paths = [mount["mountPath"] for mount in each.get("volumeMounts", [])]
        assert len(set(paths)) == len(paths)
        rights = each.get("securityContext", {})
        assert rights.get("allowPrivilegeEscalation", True) or not rights.get("privileged")
        ways = {mount.get("mountPropagation") for mount in each.get("volumeMounts", [])}
        assert "Bidirectional" not in ways or rights.get("privileged")
    sysctls = [each["name"] for each in spec.get("securityContext", {}).get("sysctls", [])]
    assert len(set(sysctls)) == len(sysctls)
    for each in spec.get("tolerations", []):
        assert "key" in each or each["operator"] == "Exists"
        assert each["operator"] == "Equal" or "value" not in each
    if "priorityClassName" in spec:
        assert ("PriorityClass", spec["priorityClassName"]) in named
