"""Answers that break off, answers of others than peers, addresses and tokens that can be none: one message each."""

from collections.abc import Callable

import pytest
from cli_builders import RawPeer, an_answer

from swarmlet.api.schema import EventView, LogLineView, StatusView
from swarmlet.cli import following
from swarmlet.cli.addresses import NoPeer
from swarmlet.cli.client import ApiError, BadToken, BrokenOff, Client, NotAPeer
from swarmlet.cli.following import follow_events, follow_tasks
from swarmlet.errors import SwarmletError

RawPeers = Callable[..., RawPeer]

LINE = LogLineView(task="t1", node="node1", at=1.0, stream="stdout", text="hello").model_dump_json().encode() + b"\n"
LOG_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
WEB_PAGE = an_answer(200, "<h1>It works!</h1>", "text/html")


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def log_of(peer: RawPeer) -> list[str]:
    return list(Client((peer.address,), None).lines("/v1/tasks/t1/logs", "application/x-ndjson", 5.0))


@pytest.mark.parametrize(
    "body", [chunk(LINE), chunk(LINE) + b"40\r\n{", chunk(LINE) + b"HTTP/1.1 502 Bad Gateway\r\n\r\n", b""]
)
def test_a_stream_without_its_end_is_an_error(raw_peer: RawPeers, body: bytes) -> None:
    with pytest.raises(BrokenOff, match="broke off"):
        log_of(raw_peer(LOG_HEAD + body))


def test_lines_come_whole_however_they_are_cut_into_chunks(raw_peer: RawPeers) -> None:
    text = "ä\nb\r\n\nlast".encode()
    body = b"".join(chunk(text[at : at + 1]) for at in range(len(text)))

    assert log_of(raw_peer(LOG_HEAD + body + END)) == ["ä", "b\r", "", "last"]


@pytest.mark.parametrize("answer", [LOG_HEAD + chunk(LINE) + b"40\r\n{", LOG_HEAD + chunk(LINE + b"{}\n") + END])
def test_reading_several_logs_ends_with_an_error_when_one_breaks_off(raw_peer: RawPeers, answer: bytes) -> None:
    lines: list[LogLineView] = []

    with pytest.raises(SwarmletError, match=r"not all logs could be read: .*(broke off|no peer of this version)"):
        follow_tasks(Client((raw_peer(answer).address,), None), ["t1", "t2"], False, None, lines.append)

    assert [line.text for line in lines] == ["hello", "hello"]


def test_events_go_on_after_a_stream_that_broke_off(raw_peer: RawPeers, monkeypatch: pytest.MonkeyPatch) -> None:
    class Enough(Exception):
        pass

    event = EventView(revision=7, kind="put", key="k", message="m", at=1.0)
    told: list[EventView] = []

    def say(one: EventView) -> None:
        told.append(one)
        if len(told) == 2:
            raise Enough

    monkeypatch.setattr(following, "RECONNECT_S", 0.01)
    peer = raw_peer(EVENTS_HEAD + chunk(f"id: 7\nevent: put\ndata: {event.model_dump_json()}\n\n".encode()) + b"40\r\n")
    with pytest.raises(Enough):
        follow_events(Client((peer.address,), None), None, say)

    assert (told, peer.asked) == ([event, event], ["GET /v1/events", "GET /v1/events?from=7"])


@pytest.mark.parametrize("answer", [WEB_PAGE, EVENTS_HEAD + chunk(b"id: latest\n\n") + END])
def test_events_of_no_peer_are_an_error(raw_peer: RawPeers, answer: bytes) -> None:
    with pytest.raises(NotAPeer, match="SWARMLET_ADDR"):
        follow_events(Client((raw_peer(answer).address,), None), None, lambda _: None)


def test_an_answer_that_is_cut_off_is_an_error(raw_peer: RawPeers) -> None:
    peer = raw_peer(an_answer(200, '{"revision": 3}')[:-4])

    with pytest.raises(BrokenOff, match=f"the answer of {peer.address} broke off .4 bytes are missing.: try again"):
        Client((peer.address,), None).request("GET", "/v1/status")


def test_a_connection_that_is_reset_is_told_with_its_address(raw_peer: RawPeers) -> None:
    peer = raw_peer(b"", reset=True)

    with pytest.raises(NoPeer, match=f"{peer.address}: .*reset by peer"):
        Client((peer.address,), None).request("GET", "/v1/status")


@pytest.mark.parametrize(
    "answer",
    [
        WEB_PAGE,
        an_answer(200, '{"fine": true}'),
        b"HTTP/1.1 200 OK\r\nSwarmlet-Revision: latest\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_answers_and_is_no_peer_is_named(raw_peer: RawPeers, answer: bytes) -> None:
    peer = raw_peer(answer)

    with pytest.raises(NotAPeer, match=f"what answers at {peer.address} is no peer .*: set SWARMLET_ADDR"):
        Client((peer.address,), None).get("/v1/status", StatusView)


def test_a_web_page_instead_of_a_problem_document_is_shortened_to_a_line(raw_peer: RawPeers) -> None:
    peer = raw_peer(an_answer(404, "<h1>Not\nFound</h1>" + 1_000 * "x", "text/html"))

    with pytest.raises(
        ApiError, match=f"<h1>Not Found</h1>x+ .status 404 from {peer.address}, .* set SWARMLET_ADDR"
    ) as raised:
        Client((peer.address,), None).request("GET", "/v1/status")

    assert len(str(raised.value)) < 350


@pytest.mark.parametrize(
    "address",
    [
        "localhost:http", "localhost:99999", "localhost:0", "localhost:\u00b2", "https://localhost", "http://localhost/v1",
        "a b:8420", "a..b:8420", "::1", "user@host", f"{'x' * 64}:8420", "host\udcff:8420", "a\x01b", "unix://", "unix:///a\0b",
    ],
)  # fmt: skip
def test_what_can_be_no_address_says_what_to_write_before_anybody_is_asked(address: str) -> None:
    with pytest.raises(NoPeer, match="write HOST:PORT"):
        Client(("localhost:8420", address), None)


@pytest.mark.parametrize(
    "address",
    ["localhost", "localhost:1", "http://localhost:1/", "[::1]:8420", "[fe80::1%eth0]", "b\u00fccher.example"],
)
def test_addresses_are_written_in_several_ways(address: str) -> None:
    Client((address, "unix:///run/api.sock", "unix:api.sock"), None)


@pytest.mark.parametrize("token", ["two words", "line\n", "t\u00f6ken", "\udcff"])
def test_what_can_be_no_token_is_refused_before_anybody_is_asked(token: str) -> None:
    with pytest.raises(BadToken, match="SWARMLET_TOKEN") as raised:
        Client(("localhost:8420",), token)

    assert token not in str(raised.value)
