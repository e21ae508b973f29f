"""The benchmark replays a backup: whoever has a slow case can bring it."""

from pathlib import Path

from benchmarks.scheduler_replay import replay_rows
from swarmlet.controllers import stacks
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import Node, NodeStatus
from swarmlet.model.spec import Mode, Resources, ServiceSpec, StackSpec, TaskTemplate
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Transaction, put
from swarmlet.recovery.backup_file import BackupHead, BackupWriter
from swarmlet.store import Store


def a_backup(path: Path, nodes: int) -> Path:
    template = TaskTemplate(image="web:1", reservations=Resources(cpus=1))
    services = {
        "web": ServiceSpec(name="web", template=template, replicas=5),
        "log": ServiceSpec(name="log", template=TaskTemplate(image="log:1"), mode=Mode.GLOBAL),
    }
    store = Store()
    up = [Node(id=NodeId(f"n{i}"), name=f"n{i}", status=NodeStatus.UP, status_since=1.0) for i in range(nodes)]
    store.apply(1, Transaction((), tuple(put(node.key, node) for node in up)))
    store.apply(2, stacks.deploy(ClusterState(), StackSpec(name="shop", services=services), 1.0))
    writer = BackupWriter()
    head = BackupHead("swarmlet", "n0", store.revision, 2, 1, 1.0, "0")
    begin = writer.begin(head)
    pieces = [writer.piece(piece) for piece in store.view().pieces()]
    path.write_bytes(b"".join([begin, *pieces, writer.end()]))
    return path


def test_all_services_of_a_backup_are_placed_anew_as_far_as_there_is_room(tmp_path: Path) -> None:
    backup = a_backup(tmp_path / "backup", nodes=3)

    roomy = {row.name: row.value for row in replay_rows(backup, Resources(cpus=4, memory_bytes=1 << 30), 1)}
    tight = {row.name: row.value for row in replay_rows(backup, Resources(cpus=1, memory_bytes=1 << 30), 1)}

    assert "8 tasks on 3 nodes" in roomy
    assert roomy["tasks that find no place"] == 0
    assert tight["tasks that find no place"] == 2, "three nodes have room for three of five"
    assert roomy["most tasks on a node, beside the cluster's"] == 3
