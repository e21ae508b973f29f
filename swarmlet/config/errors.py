"""The one error of a configuration."""

from pathlib import Path

from swarmlet.errors import SwarmletError

VALUE_SHOWN_MAX = 60
"""Characters of a value in a message: the whole error has to stay one line."""


class ConfigError(SwarmletError):
    """Something in a configuration file is wrong: where it is, and what would be right."""

    def __init__(self, file: Path, key: str, value: str, message: str, line: int | None = None) -> None:
        """`key`: dotted path, empty for the file as a whole; `value`: as written in TOML, empty where there is none."""
        place = str(file) if line is None else f"{file}:{line}"
        shown = value if len(value) <= VALUE_SHOWN_MAX else value[: VALUE_SHOWN_MAX - 1] + "…"
        subject = f"{key} = {shown}" if shown else key
        super().__init__(": ".join(" ".join(part.split()) for part in (place, subject, message) if part))
        self.file = file
        self.key = key
        self.value = value
        self.message = message
        self.line = line
