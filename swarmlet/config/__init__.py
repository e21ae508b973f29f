"""The agent's configuration: one TOML file, one typed model, one clear line for anything wrong with it."""

from swarmlet.config.checks import advertised_address, check_addresses, check_data_dir
from swarmlet.config.errors import ConfigError
from swarmlet.config.example import example
from swarmlet.config.settings import (
    ApiSettings,
    Config,
    GossipTiming,
    LogSettings,
    OfferedResources,
    ProxySettings,
    RaftTiming,
    RuntimeSettings,
)

__all__ = [
    "ApiSettings",
    "Config",
    "ConfigError",
    "GossipTiming",
    "LogSettings",
    "OfferedResources",
    "ProxySettings",
    "RaftTiming",
    "RuntimeSettings",
    "advertised_address",
    "check_addresses",
    "check_data_dir",
    "example",
]
