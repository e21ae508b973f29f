import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from swarmlet.config import Config, example
from swarmlet.config.example import SET_IN_EXAMPLE
from swarmlet.config.reading import Source


def every_key(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from every_key(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def dotted(document: dict[str, object], prefix: str = "") -> Iterator[str]:
    for name, value in document.items():
        if isinstance(value, dict) and prefix + name not in ("labels", "resources.devices"):
            yield from dotted(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_the_example_loads_as_it_stands() -> None:
    config = Config.parse(Source(Path("/etc/swarmlet/node.toml"), example()))

    assert config.name == "node1"
    assert config.bootstrap
    assert config.model_dump(exclude={*SET_IN_EXAMPLE}) == Config(name="node1", address=config.address).model_dump(
        exclude={*SET_IN_EXAMPLE}
    )


def test_the_example_with_every_key_set_has_all_keys_once_and_is_valid() -> None:
    everything = re.sub(r"^#(?=\w+ = )", "", example(), flags=re.MULTILINE)

    found = list(dotted(tomllib.loads(everything)))

    assert sorted(found) == sorted(every_key(Config))
    one_start = everything.replace("bootstrap = true", "bootstrap = false")
    Config.parse(Source(Path("/etc/swarmlet/node.toml"), one_start))


def test_every_key_and_section_is_explained() -> None:
    lines = example().splitlines()

    for number, line in enumerate(lines):
        if re.match(r"#?\w+ = ", line):
            assert lines[number - 1].startswith("# "), f"{line} has no word above it"
        if line.startswith("["):
            assert lines[number + 1].startswith("# "), f"{line} has no word below it"
        assert len(line) <= 100
