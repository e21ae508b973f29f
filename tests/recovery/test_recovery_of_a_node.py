"""What restoring and recovering leave on a stopped node's disk."""

import sqlite3
from pathlib import Path

import pytest

from swarmlet.config import Config
from swarmlet.model.ids import NodeId
from swarmlet.model.transaction import Put, Transaction
from swarmlet.raft import Entry, EntryKind, HardState, LostTail, Membership, RestoredState, encode_membership
from swarmlet.recovery.backup_file import BackupHead, BackupWriter, save
from swarmlet.recovery.errors import HasState, NoState, NothingKnown, OtherCluster
from swarmlet.recovery.recover import recover_discard, recover_survivor
from swarmlet.recovery.restore import restore
from swarmlet.storage import DataDirectory, Lineage, RaftStorage, set_log_aside
from swarmlet.storage.aside import NOTE_FILE, NewLog, finish_setting_aside
from swarmlet.storage.progress import mark_path
from swarmlet.store import Store, encode_transaction

A, B, C = (NodeId(name * 16) for name in "abc")
LINEAGE = Lineage("log", 3, "r")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "node.toml"
    file.write_text(f'name = "node1"\naddress = "127.0.0.9:8421"\ndata_dir = "{tmp_path}/data"\n')
    return Config.load(file)


def log_of(config: Config) -> Path:
    return config.data_dir / "raft.db"


def a_voter(config: Config) -> tuple[Entry, ...]:
    """A log of five entries, as a voter among three has it."""
    membership = encode_membership(Membership(frozenset({A, B, C})))
    writes = (encode_transaction(Transaction((), (Put(f"kv/{number}", b"x"),))) for number in range(4))
    entries = (
        Entry(1, 1, EntryKind.MEMBERSHIP, membership),
        *(Entry(index, 2, EntryKind.NORMAL, data) for index, data in enumerate(writes, start=2)),
    )
    node_id(config)
    with RaftStorage.open(log_of(config)) as storage:
        storage.load()
        storage.initialize(RestoredState(HardState(4, B), None, entries), LINEAGE)
    return entries


def on_disk(config: Config) -> tuple[RestoredState, Lineage]:
    with RaftStorage.open(log_of(config)) as storage:
        return storage.load(), storage.lineage


def node_id(config: Config) -> NodeId:
    with DataDirectory.open(config.data_dir, config.cluster, config.name) as data:
        return data.node_id


# A survivor


def test_nothing_is_changed_before_it_is_confirmed(config: Config) -> None:
    a_voter(config)
    before = on_disk(config)

    found = recover_survivor(config, lambda _: False)

    assert (found.last_index, found.last_term, found.term, found.revision) == (5, 2, 4, 4)
    assert set(found.voters) == {A, B, C}
    assert on_disk(config) == before


def test_a_survivor_keeps_its_log_and_is_the_only_voter_of_a_new_epoch(config: Config) -> None:
    entries = a_voter(config)

    recover_survivor(config, lambda _: True)

    restored, lineage = on_disk(config)
    alone = Entry(6, 5, EntryKind.MEMBERSHIP, encode_membership(Membership(frozenset({node_id(config)}))))
    assert restored == RestoredState(HardState(5, None), None, (*entries, alone))
    assert (lineage.log_id, lineage.epoch) == ("log", 4)
    assert lineage.recovery != "r"


def test_a_survivor_whose_disk_lost_entries_is_told_so_and_goes_on_without_them(config: Config) -> None:
    a_voter(config)
    with sqlite3.connect(log_of(config)) as connection:
        connection.execute("DELETE FROM log WHERE position = 5")
    connection.close()

    found = recover_survivor(config, lambda _: True)

    assert found.lost_tail == LostTail(5, 4)
    assert any("LOST acknowledged entries" in line for line in found.lines())
    assert on_disk(config)[0].lost_tail is None


def test_a_node_that_has_nothing_is_no_survivor(config: Config) -> None:
    with pytest.raises(NoState):
        recover_survivor(config, lambda _: True)


# A damaged log


@pytest.mark.parametrize("damage", ["database", "mark"])
def test_who_gives_up_its_log_keeps_its_vote_and_what_it_owes(config: Config, damage: str) -> None:
    a_voter(config)
    spoilt = log_of(config) if damage == "database" else mark_path(log_of(config))
    spoilt.write_bytes(b"spoilt" * 1000)

    kept = recover_discard(config, lambda _: True)

    assert kept is not None
    assert (kept / spoilt.name).read_bytes() == b"spoilt" * 1000
    assert on_disk(config) == (RestoredState(HardState(4, B), None, (), LostTail(5, 4)), LINEAGE)


def test_who_no_longer_knows_what_it_promised_cant_keep_its_id(config: Config) -> None:
    a_voter(config)
    for file in (log_of(config), mark_path(log_of(config))):
        file.write_bytes(b"spoilt" * 1000)

    with pytest.raises(NothingKnown, match="becomes a new node"):
        recover_discard(config, lambda _: True)

    assert log_of(config).read_bytes() == b"spoilt" * 1000


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_crash_while_a_log_is_set_aside_is_made_good_at_the_next_start(
    config: Config, moved: int, tmp_path: Path
) -> None:
    a_voter(config)
    log = log_of(config)
    names = [log.name, mark_path(log).name]
    set_log_aside(log, "once", NewLog(LINEAGE))  # to have a note as it is written
    for file in (log, mark_path(log)):
        file.unlink()
    (kept,) = (log.parent / "aside").iterdir()
    for name in names[moved:]:
        (kept / name).rename(log.parent / name)
    kept.rename(kept.with_name(kept.name + ".new"))
    note = '{"kept": "%s", "lineage": ["log", 3, "r"], "term": 4, "voted_for": "x", "lost_index": 5, "lost_term": 4}'
    (log.parent / NOTE_FILE).write_text(note % kept.name)

    finish_setting_aside(log)

    assert on_disk(config) == (RestoredState(HardState(4, NodeId("x")), None, (), LostTail(5, 4)), LINEAGE)
    assert sorted(file.name for file in kept.iterdir()) == sorted(names)
    assert not (log.parent / NOTE_FILE).exists()


# A backup


def a_backup(path: Path, cluster: str = "swarmlet") -> Path:
    store = Store()
    store.apply(3, Transaction((), (Put("kv/kept", b"yes"), Put("nodes/old", b"x"), Put("tasks/old", b"x"))))
    writer = BackupWriter()
    head = BackupHead(cluster, "node1", store.revision, index=9, term=2, taken_at=0.0, version="0")
    save(path, [writer.begin(head), *map(writer.piece, store.view().pieces()), writer.end()])
    return path


def test_a_backup_becomes_the_state_of_a_new_log_without_the_old_nodes_and_tasks(
    config: Config, tmp_path: Path
) -> None:
    restore(config, a_backup(tmp_path / "b"))

    restored, lineage = on_disk(config)
    assert restored.snapshot is not None
    assert restored.snapshot.membership == Membership(frozenset({node_id(config)}))
    assert (restored.snapshot.last_index, restored.snapshot.last_term) == (10, 2)
    assert [found.key for found in Store.restore(restored.snapshot.data).scan("")] == ["kv/kept"]
    assert lineage.epoch == 1 and lineage.log_id


def test_a_backup_is_not_restored_over_a_state(config: Config, tmp_path: Path) -> None:
    entries = a_voter(config)

    with pytest.raises(HasState):
        restore(config, a_backup(tmp_path / "b"))

    assert on_disk(config)[0].entries == entries


def test_a_backup_of_another_cluster_is_restored_only_when_that_is_asked_for(config: Config, tmp_path: Path) -> None:
    file = a_backup(tmp_path / "b", cluster="other")

    with pytest.raises(OtherCluster, match="set `cluster` to 'other'"):
        restore(config, file)
    assert not config.data_dir.exists()

    restore(config, file, other_cluster=True)
    assert on_disk(config)[0].snapshot is not None
