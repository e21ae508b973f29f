"""The command's HTTP client against real little servers on loopback."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from swarmlet.api.schema import DeployRequest, VotersRequest, WriteReply
from swarmlet.cli.addresses import NoPeer
from swarmlet.cli.client import ApiError, Client, NotText

Answering = Callable[[int, str], str]


@pytest.fixture
def peer() -> Iterator[Callable[..., str]]:
    """Starts servers that answer everything with one status and body; gives their address."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, body: str, seen: list[tuple[str, str, bytes]] | None = None) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                if seen is not None:
                    seen.append((self.path, self.headers.get("Authorization", ""), self.rfile.read(length)))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Swarmlet-Revision", "12")
                self.end_headers()
                self.wfile.write(body.encode())

            do_PUT = do_GET

            def log_message(self, *_: object) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def test_an_absent_peer_is_passed_over(peer: Callable[..., str], nobody: str) -> None:
    client = Client((nobody, peer(200, '{"revision": 3}')), None)

    answer = client.request("GET", "/v1/status")

    assert answer.parse(WriteReply).revision == 3
    assert answer.revision == 12


def test_a_peer_without_a_leader_is_passed_over(peer: Callable[..., str]) -> None:
    lost = peer(503, '{"title": "No leader", "status": 503, "detail": "none"}')

    answer = Client((lost, peer(200, '{"revision": 3}')), None).request("GET", "/v1/status")

    assert answer.parse(WriteReply).revision == 3


def test_a_refusal_is_final_and_in_the_peers_words(peer: Callable[..., str]) -> None:
    refusing = peer(404, '{"title": "Not found", "status": 404, "detail": "there is no stack \'x\'"}')

    with pytest.raises(ApiError, match="there is no stack 'x'"):
        Client((refusing, peer(200, "{}")), None).request("GET", "/v1/stacks/x")


def test_what_is_no_problem_document_is_shown_as_it_is(peer: Callable[..., str]) -> None:
    with pytest.raises(ApiError, match="a proxy in between"):
        Client((peer(502, "a proxy in between"),), None).request("GET", "/v1/status")


def test_no_answer_from_anybody_names_every_address_tried(nobody: str, tmp_path: Path) -> None:
    with pytest.raises(NoPeer) as raised:
        Client((nobody, f"unix://{tmp_path}/none.sock"), None).request("GET", "/v1/status")

    assert nobody in str(raised.value) and "none.sock" in str(raised.value) and "SWARMLET_ADDR" in str(raised.value)


def test_an_address_that_is_none_says_what_to_write() -> None:
    with pytest.raises(NoPeer, match="write HOST:PORT"):
        Client(("localhost:http",), None).request("GET", "/v1/status")


def test_body_token_and_query_are_sent(peer: Callable[..., str]) -> None:
    seen: list[tuple[str, str, bytes]] = []
    client = Client((peer(200, "{}", seen),), "secret")

    client.request("PUT", "/v1/stacks/x", DeployRequest(compose="services: {}"), {"a": "b c", "left_out": None})

    ((path, authorization, body),) = seen
    assert (path, authorization) == ("/v1/stacks/x?a=b+c", "Bearer secret")
    assert b'"compose":"services: {}"' in body


def test_a_name_that_is_no_text_is_not_sent(peer: Callable[..., str]) -> None:
    seen: list[tuple[str, str, bytes]] = []

    with pytest.raises(NotText, match="in UTF-8"):
        Client((peer(200, "{}", seen),), None).request("PUT", "/v1/voters", VotersRequest(voters=["\udcff"]))

    assert seen == []


def test_a_socket_that_can_t_be_looked_for_is_left_out(
    monkeypatch: pytest.MonkeyPatch, peer: Callable[..., str]
) -> None:
    """As for users who may not enter the agent's folder; a name that is too long fails for root, too."""
    monkeypatch.delenv("SWARMLET_ADDR", raising=False)
    monkeypatch.setattr("swarmlet.cli.client.DEFAULT_ADDRESSES", (f"unix:///{300 * 'x'}/api.sock", peer(200, "{}")))

    assert Client.from_environment().request("GET", "/v1/status").body == b"{}"


def test_addresses_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, peer: Callable[..., str]) -> None:
    monkeypatch.setenv("SWARMLET_ADDR", f" http://{peer(200, '{}')}/ ,")

    assert Client.from_environment().request("GET", "/v1/status").body == b"{}"
