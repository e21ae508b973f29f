"""Names come to the API as they were given to the command, whatever is in them."""

import asyncio
from pathlib import Path

import pytest
from api_builders import a_peer, an_api
from typer.testing import CliRunner

from swarmlet.cli.client import ApiError
from swarmlet.cli.main import app

COMPOSE = "services:\n  web: {image: web:1}\n"
ODD_NAMES = ("s?x", "s#x", "s/x", "s%2Fx", "..", "s x", "sü", "s;x", "s+x", "s&x=1")
COMMANDS = ("remove", "rollback", "history", "rollout status", "job run", "explain", "export kubernetes")


async def test_a_name_that_is_none_is_refused_as_a_whole(tmp_path: Path) -> None:
    async with a_peer(tmp_path) as peer, an_api(peer) as api:
        await api.put("/v1/stacks/s", json={"compose": COMPOSE})
        environment = {"SWARMLET_ADDR": f"127.0.0.1:{api.port}"}

        for name in ODD_NAMES:
            for command in COMMANDS:
                argv = [*command.split(), name]
                done = await asyncio.to_thread(CliRunner().invoke, app, argv, env=environment)
                assert isinstance(done.exception, ApiError), argv
                assert f"'{name}'" in str(done.exception), argv

        assert (await api.get("/v1/stacks/s")).status == 200


@pytest.mark.parametrize("key", ["a/b", "a//b", "/a", "a%2Fb", "a?b#c", "ü"])
async def test_a_key_is_kept_as_it_is(tmp_path: Path, key: str) -> None:
    async with a_peer(tmp_path) as peer, an_api(peer) as api:
        environment = {"SWARMLET_ADDR": f"127.0.0.1:{api.port}"}

        put = await asyncio.to_thread(CliRunner().invoke, app, ["kv", "put", key, "value"], env=environment)
        got = await asyncio.to_thread(CliRunner().invoke, app, ["kv", "get", key], env=environment)

        assert (put.exit_code, got.stdout) == (0, "value")
        assert [one.key for one in peer.consensus.store.scan("kv/", None, 10)] == [f"kv/{key}"]
