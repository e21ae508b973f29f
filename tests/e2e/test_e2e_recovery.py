"""Disasters, and the commands that end them: real agents on loopback, real files, a disk that really fails."""

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import EXAMPLE, ROOT, SWARMLET, Agent, ApiFailure, Cluster, ask, cluster, eventually

FILE_SYSTEM_BYTES = 8 * 1024 * 1024


@pytest.fixture(scope="module")
def made() -> Iterator[Cluster]:
    with cluster(3, "process") as made:
        made.start()
        made.agents[0].cli("deploy", "hello", str(EXAMPLE))
        yield made


@pytest.fixture(autouse=True)
def whole(made: Cluster) -> None:
    """Each test finds three agents at their own addresses, all of them voters, and a stack that runs."""
    for agent in made.agents:
        if agent not in made.alive():
            agent.start(made.addresses)
    made.wait_formed(30)
    made.wait_converged("hello", 60)


def put(agent: Agent, key: str, value: str) -> None:
    agent.cli("kv", "put", key, value)


def get(agent: Agent, key: str) -> str | None:
    done = agent.cli("kv", "get", key, check=False)
    return done.stdout if done.returncode == 0 else None


def offline(made: Cluster, agent: Agent, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command that works on the data directory of an agent which does not run."""
    config = ROOT / "configs" / f"node{agent.host.index}.toml"
    settings = ["--config", str(config), *agent.settings(made.addresses), "--set", f"name={agent.name}"]
    return agent.cli(*words, *settings, check=check)


def problems(agent: Agent) -> str:
    return "\n".join(agent.get("/v1/status")["problems"])


def gauge(agent: Agent, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", agent.get("/metrics"), re.MULTILINE)
    assert found is not None, name
    return float(found[1])


# A disk that fails


class FullFileSystem:
    """The agent's data directory on a small file system that somebody else fills."""

    def __init__(self, made: Cluster, agent: Agent) -> None:
        self._agent, self._there = agent, made.addresses
        agent.stop()
        self._before = agent.data_directory.rename(agent.data_directory.with_name("data.before"))
        agent.data_directory.mkdir(mode=0o700)
        options = f"size={FILE_SYSTEM_BYTES},mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(agent.data_directory)], check=True)
        shutil.copytree(self._before, agent.data_directory, dirs_exist_ok=True, symlinks=True)
        agent.start(made.addresses)
        made.wait_formed(30)

    def fail(self) -> None:
        with (self._agent.data_directory / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def heal(self) -> None:
        (self._agent.data_directory / "ballast").unlink()

    def close(self) -> None:
        self._agent.stop()
        shutil.rmtree(self._before)
        shutil.copytree(self._agent.data_directory, self._before, symlinks=True)
        # Lazily: containers that were started meanwhile outlive the agent, and write their logs there.
        subprocess.run(["umount", "--lazy", str(self._agent.data_directory)], check=True)
        self._agent.data_directory.rmdir()
        self._before.rename(self._agent.data_directory)


class FileSizeLimit:
    """Every write beyond a few hundred kilobytes of a file fails (EFBIG), which SQLite reports as an I/O error."""

    def __init__(self, made: Cluster, agent: Agent) -> None:
        self._agent = agent

    def fail(self) -> None:
        assert self._agent.process is not None
        limit = self._agent.log_file.stat().st_size + 128 * 1024
        resource.prlimit(self._agent.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def heal(self) -> None:
        assert self._agent.process is not None
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(self._agent.process.pid, resource.RLIMIT_FSIZE, unlimited)

    def close(self) -> None:
        if self._agent.process is not None:
            self.heal()


@pytest.mark.parametrize("kind", [FullFileSystem, FileSizeLimit])
def test_a_leader_whose_disk_fails_hands_over_serves_and_comes_back_by_itself(
    made: Cluster, kind: Callable[[Cluster, Agent], Any]
) -> None:
    if kind is FullFileSystem and os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    failing = made.agents[0]
    disk = kind(made, failing)
    try:
        others = [agent for agent in made.agents if agent is not failing]
        _make_leader(made, failing)
        put(failing, "before", "yes")
        disk.fail()

        def refused() -> bool:
            put(others[0], "filling", "x" * 60_000)
            return gauge(failing, "swarmlet_storage_failed") == 1

        eventually("the disk fails", refused, 30)
        assert "can't be written" in problems(failing)
        eventually("another leads", lambda: made.leader() is not failing)
        put(others[1], "meanwhile", "yes")
        assert failing.get("/v1/kv/before") == "yes"
        assert ask(failing.host.address)

        disk.heal()

        eventually("it has caught up", lambda: get(failing, "meanwhile") == "yes", 20)
        eventually("nothing is wrong any more", lambda: not problems(failing), 20)
        assert gauge(failing, "swarmlet_storage_failed") == 0
    finally:
        disk.close()


def _make_leader(made: Cluster, agent: Agent) -> None:
    """The leader is stopped while the third agent stands still: there is nobody but this one to hand over to."""
    leader = made.leader()
    if leader is agent:
        return
    (third,) = (each for each in made.agents if each not in (leader, agent))
    third.signal(signal.SIGSTOP)
    try:
        eventually("the leader misses the third", lambda: _status_of(third, leader) != "up")
        leader.stop()
    finally:
        third.signal(signal.SIGCONT)
    eventually("it leads", lambda: made.leader() is agent)
    leader.start(made.addresses)
    made.wait_formed(30)
    assert made.leader() is agent


def _status_of(agent: Agent, asked: Agent) -> str:
    nodes = asked.get("/v1/nodes")["items"]
    return next(str(node["status"]) for node in nodes if node["name"] == agent.name)


# A damaged log


def test_an_agent_with_a_damaged_log_says_so_and_gets_it_anew_under_its_id(made: Cluster) -> None:
    agent = made.agents[2]
    node_id = agent.get("/v1/status")["node_id"]
    put(agent, "agreed", "yes")
    agent.stop()
    log = agent.data_directory / "raft.db"
    content = bytearray(log.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    log.write_bytes(content)

    agent.start(made.addresses)
    assert agent.process is not None
    assert agent.process.wait(20) == 1
    assert "swarmlet recover --discard" in agent.log_file.read_text().splitlines()[-1]

    told = offline(made, agent, "recover", "--discard", check=False)
    assert told.returncode == 1
    assert "nothing was changed" in told.stderr
    offline(made, agent, "recover", "--discard", "--yes")
    agent.start(made.addresses)

    made.wait_formed(30)
    eventually("it has the log", lambda: get(agent, "agreed") == "yes")
    assert agent.get("/v1/status")["node_id"] == node_id
    eventually("it may vote again", lambda: gauge(agent, "swarmlet_storage_lost_tail") == 0)


# All addresses are new


def test_a_cluster_whose_hosts_all_have_new_addresses_comes_back_by_itself(made: Cluster) -> None:
    put(made.agents[0], "moved", "yes")
    before = {agent.name: agent.get("/v1/status")["node_id"] for agent in made.agents}
    for agent in made.agents:
        agent.stop()

    moved = {agent.name: f"127.0.0.{agent.host.index + 40}" for agent in made.agents}
    for agent in made.agents:
        address = moved[agent.name]
        settings = {
            "address": f"{address}:8421",
            "api.listen": f"{address}:8420",
            "proxy.listen_address": address,
            "join": json.dumps([f"{other}:8421" for name, other in moved.items() if name != agent.name]),
        }
        agent.start(made.addresses, *(word for pair in settings.items() for word in ("--set", "=".join(pair))))

    made.wait_formed(30)
    assert {agent.name: agent.get("/v1/status")["node_id"] for agent in made.agents} == before
    assert all(get(agent, "moved") == "yes" for agent in made.agents)
    assert ask(moved["node1"])
    for agent in made.agents:
        agent.stop()


# A lost quorum


def test_one_survivor_goes_on_and_those_taken_for_dead_join_it_by_themselves(made: Cluster) -> None:
    survivor, *dead = made.agents
    put(survivor, "agreed", "yes")
    survivor.stop()
    put(dead[0], "only-on-the-dead", "yes")
    for agent in dead:
        agent.kill()

    found = offline(made, survivor, "recover", "--survivor", check=False)
    assert found.returncode == 1
    assert "the voters were: node1, node2, node3" in found.stderr
    assert re.search(r"LOST is whatever node2, node3 agreed on after entry \d+", found.stderr)
    offline(made, survivor, "recover", "--survivor", "--yes")
    survivor.start(made.addresses)
    eventually("it leads alone", lambda: survivor.get("/v1/status")["voters"] == ["node1"])
    put(survivor, "after", "yes")
    for agent in dead:
        agent.start(made.addresses)

    made.wait_formed(40)
    for agent in made.agents:
        eventually("it has what the survivor has", lambda agent=agent: get(agent, "after") == "yes")
        assert (get(agent, "agreed"), get(agent, "only-on-the-dead")) == ("yes", None)
    assert all(list((agent.data_directory / "aside").glob("*-superseded/raft.db")) for agent in dead)
    made.wait_converged("hello", 60)


# Backups


def test_a_backup_from_any_peer_becomes_a_new_cluster(made: Cluster, tmp_path: Path) -> None:
    put(made.agents[0], "kept", "yes")
    files = [tmp_path / f"{agent.name}.backup" for agent in made.agents]
    for agent, file in zip(made.agents, files, strict=True):
        agent.cli("backup", str(file))
        assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(tmp_path.iterdir()) == sorted(files)
    put(made.agents[0], "later", "yes")
    refused = offline(made, made.agents[0], "restore", str(files[1]), check=False)
    assert "in use by another agent" in refused.stderr
    for agent in made.agents:
        agent.stop()
    refused = offline(made, made.agents[0], "restore", str(files[1]), check=False)
    assert "holds a cluster's state already" in refused.stderr
    for agent in made.agents:
        agent.host.power_off()
        agent.data_directory.rename(agent.data_directory.with_name("data.old"))

    offline(made, made.agents[0], "restore", str(files[1]))
    for agent in made.agents:
        agent.start(made.addresses)

    made.wait_formed(30)
    for agent in made.agents:
        eventually("it has what was saved", lambda agent=agent: get(agent, "kept") == "yes")
        assert get(agent, "later") is None
    made.wait_converged("hello", 60)


def test_without_a_quorum_a_peer_still_gives_what_it_has(made: Cluster, tmp_path: Path) -> None:
    left, *gone = made.agents
    put(left, "kept", "yes")
    for agent in gone:
        agent.kill()

    file = tmp_path / "backup"
    assert left.cli("backup", str(file), check=False).returncode == 1
    assert not file.exists()
    assert "revision" in left.cli("backup", "--local", str(file)).stdout
    with pytest.raises(ApiFailure):
        left.get("/v1/backup")


def test_a_file_that_is_no_good_backup_is_refused_in_one_line(made: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    made.agents[0].cli("backup", str(file))
    good = file.read_bytes()
    node = tmp_path / "node.toml"
    node.write_text(f'name = "new"\naddress = "127.0.0.9:8421"\ndata_dir = "{tmp_path}/new"\n')
    broken = {
        b"PK\x03\x04 something else": "it is no backup of swarmlet",
        good[:-1]: "its end is missing",
        good[:100] + bytes((good[100] ^ 1,)) + good[101:]: "it is damaged",
    }
    for content, reason in broken.items():
        file.write_bytes(content)
        done = subprocess.run(
            [str(SWARMLET), "restore", str(file), "--config", str(node)],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert reason in done.stderr
        assert not (tmp_path / "new").exists()
