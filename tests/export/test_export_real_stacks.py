"""Stacks that people run become manifests that Kubernetes' strict schemas take, with every service in them."""

from pathlib import Path

import pytest
from export_builders import REAL, VERSIONS, a_stack, exported, the

from swarmlet.export.names import dns_name

CONTENTS = {"db/password.txt": "aHVzaA=="}
WORKLOADS = ("Deployment", "DaemonSet", "Job")


def test_all_of_them_are_here() -> None:
    assert len(REAL) == 19


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_a_real_stack_is_exported(path: Path) -> None:
    declared = a_stack(path.read_text(), CONTENTS).services

    found = exported(path.read_text(), CONTENTS, versions=VERSIONS)

    workloads = {each["metadata"]["name"]: each for each in found.documents if each["kind"] in WORKLOADS}
    assert workloads.keys() == {dns_name(name) for name in declared}
    for name, service in declared.items():
        template = workloads[dns_name(name)]["spec"]["template"]
        (container,) = template["spec"]["containers"]
        assert container["image"] == service.template.image
        assert {each["name"] for each in container.get("env", [])} == service.template.environment.keys()
        selector = the(found, "Service", dns_name(name))["spec"]["selector"]
        assert selector.items() <= template["metadata"]["labels"].items()
    published = {
        port["port"]
        for each in found.documents
        if each["kind"] == "Service" and each["spec"].get("type") == "LoadBalancer"
        for port in each["spec"]["ports"]
    }
    ports = (port for service in declared.values() for port in service.template.ports)
    assert published == {port.published for port in ports if not port.host_address}


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_contents_of_secrets_are_left_out_unless_revealed(path: Path) -> None:
    found = exported(path.read_text(), CONTENTS, reveal=False)

    secrets = [each for each in found.documents if each["kind"] == "Secret"]
    assert all("data" not in each for each in secrets)
    assert "aHVzaA==" not in str(found)
    said = [note for note in found.notes if note.key == "secrets"]
    assert len(said) == len(secrets)
