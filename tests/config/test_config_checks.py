import socket
from pathlib import Path

import pytest
from config_builders import a_config

from swarmlet.config import Config, ConfigError, advertised_address, check_addresses, check_data_dir
from swarmlet.config.reading import Source
from swarmlet.model.observed import Address
from swarmlet.storage import DataDirectory


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def a_local_config(tmp_path: Path, peer_port: int, api_port: int) -> Config:
    text = (
        f'name = "node1"\naddress = "127.0.0.1:{peer_port}"\ndata_dir = "{tmp_path}/data"\n'
        f'[api]\nlisten = "127.0.0.1:{api_port}"\nunix = "{tmp_path}/api.sock"\n'
    )
    return Config.parse(Source(tmp_path / "node.toml", text))


def test_free_addresses_pass_and_nothing_is_written(tmp_path: Path) -> None:
    config = a_local_config(tmp_path, *free_ports(2))

    check_addresses(config)
    check_data_dir(config)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "protocol"), [(socket.SOCK_STREAM, "TCP"), (socket.SOCK_DGRAM, "UDP")])
def test_a_peer_port_in_use_is_refused(tmp_path: Path, kind: socket.SocketKind, protocol: str) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        config = a_local_config(tmp_path, other.getsockname()[1], free_ports(1)[0])

        with pytest.raises(ConfigError, match=f"node.toml:2: address = .* is in use on {protocol} by another process"):
            check_addresses(config)


def test_an_api_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = a_local_config(tmp_path, free_ports(1)[0], other.getsockname()[1])

        with pytest.raises(ConfigError, match=r"node.toml:5: api.listen = .* is in use on TCP"):
            check_addresses(config)


def test_a_unix_socket_that_somebody_answers_on_is_refused_and_a_left_over_file_is_not(tmp_path: Path) -> None:
    config = a_local_config(tmp_path, *free_ports(2))
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "api.sock"))
        other.listen()
        with pytest.raises(ConfigError, match=r"api.unix = .* is in use by another process"):
            check_addresses(config)

    check_addresses(config)


def test_an_address_of_another_host_is_refused(tmp_path: Path) -> None:
    text = 'name = "node1"\naddress = "192.0.2.7"\nkey_file = "k"\n'
    config = Config.parse(Source(tmp_path / "node.toml", text))

    with pytest.raises(ConfigError, match="is not an address of this host") as refused:
        check_addresses(config)
    assert refused.value.key == "address"


def test_a_data_directory_of_another_node_or_cluster_is_refused_with_what_to_set(tmp_path: Path) -> None:
    DataDirectory.open(tmp_path / "data", "swarmlet", "node1").close()

    check_data_dir(a_config(f'data_dir = "{tmp_path}/data"\n'))
    with pytest.raises(ConfigError, match="belongs to cluster 'swarmlet': set cluster = \"swarmlet\"") as refused:
        check_data_dir(a_config(f'data_dir = "{tmp_path}/data"\ncluster = "other"\n'))
    assert (refused.value.key, refused.value.line) == ("data_dir", 3)
    with pytest.raises(ConfigError, match="belongs to name 'node1'"):
        other = Config(name="node2", address=Address("127.0.0.1", 1), data_dir=tmp_path / "data")
        check_data_dir(other)


def test_a_data_directory_that_is_a_file_or_damaged_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "identity.json").write_text("{")

    with pytest.raises(ConfigError, match="Not a directory"):
        check_data_dir(a_config(f'data_dir = "{tmp_path}/file"\n'))
    with pytest.raises(ConfigError, match="it is no JSON"):
        check_data_dir(a_config(f'data_dir = "{tmp_path}"\n'))


def test_peers_reach_a_node_at_its_address_or_where_it_says(tmp_path: Path) -> None:
    assert advertised_address(a_config()) == Address("127.0.0.1", 8421)
    assert advertised_address(a_config('advertise = "10.9.9.9:1"\n')) == Address("10.9.9.9", 1)


def test_a_node_that_listens_everywhere_is_reached_at_the_address_of_its_way_to_its_peers(tmp_path: Path) -> None:
    text = 'name = "a"\naddress = "0.0.0.0:9000"\nkey_file = "k"\njoin = ["127.0.0.2:9000"]\n'
    config = Config.parse(Source(tmp_path / "node.toml", text))

    assert advertised_address(config) == Address("127.0.0.1", 9000)
