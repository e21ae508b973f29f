"""A write is applied once, whoever is asked how often, and refused with its reason where there is no room."""

from pathlib import Path

import pytest
from drivers_builders import Node, Nodes, nodes, puts, until

from swarmlet.drivers.consensus import SUBMIT
from swarmlet.model.transaction import Delete, Put, RequestId, Transaction
from swarmlet.store import Room, StoreFull, TransactionResult, decode_result, encode_transaction
from swarmlet.transport import RemoteError


async def ask(node: Node, leader: Node, transaction: Transaction) -> TransactionResult:
    """As another node does: straight to one leader, without trying again."""
    return decode_result(await node.network.call(leader.id, SUBMIT, encode_transaction(transaction), 5.0))


async def hand_over(made: Nodes) -> Node:
    """The new leader."""
    old = await made.led()
    old.consensus.transfer_leadership()
    await until(lambda: made.leader not in (None, old))
    return await made.led()


def a_write(sequence: int, value: bytes = b"1") -> Transaction:
    return Transaction((), (Put("kv/a", value),), RequestId("client", sequence))


async def test_a_retry_through_another_leader_is_applied_once(tmp_path: Path) -> None:
    async with nodes(tmp_path) as made:
        client = made.follower()
        first = await ask(client, await made.led(), a_write(1))

        again = await ask(client, await hand_over(made), a_write(1))
        late = await ask(client, await made.led(), a_write(0, b"old"))

        assert (again.revision, again.succeeded, again.duplicate) == (first.revision, True, True)
        assert late.superseded
        await made.all_applied()
        assert len(made.hashes()) == 1
        found = client.consensus.store.get("kv/a")
        assert found is not None and (found.value, found.modified_revision) == (b"1", first.revision)


async def test_a_retry_is_known_to_a_leader_that_has_the_first_attempt_from_a_snapshot(tmp_path: Path) -> None:
    async with nodes(tmp_path, snapshot_every=100) as made:
        leader = await made.led()
        first = await ask(made.follower(), leader, a_write(1))
        for number in range(110):
            await leader.consensus.submit(puts(f"kv/{number}/", 1))
        await until(lambda: all(node.consensus.snapshots.taken for node in made))
        for name in list(made.by_name):
            await made.stop(name)
        for name in "abc":
            await made.start(name)

        again = await ask(made.follower(), await made.led(), a_write(1))

        assert (again.revision, again.duplicate) == (first.revision, True)


async def test_many_writes_during_changes_of_leader_are_each_applied_once(tmp_path: Path) -> None:
    async with nodes(tmp_path) as made:
        client = made.by_name["c"]
        start = client.consensus.store.revision

        for number in range(60):
            if number % 20 == 10:
                await hand_over(made)
            result = await client.consensus.submit(Transaction((), (Put("kv/a", bytes([number])),)))
            assert result.succeeded

        kv = [change for change in client.consensus.store.changes_since(start) if change.key == "kv/a"]
        assert [change.value for change in kv] == [bytes([number]) for number in range(60)]


async def test_a_full_store_refuses_through_any_node_and_can_be_emptied(tmp_path: Path) -> None:
    async with nodes(tmp_path) as made:
        leader, other = await made.led(), made.follower()
        await leader.consensus.submit(puts("kv/", 10, 10_000))
        leader.consensus.room = Room(size_bytes_max=leader.consensus.store.size_bytes + 5_000)

        with pytest.raises(StoreFull):
            await leader.consensus.submit(puts("more/", 1, 10_000))
        with pytest.raises(RemoteError, match="the store is full") as refused:
            await other.consensus.submit(puts("more/", 1, 10_000))
        assert refused.value.code == StoreFull.__name__

        await other.consensus.submit(Transaction((), (Delete("kv/0000"),)))
        assert (await other.consensus.submit(puts("more/", 1, 10_000))).succeeded
