from pathlib import Path

import pytest
from config_builders import FILE, LOOPBACK

from swarmlet.config import Config, ConfigError
from swarmlet.config.reading import Source
from swarmlet.model.observed import Address


def overridden(*settings: str) -> Config:
    return Config.parse(Source(FILE, LOOPBACK + '[api]\nlisten = "127.0.0.1:9"\n', settings))


def test_a_key_on_the_command_line_counts_more_than_the_file() -> None:
    config = overridden("api.listen=127.0.0.1:9000", "name=other", "log.level=debug", "bootstrap=true")

    assert config.api.listen == Address("127.0.0.1", 9000)
    assert (config.name, config.log.level, config.bootstrap) == ("other", "debug", True)


def test_values_that_are_toml_are_read_as_such_and_others_as_text() -> None:
    config = overridden('join=["127.0.0.2"]', "labels.zone=a b", 'labels.rack="7"', "raft.heartbeat_s=0.2")

    assert config.join == (Address("127.0.0.2", 8421),)
    assert config.labels == {"zone": "a b", "rack": "7"}
    assert config.raft.heartbeat_s == 0.2


def test_paths_start_at_the_file_and_others_follow_from_them() -> None:
    config = overridden("data_dir=data")

    assert (config.data_dir, config.api.unix) == (FILE.parent / "data", FILE.parent / "data" / "api.sock")


@pytest.mark.parametrize("setting", ["bootstrap", "=1", "api.=1", ""])
def test_anything_but_key_and_value_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="must be KEY=VALUE"):
        overridden(setting)


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("raft.heartbeat=1", "--set: raft.heartbeat = 1: is an unknown key; did you mean heartbeat_s?"),
        ("bootstrap=yes", '--set: bootstrap = "yes": must be true or false'),
        ("api=1", "--set: api = 1: must be a table"),
        ("api.listen=0.0.0.0", '--set: api.listen = "0.0.0.0:8420": is open to the network'),
        ('join=["x"]', '--set: join[0] = "x": must be an IP address'),
    ],
)
def test_an_error_in_it_names_the_command_line_not_the_file(setting: str, line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        overridden(setting)

    assert str(refused.value).startswith(line)


def test_loading_takes_the_settings_along(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(LOOPBACK)

    assert Config.load(tmp_path / "node.toml", ["cluster=lab"]).cluster == "lab"
