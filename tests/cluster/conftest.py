"""Three hosts with real Podman, made once for the module that asks for them, and watched for event-loop stalls."""

from collections.abc import Iterator

import pytest

from lab.cluster import Cluster, cluster
from lab.hosts import why_no_namespaces


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = why_no_namespaces()
    if reason is None:
        return
    for item in items:
        if "cluster" in item.keywords:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module")
def three_hosts() -> Iterator[Cluster]:
    with cluster(3, "podman") as made:
        made.start()
        yield made
        assert made.stalls() == [], "no agent's event loop may stall"
