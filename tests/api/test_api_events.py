"""What a client of the event stream gets: all changes, again where it was cut off, or word of what it can't have."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientResponse
from api_builders import NODE, a_peer, an_api

from swarmlet.api.peer import Peer
from swarmlet.api.schema import EventView
from swarmlet.model.transaction import Delete, Put, Transaction
from swarmlet.raft import Membership, Persist, Snapshot
from swarmlet.storage import RaftStorage
from swarmlet.store import Store
from swarmlet.store.history import CHANGES_MAX

DEADLINE_S = 10.0
Frame = tuple[int | None, EventView]


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    async with a_peer(tmp_path) as made:
        yield made


async def write(peer: Peer, *operations: Put | Delete) -> int:
    return (await peer.consensus.submit(Transaction((), operations, reason="test"))).revision


async def frames(response: ClientResponse, count: int) -> list[Frame]:
    """The next events with their ids."""
    found: list[Frame] = []
    event_id: int | None = None
    while len(found) < count:
        async with asyncio.timeout(DEADLINE_S):
            line = (await response.content.readline()).decode().rstrip("\n")
        if line.startswith("id: "):
            event_id = int(line[4:])
        elif line.startswith("data: "):
            found.append((event_id, EventView.model_validate_json(line[6:])))
            event_id = None
        elif not line:
            event_id = None
    return found


async def test_a_stream_begins_at_the_revision_asked_for(peer: Peer) -> None:
    start = await write(peer, Put("kv/a", b"1"))
    await write(peer, Put("kv/b", b"2"))
    await write(peer, Delete("kv/a"))

    async with an_api(peer) as client, client.get("/v1/events", headers={"Last-Event-ID": str(start)}) as response:
        events = await frames(response, 2)

    assert [(event_id, event.kind, event.key) for event_id, event in events] == [
        (start + 1, "put", "kv/b"),
        (start + 2, "delete", "kv/a"),
    ]


async def test_a_client_that_was_cut_off_within_a_transaction_gets_all_of_it_again(peer: Peer) -> None:
    start = await write(peer, Put("kv/a", b"1"))
    revision = await write(peer, *(Put(f"kv/{key}", b"2") for key in "bcd"))

    async with an_api(peer) as client, client.get(f"/v1/events?from={start}") as response:
        ids = [event_id for event_id, _ in await frames(response, 3)]

    assert ids == [None, None, revision], "only the end of the transaction is a place to resume from"


async def test_a_stream_without_a_start_says_where_it_begins(peer: Peer) -> None:
    revision = await write(peer, Put("kv/a", b"1"))

    async with an_api(peer) as client, client.get("/v1/events") as response:
        assert await response.content.readline() == f"id: {revision}\n".encode()


async def test_a_revision_that_is_no_longer_kept_is_gone(peer: Peer) -> None:
    await write(peer, Put("kv/a", b""))
    for start in range(0, CHANGES_MAX, 1_000):
        await write(peer, *(Put(f"kv/{start + number}", b"") for number in range(1_000)))

    async with an_api(peer) as client, client.get("/v1/events?from=0") as response:
        problem = await response.json()

    assert response.status == 410
    assert "not all changes after revision 0 are kept" in problem["detail"]


async def test_a_revision_of_another_history_is_gone(peer: Peer) -> None:
    await write(peer, Put("kv/a", b""))

    async with an_api(peer) as client, client.get("/v1/events?from=77") as response:
        assert response.status == 410


@pytest.mark.parametrize("writes", [0, 3], ids=["which went back", "which went on"])
async def test_a_follower_of_a_store_that_is_replaced_is_told_of_the_gap(peer: Peer, writes: int) -> None:
    for _ in range(2):
        await write(peer, Put("kv/a", b"1"))
    other = Store()
    for index in range(writes):
        other.apply(index + 1, Transaction((), (Put("kv/other", b""),)))

    async with an_api(peer) as client, client.get("/v1/events") as response:
        assert (await response.content.readline()).startswith(b"id: 2")
        peer.consensus.machine.heal(Store.restore(other.snapshot()))
        ((event_id, event),) = await frames(response, 1)
        rest = await response.content.read()

    assert (event_id, event.kind) == (None, "compacted")
    assert rest.strip() == b"", "the stream ends with it"


async def test_what_is_no_revision_is_refused(peer: Peer) -> None:
    async with an_api(peer) as client, client.get("/v1/events?from=soon") as response:
        assert response.status == 400


async def test_a_restarted_peer_replays_what_came_after_its_snapshot_and_says_when_it_cannot(tmp_path: Path) -> None:
    async with a_peer(tmp_path) as peer:
        for number in range(3):
            await write(peer, Put(f"kv/{number}", b"1"))
        snapshot = Snapshot(
            peer.consensus.applied_index, 1, Membership(frozenset({NODE})), peer.consensus.store.snapshot()
        )
        await write(peer, Put("kv/after", b"1"))
    with RaftStorage.open(tmp_path / "raft.db") as storage:
        storage.load()
        storage._database.write([Persist(0, None, None, (), snapshot, snapshot.last_index)])

    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        await peer.consensus.barrier()
        async with client.get("/v1/events?from=3") as response:
            ((event_id, event),) = await frames(response, 1)
        async with client.get("/v1/events?from=2") as response:
            assert response.status == 410

    assert (event_id, event.key) == (4, "kv/after")
