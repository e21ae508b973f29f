"""Who is let in, as bytes on a connection: also what no HTTP library would send."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from api_builders import a_peer

from swarmlet.api.server import make_app

TOKEN = "a-token-that-is-long-enough"


async def answer_to(directory: Path, token: str | None, *headers: bytes) -> tuple[int, dict[str, str], str]:
    """Status, headers with names in lower case, and the problem's detail."""
    async with a_peer(directory) as peer, TestServer(make_app(peer, token, dict)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\r\n".join([b"GET /v1/nodes/none HTTP/1.1", b"Connection: close", *headers, b"", b""]))
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    first, *rest = head.decode().split("\r\n")
    named = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    return int(first.split()[1]), named, json.loads(body)["detail"]


@pytest.mark.parametrize("given", [b"Bearer wrong", b"Bearer \xff\xfe", "Bearer tökén".encode(), b""])
async def test_a_wrong_token_is_refused_with_what_is_wanted(tmp_path: Path, given: bytes) -> None:
    status, headers, detail = await answer_to(tmp_path, TOKEN, b"Host: localhost", b"Authorization: " + given)

    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert "SWARMLET_TOKEN" in detail


async def test_the_right_token_is_let_in(tmp_path: Path) -> None:
    status, _, detail = await answer_to(tmp_path, TOKEN, b"Host: any", b"Authorization: Bearer " + TOKEN.encode())

    assert status == 404 and "'none'" in detail


@pytest.mark.parametrize("host", [b"evil.example", b"\xff"])
async def test_without_a_token_foreign_names_are_refused(tmp_path: Path, host: bytes) -> None:
    status, _, detail = await answer_to(tmp_path, None, b"Host: " + host)

    assert status == 403 and "local names" in detail
