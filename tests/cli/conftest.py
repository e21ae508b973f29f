from collections.abc import Callable, Iterator

import pytest
from cli_builders import RawPeer


@pytest.fixture
def raw_peer() -> Iterator[Callable[..., RawPeer]]:
    """Starts peers that answer with given bytes."""
    started: list[RawPeer] = []

    def start(answer: bytes, reset: bool = False) -> RawPeer:
        started.append(RawPeer(answer, reset))
        return started[-1]

    yield start
    for each in started:
        each.close()
