"""The cluster's keys over HTTP: by their ids, never themselves."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from api_builders import RING, a_peer, an_api

from swarmlet.api.keyring import keyring_view
from swarmlet.drivers.key_rotation import NodeKeys
from swarmlet.model.ids import NodeId
from swarmlet.security.keyring import load_ring
from swarmlet.security.keys import KeyId


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        yield client


async def test_a_rotation_in_three_requests(api: TestClient[Any, Any], tmp_path: Path) -> None:
    (old,) = RING.ids

    installed = await (await api.post("/v1/keyring/keys")).json()
    new = installed["key"]
    used = await api.put("/v1/keyring/primary", json={"key": new})
    removed = await api.delete(f"/v1/keyring/keys/{old}")
    listed = await (await api.get("/v1/keyring")).json()

    assert (used.status, removed.status) == (200, 200)
    assert sorted(installed["keys"]) == sorted([old, new])
    assert listed["keys"] == listed["nodes"][0]["keys"] == [new]
    ring = load_ring(tmp_path / "cluster.key")
    assert ring.ids == (new,)
    for text in (str(installed), str(listed), str(await removed.json())):
        assert ring.primary.text() not in text


async def test_a_key_is_removed_by_force_only_where_that_is_said(api: TestClient[Any, Any]) -> None:
    (old,) = RING.ids
    new = (await (await api.post("/v1/keyring/keys")).json())["key"]
    await api.put("/v1/keyring/primary", json={"key": new})

    unclear = await api.delete(f"/v1/keyring/keys/{old}?force=yes")
    forced = await api.delete(f"/v1/keyring/keys/{old}?force=true")

    assert (unclear.status, forced.status) == (400, 200)
    assert (await unclear.json())["detail"] == "force is 'yes'; write 1 or true, 0 or false"


async def test_what_can_not_be_is_a_problem_document(api: TestClient[Any, Any]) -> None:
    (old,) = RING.ids

    unknown = await api.put("/v1/keyring/primary", json={"key": "0" * 12})
    in_use = await api.delete(f"/v1/keyring/keys/{old}")
    nonsense = await api.put("/v1/keyring/primary", json={"kye": "x"})

    assert (unknown.status, in_use.status, nonsense.status) == (404, 409, 422)
    assert "use another one first" in (await in_use.json())["detail"]


def test_the_key_that_most_seal_with_comes_first() -> None:
    first, second = KeyId("f" * 12), KeyId("a" * 12)
    found = [
        NodeKeys(NodeId("1"), "n1", 2, (first, second)),
        NodeKeys(NodeId("2"), "n2", 1, (second, first)),
        NodeKeys(NodeId("3"), "n3", 2, (first, second)),
        NodeKeys(NodeId("4"), "n4", problem="dead", away=True),
    ]

    assert keyring_view(found).keys == [first, second]
