"""The key-value API, over a real peer: values with revisions, conditional writes, retries that do no harm."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from api_builders import a_peer, an_api

Client = TestClient  # type: ignore[type-arg]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Client]:
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        yield client


async def put(api: Client, key: str, value: bytes, query: str = "", **headers: str) -> ClientResponse:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return await api.put(f"/v1/kv/{key}{query}", data=io.BytesIO(value), headers=named)


async def revision_of(response: ClientResponse) -> int:
    assert response.status == 200, await response.text()
    revision = (await response.json())["revision"]
    assert response.headers["Swarmlet-Revision"] == str(revision)
    return int(revision)


async def value_of(api: Client, key: str) -> bytes:
    response = await api.get(f"/v1/kv/{key}?consistency=linearizable")
    assert response.status == 200, await response.text()
    return await response.read()


async def test_a_value_is_read_back_byte_by_byte_with_its_revision(api: Client) -> None:
    value = bytes(range(256))

    made = await revision_of(await put(api, "a/b c/ü", value))
    await put(api, "other", b"later")
    found = await api.get("/v1/kv/a/b%20c/%C3%BC")

    assert await found.read() == value
    assert found.headers["ETag"] == f'"{made}"'
    assert found.headers["Swarmlet-Revision"] == str(made + 1)


async def test_an_empty_value_is_a_value(api: Client) -> None:
    await put(api, "empty", b"")

    assert await value_of(api, "empty") == b""


async def test_what_is_not_there_is_not_found_and_says_as_of_which_revision(api: Client) -> None:
    made = await revision_of(await put(api, "one", b"1"))

    response = await api.get("/v1/kv/none?consistency=linearizable")

    assert response.status == 404
    assert response.headers["Swarmlet-Revision"] == str(made)
    assert (await response.json())["detail"] == "no object has the key 'none'"


async def test_a_deleted_value_is_gone_and_deleting_it_again_does_no_harm(api: Client) -> None:
    made = await revision_of(await put(api, "one", b"1"))

    assert await revision_of(await api.delete("/v1/kv/one")) == made + 1
    assert await revision_of(await api.delete("/v1/kv/one")) == made + 1
    assert (await api.get("/v1/kv/one")).status == 404


@pytest.mark.parametrize("stale", [{"If_Match": '"1000"'}, {"If_None_Match": "*"}, {"query": "?revision=0"}])
async def test_a_write_meant_for_another_revision_is_refused_and_told_the_present_one(
    api: Client, stale: dict[str, str]
) -> None:
    made = await revision_of(await put(api, "one", b"1"))

    response = await put(api, "one", b"2", **stale)

    assert response.status == 412
    assert (await response.json())["revision"] == made
    assert await value_of(api, "one") == b"1"


async def test_a_write_meant_for_the_present_revision_happens(api: Client) -> None:
    first = await revision_of(await put(api, "one", b"1", If_None_Match="*"))
    second = await revision_of(await put(api, "one", b"2", If_Match=str(first)))
    third = await revision_of(await put(api, "one", b"3", f"?revision={second}"))

    response = await api.delete("/v1/kv/one", headers={"If-Match": str(second)})
    assert response.status == 412
    assert (await response.json())["revision"] == third
    assert (await api.delete(f"/v1/kv/one?revision={third}")).status == 200


async def test_of_many_conditional_writes_at_once_exactly_one_happens(api: Client) -> None:
    answers = await asyncio.gather(*(put(api, "one", b"%d" % number, "?revision=0") for number in range(20)))

    assert sorted(answer.status for answer in answers) == [200] + [412] * 19
    winner = next(number for number, answer in enumerate(answers) if answer.status == 200)
    assert await value_of(api, "one") == b"%d" % winner


async def test_a_repeated_request_is_applied_once_and_answered_alike(api: Client) -> None:
    first = await revision_of(await put(api, "one", b"1", Swarmlet_Request="client:7"))
    await put(api, "one", b"2")

    again = await revision_of(await put(api, "one", b"1", Swarmlet_Request="client:7"))

    assert again == first
    assert await value_of(api, "one") == b"2"


async def test_a_repeated_conditional_write_is_not_refused_by_its_own_success(api: Client) -> None:
    first = await revision_of(await put(api, "one", b"1", "?revision=0", Swarmlet_Request="client:1"))

    assert await revision_of(await put(api, "one", b"1", "?revision=0", Swarmlet_Request="client:1")) == first


async def test_a_request_older_than_its_clients_last_is_refused(api: Client) -> None:
    await put(api, "one", b"2", Swarmlet_Request="client:2")

    response = await put(api, "one", b"1", Swarmlet_Request="client:1")

    assert response.status == 409
    assert "older" in (await response.json())["detail"]
    assert await value_of(api, "one") == b"2"


@pytest.mark.parametrize(
    ("query", "headers", "named"),
    [
        ("", {"Swarmlet_Request": "no-sequence"}, "Swarmlet-Request"),
        ("", {"Swarmlet_Request": "client:-1"}, "Swarmlet-Request"),
        ("", {"Swarmlet_Request": f"client:{2**63}"}, "Swarmlet-Request"),
        ("", {"Swarmlet_Request": f"{'x' * 101}:1"}, "Swarmlet-Request"),
        ("", {"If_Match": "latest"}, "If-Match"),
        ("", {"If_None_Match": "5"}, "If-None-Match"),
        ("?revision=x", {}, "revision"),
        ("?revision=1", {"If_Match": "1"}, "one condition"),
    ],
)
async def test_a_malformed_condition_or_request_id_is_refused_by_name(
    api: Client, query: str, headers: dict[str, str], named: str
) -> None:
    response = await put(api, "one", b"1", query, **headers)

    assert response.status == 400
    assert named in (await response.json())["detail"]


async def test_the_stores_limits_are_told(api: Client) -> None:
    assert (await put(api, "large", bytes(1024 * 1024))).status == 200
    too_large = await put(api, "large", bytes(1024 * 1024 + 1))
    long_key = await put(api, "k" * 510, b"")

    assert too_large.status == 413
    assert "1048576 are allowed" in (await too_large.json())["detail"]
    assert long_key.status == 400


async def test_keys_are_listed_by_prefix_in_pages(api: Client) -> None:
    for key in ("a/1", "a/2", "a/3", "b/1"):
        await put(api, key, b"four")

    first = await (await api.get("/v1/kv?prefix=a/&limit=2&consistency=linearizable")).json()
    rest = await (await api.get("/v1/kv?prefix=a/&limit=2&after=a/2")).json()

    assert [(item["key"], item["size_bytes"]) for item in first["items"]] == [("a/1", 4), ("a/2", 4)]
    assert ([item["key"] for item in rest["items"]], first["more"], rest["more"]) == (["a/3"], True, False)


async def test_values_are_no_part_of_the_clusters_typed_state(tmp_path: Path) -> None:
    async with a_peer(tmp_path) as peer, an_api(peer) as api:
        await put(api, "tasks/x", b"no task")

        assert peer.consensus.replica.undecodable == 0
        assert not peer.consensus.replica.state.tasks
        assert await value_of(api, "tasks/x") == b"no task"
