"""A replica whose state went wrong is found by the others' hashes, says so, and heals itself; on real nodes."""

from pathlib import Path

from drivers_builders import Nodes, nodes, puts, until

from swarmlet.raft import Persist
from swarmlet.storage import RaftStorage
from swarmlet.store import Store
from swarmlet.store.agreement import HASH_EVERY


async def write_past_an_agreed_index(made: Nodes) -> None:
    leader = await made.led()
    for number in range(HASH_EVERY + 1):
        await leader.consensus.submit(puts(f"kv/{number}/", 2))
    await made.all_applied()


async def test_a_follower_that_went_wrong_is_found_reported_and_healed_on_its_disk_too(tmp_path: Path) -> None:
    async with nodes(tmp_path) as made:
        wrong = made.follower()
        wrong.corrupt("kv/ghost", b"never written")

        await write_past_an_agreed_index(made)
        await until(lambda: wrong.guard.counters["heals"] == 1 and wrong.consensus.snapshots.taken == 1)

        assert wrong.consensus.store.get("kv/ghost") is None
        assert not wrong.guard.problems()
        assert len(made.hashes()) == 1
        await until(lambda: all(node.guard.counters["divergences"] for node in made))
        await made.stop(made.name_of(wrong))
        with RaftStorage.open(wrong.path) as storage:
            snapshot = storage.load().snapshot
        assert snapshot is not None
        assert Store.restore(snapshot.data).get("kv/ghost") is None


async def test_a_leader_that_went_wrong_steps_down_and_is_healed(tmp_path: Path) -> None:
    async with nodes(tmp_path) as made:
        wrong = await made.led()
        wrong.corrupt("kv/ghost", b"never written")

        await write_past_an_agreed_index(made)
        await until(lambda: wrong.guard.counters["heals"] == 1)

        assert not wrong.consensus.is_leader
        assert wrong.consensus.store.get("kv/ghost") is None


async def test_writes_go_on_while_a_node_is_healed(tmp_path: Path) -> None:
    async with nodes(tmp_path) as made:
        wrong = made.follower()
        wrong.corrupt("kv/ghost", b"never written")
        await write_past_an_agreed_index(made)

        count = 0
        while wrong.guard.counters["heals"] == 0:
            await (await made.led()).consensus.submit(puts(f"more/{count}/", 3))
            count += 1

        await made.all_applied()
        assert len(made.hashes()) == 1
        assert len(wrong.consensus.store.scan("more/")) == 3 * count


async def test_a_state_that_was_altered_on_the_disk_is_found_after_the_start(tmp_path: Path) -> None:
    async with nodes(tmp_path, snapshot_every=100) as made:
        for _ in range(2):
            await write_past_an_agreed_index(made)
        victim = made.follower()
        name = made.name_of(victim)
        await until(lambda: victim.consensus.snapshots.taken)
        await made.stop(name)
        alter_snapshot(victim.path)

        again = await made.start(name)
        await until(lambda: made.leader)
        await write_past_an_agreed_index(made)
        await until(lambda: again.guard.counters["heals"] == 1)

        assert again.consensus.store.get("kv/ghost") is None
        await made.all_applied()
        assert len(made.hashes()) == 1


def alter_snapshot(path: Path) -> None:
    """Another state under the same index, written whole and with good checksums."""
    with RaftStorage.open(path) as storage:
        restored = storage.load()
        snapshot = restored.snapshot
        assert snapshot is not None
        store = Store.restore(snapshot.data)
        store._keep("kv/ghost", b"never written", 1, 1)
        store._sorted_keys = sorted(store._rows)
        altered = type(snapshot)(snapshot.last_index, snapshot.last_term, snapshot.membership, store.snapshot())
        storage._database.write([Persist(0, None, None, (), altered, None)])
        written = storage.load().snapshot
        assert written is not None and Store.restore(written.data).get("kv/ghost") is not None


async def test_two_voters_that_disagree_are_reported_and_left_alone(tmp_path: Path) -> None:
    async with nodes(tmp_path) as made:
        for name, value in (("a", b"1"), ("b", b"2")):
            made.by_name[name].corrupt("kv/ghost", value)

        await write_past_an_agreed_index(made)
        await until(lambda: all(node.guard.problems() for node in made))

        assert all("no majority" in node.guard.problems()[0] for node in made)
        assert all(node.guard.counters["heals"] == 0 for node in made)


async def test_nodes_that_agree_find_nothing(tmp_path: Path) -> None:
    async with nodes(tmp_path) as made:
        await write_past_an_agreed_index(made)
        await until(lambda: all(len(node.membership.state_hashes) == 3 for node in made))

        assert all(node.guard.counters == {"divergences": 0, "heals": 0, "heals_failed": 0} for node in made)
        assert not any(node.guard.problems() for node in made)
