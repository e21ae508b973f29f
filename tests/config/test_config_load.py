from pathlib import Path

import pytest
from config_builders import LOOPBACK, a_config

from swarmlet.config import ApiSettings, Config, ConfigError
from swarmlet.config.settings import default_data_dir
from swarmlet.model.observed import Address


def test_a_name_and_an_address_are_enough() -> None:
    config = a_config()

    assert (config.name, config.cluster, config.address) == ("node1", "swarmlet", Address("127.0.0.1", 8421))
    assert config.api.listen == Address("127.0.0.1", 8420)
    assert (config.bootstrap, config.bootstrap_expect, config.join, config.labels) == (False, 0, (), {})
    assert (config.raft.heartbeat_s, config.gossip.probe_interval_s, config.runtime.workers) == (0.1, 0.5, 4)


def test_paths_that_are_not_given_follow_from_the_data_directory() -> None:
    config = a_config('data_dir = "/srv/swarm"\n')

    assert config.api.unix == Path("/srv/swarm/api.sock")
    assert config.runtime.images_dir == Path("/srv/swarm/images")
    assert config.cluster_key_path == Path("/srv/swarm/cluster.key")


def test_a_config_made_in_python_is_completed_in_the_same_way() -> None:
    config = Config(
        name="node1", address=Address("127.0.0.1", 1), data_dir=Path("/d"), api=ApiSettings(token_file=None)
    )

    assert config.api.unix == Path("/d/api.sock")
    assert config.runtime.images_dir == Path("/d/images")


def test_the_default_data_directory_is_the_systems_for_root_and_the_homes_for_others() -> None:
    assert default_data_dir("node1", 0) == Path("/var/lib/swarmlet")
    assert default_data_dir("node1", 1000) == Path("~/.local/share/swarmlet/node1")


def test_relative_paths_start_at_the_file_and_a_tilde_is_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    file = tmp_path / "node.toml"
    file.write_text(LOOPBACK + 'data_dir = "data"\nkey_file = "~/cluster.key"\n[runtime]\nimages_dir = "/images"\n')

    config = Config.load(file)

    assert config.data_dir == tmp_path / "data"
    assert config.api.unix == tmp_path / "data" / "api.sock"
    assert config.key_file == config.cluster_key_path == Path("/home/someone/cluster.key")
    assert config.runtime.images_dir == Path("/images")
    assert [entry.name for entry in tmp_path.iterdir()] == ["node.toml"], "loading writes nothing"


def test_a_relative_file_name_still_makes_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "node.toml").write_text(LOOPBACK + 'data_dir = "data"\n')
    monkeypatch.chdir(tmp_path)

    assert Config.load(Path("node.toml")).data_dir == tmp_path / "data"


def test_an_empty_unix_socket_path_means_none() -> None:
    assert a_config('[api]\nunix = ""\n').api.unix is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("127.0.0.1", Address("127.0.0.1", 8421)),
        ("127.0.0.1:9000", Address("127.0.0.1", 9000)),
        ("::1", Address("::1", 8421)),
        ("[::1]", Address("::1", 8421)),
        ("[0::1]:9000", Address("::1", 9000)),
    ],
)
def test_addresses_have_the_peer_port_unless_they_name_another(written: str, meant: Address) -> None:
    config = a_config(f'bootstrap_expect = 2\njoin = ["{written}", "127.0.0.9"]\n')

    assert config.join[0] == meant


@pytest.mark.parametrize(
    ("written", "size_bytes"), [("1024", 1024), ('"512MiB"', 512 * 1024**2), ('"4g"', 4 * 1024**3), ('"1.5 KB"', 1536)]
)
def test_memory_is_bytes_or_a_size(written: str, size_bytes: int) -> None:
    assert a_config(f"[resources]\nmemory = {written}\n").resources.memory == size_bytes


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        Config.load(tmp_path / "none.toml")

    assert str(refused.value) == f"{tmp_path}/none.toml: can't be read: No such file or directory"


def test_a_file_that_is_no_text_or_far_too_long_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"name = 1\n\xff\xfe")
    (tmp_path / "b.toml").write_bytes(b"#" * (1024 * 1024 + 1))

    with pytest.raises(ConfigError, match=r"a\.toml:2: is not UTF-8 text"):
        Config.load(tmp_path / "a.toml")
    with pytest.raises(ConfigError, match=r"b\.toml: is longer than 1048576 bytes"):
        Config.load(tmp_path / "b.toml")


def test_the_configs_that_come_with_the_project_load() -> None:
    configs = Path(__file__).parents[2] / "configs"
    nodes = [Config.load(configs / f"node{number}.toml") for number in (1, 2, 3)]

    assert Config.load(configs / "single.toml").bootstrap
    assert [node.address.host for node in nodes] == ["10.77.0.1", "10.77.0.2", "10.77.0.3"]
    for node in nodes:
        assert node.bootstrap_expect == 3
        assert set(node.join) == {other.address for other in nodes} - {node.address}
        assert node.key_file == nodes[0].key_file
    assert len({node.data_dir for node in nodes}) == 3


def test_devices_are_counted_also_where_they_have_names() -> None:
    gpus = '["vendor.com/gpu=0", { name = "/dev/dri/1", id = "b" }, { name = "/dev/dri/2" }]'
    config = a_config(f"[resources]\ndevices = {{ gpu = {gpus}, licence = 3, none = [] }}\n")

    assert config.resources.device_counts == {"gpu": 3, "licence": 3, "none": 0}
    assert config.resources.named_devices == {
        "gpu": {"vendor.com/gpu=0": "vendor.com/gpu=0", "b": "/dev/dri/1", "/dev/dri/2": "/dev/dri/2"},
        "none": {},
    }
