"""Configuration files for tests."""

from pathlib import Path

from swarmlet.config import Config, ConfigError
from swarmlet.config.reading import Source

LOOPBACK = 'name = "node1"\naddress = "127.0.0.1:8421"\n'
"""All that a file needs, for a node whose peers are on its own host."""
FILE = Path("/etc/swarmlet/node.toml")


def a_config(text: str = "", file: Path = FILE) -> Config:
    """What a file with the two needed keys and this text makes."""
    return Config.parse(Source(file, LOOPBACK + text))


def the_error_of(text: str) -> ConfigError:
    """The error of a file with just this text; fails when it is accepted."""
    try:
        config = Config.parse(Source(FILE, text))
    except ConfigError as error:
        assert "\n" not in str(error), "an error is one line"
        assert str(error).startswith(str(FILE)), "an error names its file"
        return error
    raise AssertionError(f"accepted: {config!r}")
