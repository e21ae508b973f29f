import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address
from swarmlet.storage import DataDirectory, DirectoryDamaged, DirectoryInUse, DirectoryOwned, DirectoryUnusable

A, B = NodeId("aaaa"), NodeId("bbbb")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lib" / "swarmlet"


def opened(path: Path, cluster: str = "swarmlet", name: str = "node1") -> DataDirectory:
    return DataDirectory.open(path, cluster, name)


def test_the_first_start_makes_a_private_directory_and_an_id(path: Path) -> None:
    with opened(path) as directory:
        assert len(directory.node_id) == 16
        assert (directory.name, directory.cluster, directory.path) == ("node1", "swarmlet", path)

    assert path.stat().st_mode & 0o777 == 0o700
    assert (path / "identity.json").stat().st_mode & 0o777 == 0o600


def test_a_node_keeps_its_id(path: Path) -> None:
    with opened(path) as first:
        pass
    with opened(path) as second:
        assert second.node_id == first.node_id


def test_two_directories_have_two_ids(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as one, opened(tmp_path / "b") as other:
        assert one.node_id != other.node_id


def test_a_directory_that_was_there_keeps_its_mode(path: Path) -> None:
    path.mkdir(parents=True)
    path.chmod(0o750)

    opened(path).close()

    assert path.stat().st_mode & 0o777 == 0o750


def test_a_second_agent_is_refused_in_one_clear_line(path: Path) -> None:
    with opened(path):
        with pytest.raises(DirectoryInUse) as refused:
            opened(path)
        assert str(refused.value).startswith(f"data directory {path} is in use by another agent")

    opened(path).close()


def test_the_lock_holds_between_processes_and_ends_with_them(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from swarmlet.storage import DataDirectory\n"
        f"DataDirectory.open(Path({str(path)!r}), 'swarmlet', 'node1'); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(DirectoryInUse):
            opened(path)
        other.kill()

    opened(path).close()


@pytest.mark.parametrize(
    ("cluster", "name", "what", "owner"),
    [("other", "node1", "cluster", "swarmlet"), ("swarmlet", "node2", "name", "node1")],
)
def test_a_directory_of_another_cluster_or_node_is_refused_and_left_as_it_is(
    path: Path, cluster: str, name: str, what: str, owner: str
) -> None:
    opened(path).close()
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.iterdir()}

    with pytest.raises(DirectoryOwned) as refused:
        opened(path, cluster, name)

    assert (refused.value.what, refused.value.owner) == (what, owner)
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.iterdir()} == before
    opened(path).close()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1, "node_id": "", "name": "node1", "cluster": "c"}'])
def test_a_damaged_identity_is_never_replaced(path: Path, content: str) -> None:
    opened(path).close()
    (path / "identity.json").write_text(content)

    with pytest.raises(DirectoryDamaged, match=r"identity\.json can't be read"):
        opened(path)

    assert (path / "identity.json").read_text() == content


def test_an_identity_of_a_later_format_is_not_guessed_at(path: Path) -> None:
    opened(path).close()
    file = path / "identity.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 2}))

    with pytest.raises(DirectoryDamaged, match="it is no identity of format 1"):
        opened(path)


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(DirectoryUnusable, match="Not a directory"):
        opened(tmp_path / "file")


def test_a_crash_between_writing_and_renaming_leaves_the_old_file(path: Path) -> None:
    with opened(path) as directory:
        directory.save_peers({A: Address("10.0.0.1", 1)})
        (path / "peers.json.new").write_text("{half")

        assert directory.load_peers() == {A: Address("10.0.0.1", 1)}
        directory.save_peers({B: Address("10.0.0.2", 2)})
        assert directory.load_peers() == {B: Address("10.0.0.2", 2)}
        assert not (path / "peers.json.new").exists()


def test_peers_are_remembered_from_one_start_to_the_next(path: Path) -> None:
    peers = {A: Address("10.77.0.1", 8421), B: Address("fd00::1", 8421)}
    with opened(path) as directory:
        assert directory.load_peers() == {}
        directory.save_peers(peers)

    with opened(path) as directory:
        assert directory.load_peers() == peers


def test_peers_that_did_not_change_are_not_written_again(path: Path) -> None:
    with opened(path) as directory:
        directory.save_peers({A: Address("10.77.0.1", 8421)})
        os.utime(path / "peers.json", ns=(1, 1))

        directory.save_peers({A: Address("10.77.0.1", 8421)})

        assert (path / "peers.json").stat().st_mtime_ns == 1


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": ["10.0.0.1", "x"]}', '{"a": ["10.0.0.1"]}'])
def test_a_damaged_peers_file_is_ignored(path: Path, content: str) -> None:
    with opened(path) as directory:
        (path / "peers.json").write_text(content)

        assert directory.load_peers() == {}


def test_the_bootstrap_right_is_granted_to_one_node_for_ever(path: Path) -> None:
    with opened(path) as directory:
        assert directory.grant(A)
        assert directory.grant(A)
        assert not directory.grant(B)

    with opened(path) as directory:
        assert not directory.grant(B)
        assert directory.grant(A)


@pytest.mark.parametrize("content", ["", "{}", '{"granted_to": null}'])
def test_a_grant_that_can_not_be_read_is_not_given_again(path: Path, content: str) -> None:
    with opened(path) as directory:
        (path / "grant.json").write_text(content)

        with pytest.raises(DirectoryDamaged):
            directory.grant(A)


def test_each_start_has_a_generation_of_its_own_that_only_grows(path: Path) -> None:
    with opened(path) as directory:
        assert directory.next_generation() == 1

    with opened(path) as directory:
        assert [directory.next_generation(), directory.next_generation()] == [2, 3]


@pytest.mark.parametrize("content", ["", "{}", '{"generation": "7"}'])
def test_a_generation_that_can_not_be_read_does_not_begin_anew(path: Path, content: str) -> None:
    with opened(path) as directory:
        (path / "generation.json").write_text(content)

        with pytest.raises(DirectoryDamaged):
            directory.next_generation()
