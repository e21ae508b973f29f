"""Whatever is wrong with a file is said in one line: file, line, key, value, and what would be right."""

import pytest
from config_builders import FILE, LOOPBACK, the_error_of


def test_an_unknown_key_suggests_the_nearest() -> None:
    error = the_error_of(LOOPBACK + "[raft]\nheartbeat = 0.2\n")

    assert str(error) == f"{FILE}:4: raft.heartbeat = 0.2: is an unknown key; did you mean heartbeat_s?"
    assert (error.file, error.key, error.value, error.line) == (FILE, "raft.heartbeat", "0.2", 4)


def test_a_misspelt_key_is_reported_before_the_one_that_is_missing_for_it() -> None:
    assert the_error_of('name = "a"\nadress = "127.0.0.1"\n').message == "is an unknown key; did you mean address?"


def test_a_key_in_the_wrong_section_is_sent_to_the_right_one() -> None:
    in_raft = the_error_of(LOOPBACK + "podman_socket = 1\n")
    at_the_top = the_error_of(LOOPBACK + "[log]\nbootstrap = true\n")

    assert in_raft.message == "is an unknown key here; podman_socket belongs in [runtime]"
    assert at_the_top.message == "is an unknown key here; bootstrap belongs at the top, before the first [section]"


def test_a_key_like_no_other_lists_what_is_known() -> None:
    assert the_error_of(LOOPBACK + "[log]\nzzz = 1\n").message == "is an unknown key; known here: level, format"


def test_a_missing_key_says_what_it_is_for_and_how_to_write_it() -> None:
    assert str(the_error_of('name = "a"\n')).startswith(
        f"{FILE}: address: is missing: Where this node and its peers talk"
    )
    assert 'as in address = "10.77.0.1:8421"' in the_error_of('name = "a"\n').message


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ('bootstrap = "yes"', "bootstrap", "must be true or false"),
        ("bootstrap_expect = 3.5", "bootstrap_expect", "must be a whole number"),
        ("bootstrap_expect = -1", "bootstrap_expect", "must be greater than or equal to 0"),
        ("cluster = 5", "cluster", 'must be text in "quotes"'),
        ('cluster = "Big Cluster"', "cluster", "must be 1 to 63 of a-z"),
        ('join = "127.0.0.1"', "join", "must be a list"),
        ('join = ["127.0.0.2", "node3:8421"]', "join[1]", "must be an IP address with or without a port"),
        ('join = ["node3:8421"]', "join[0]", "not a host name"),
        ('advertise = "10.0.0.1:99999"', "advertise", "a port is a number from 1 to 65535"),
        ("advertise = 8421", "advertise", "must be an IP address"),
        ("data_dir = 5", "data_dir", "must be a path in quotes"),
        ('data_dir = ""', "data_dir", "must be a path in quotes"),
        ("labels = { zone = 1 }", "labels.zone", 'must be text in "quotes"'),
        ("api = 1", "api", "must be a table: write [api] with its keys below"),
        ('[log]\nlevel = "loud"', "log.level", "must be 'debug', 'info', 'warning' or 'error'"),
        ("[raft]\nheartbeat_s = 0", "raft.heartbeat_s", "must be greater than 0"),
        ("[raft]\nheartbeat_s = nan", "raft.heartbeat_s", "must be"),
        ('[raft]\nheartbeat_s = "0.1"', "raft.heartbeat_s", "must be a number"),
        ("[resources]\ndevices = { gpu = -1 }", "resources.devices.gpu", "must be how many there are, 0 to 10000, or"),
        ('[resources]\ndevices = { gpu = ["gpu0"] }', "resources.devices.gpu", 'CDI names like "nvidia.com/gpu=0"'),
        ('[resources]\ndevices = { gpu = ["/dev/a", "/dev/a"] }', "resources.devices.gpu", "names one device twice"),
        (
            '[resources]\ndevices = { gpu = [{ name = "/dev/a", id = "x" }, { name = "/dev/b", id = "x" }] }',
            "resources.devices.gpu",
            "gives two devices one id",
        ),
        ('[resources]\ndevices = { gpu = [{ id = "x" }] }', "resources.devices.gpu", 'or { name = "/dev/ttyUSB0", id'),
        (
            f"[resources]\ndevices = {{ gpu = {[f'/dev/{number}' for number in range(65)]} }}",
            "resources.devices.gpu",
            "names 65 devices, at most 64 of a kind can have names",
        ),
        (
            '[resources]\ndevices = { gpu = ["/dev/a"], tpu = ["/dev/a"] }',
            "resources.devices",
            "has /dev/a in two kinds: two tasks would get it",
        ),
        ('[resources]\nmemory = "lots"', "resources.memory", "must be a number of bytes, or a size"),
        ('[proxy]\nlisten_address = "eth0"', "proxy.listen_address", "must be an IP address without a port"),
        (
            '[runtime]\npodman_socket = "/run/p.sock"',
            "runtime.podman_socket",
            "must be the absolute path of a Unix socket",
        ),
    ],
)
def test_a_wrong_value_says_what_would_be_right(text: str, key: str, message: str) -> None:
    error = the_error_of(LOOPBACK + text + "\n")

    assert error.key == key
    assert message in error.message
    assert error.line == len((LOOPBACK + text).splitlines())


def test_a_syntax_error_has_its_line_and_column() -> None:
    assert str(the_error_of(LOOPBACK + "join = [1,,]\n")) == f"{FILE}:3: column 11 is not valid TOML: Invalid value"
    assert str(the_error_of(LOOPBACK + 'cluster = "a')).startswith(f"{FILE}:3: ")


def test_a_long_value_is_cut_so_that_the_error_stays_one_line() -> None:
    assert len(str(the_error_of(LOOPBACK + f'cluster = "{"X" * 500}\\n"\n'))) < 300


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("bootstrap = true\nbootstrap_expect = 3", "bootstrap", "excludes bootstrap_expect"),
        ('bootstrap = true\njoin = ["127.0.0.2"]', "bootstrap", "excludes join: bootstrap starts a new cluster"),
        ('join = ["127.0.0.1:8421"]', "join", "names this node alone"),
        ('advertise = "0.0.0.0"', "advertise", "no address that peers can reach"),
        ('[api]\nlisten = "0.0.0.0:8420"', "api.listen", "head -c 32 /dev/urandom"),
        ('[api]\nlisten = "127.0.0.1:8421"', "api.listen", "taken by this node's own peer address"),
        (f'[api]\nunix = "/{"x" * 107}"', "api.unix", "at most 107 bytes"),
        ("[gossip]\nprobe_timeout_s = 0.5", "gossip.probe_timeout_s", "less than probe_interval_s (0.5)"),
        ("[gossip]\nsuspicion_s = 0.4", "gossip.suspicion_s", "at least probe_interval_s (0.5)"),
        ("[raft]\nheartbeat_s = 0.3", "raft.election_min_s", "at least twice heartbeat_s (0.3)"),
        ("[raft]\nelection_max_s = 0.5", "raft.election_max_s", "more than election_min_s (0.5)"),
    ],
)
def test_a_contradiction_is_explained_at_the_key_to_change(text: str, key: str, words: str) -> None:
    error = the_error_of(LOOPBACK + text + "\n")

    assert error.key == key
    assert words in error.message


def test_a_peer_address_that_is_open_to_the_network_needs_a_key() -> None:
    error = the_error_of('name = "a"\naddress = "10.77.0.1"\n')

    assert (error.key, error.value, error.line) == ("address", '"10.77.0.1:8421"', 2)
    assert "swarmlet keygen" in error.message
