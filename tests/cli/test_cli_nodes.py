"""`swarmlet node …` against a real little server that answers as a peer would."""

from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from cli_builders import JsonAnswers, asked_by_the_command
from typer.testing import CliRunner

from swarmlet.api.nodes_schema import DrainRequest, NodeChange
from swarmlet.api.schema import DrainView, NodeView, RaftRole, WriteReply
from swarmlet.cli.main import app
from swarmlet.cli.nodes import BadWord, DrainEnded, NotDrained


class OneNode(ThreadingHTTPServer):
    """Its drain needs one more look for each of `lefts`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[tuple[str, str, bytes]] = []
        self.drains = True
        self.lefts: list[dict[str, int]] = []

    def view(self) -> NodeView:
        left = self.lefts.pop(0) if len(self.lefts) > 1 else self.lefts[0] if self.lefts else {}
        waits_for = {service: "no room" for service in left}
        drain = DrainView(since=1.0, left=left, waits_for=waits_for) if self.drains else None
        return NodeView(
            id="id1", name="node1", address="10.0.0.1:8421", liveness="alive", status="up", role=RaftRole.VOTER,
            cordoned=True, drain=drain,
        )  # fmt: skip


class Answers(JsonAnswers):
    server: OneNode

    def do_GET(self) -> None:
        self.reply(self.server.view().model_dump_json())

    def do_PATCH(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, body))
        self.reply(WriteReply(revision=3).model_dump_json())

    do_PUT = do_DELETE = do_PATCH


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[OneNode]:
    server = OneNode()
    with asked_by_the_command(server, monkeypatch):
        yield server


def asked_change(peer: OneNode) -> NodeChange:
    ((method, path, body),) = peer.asked
    assert (method, path) == ("PATCH", "/v1/nodes/node1")
    return NodeChange.model_validate_json(body)


def test_labels_are_set_and_with_a_hyphen_removed(peer: OneNode) -> None:
    shown = CliRunner().invoke(app, ["node", "label", "node1", "disk=ssd", "rack-"])

    assert shown.stdout == "node1: labelled, revision 3\n"
    assert asked_change(peer).labels == {"disk": "ssd", "rack": None}


def test_taints_are_written_as_kubernetes_does_or_as_we_do(peer: OneNode) -> None:
    CliRunner().invoke(
        app, ["node", "taint", "node1", "gpu=a100:NoExecute", "old:no-schedule", "gone-", "b:NoExecute-"]
    )

    change = asked_change(peer)
    assert [(each.key, each.value, each.effect) for each in change.taints] == [
        ("gpu", "a100", "no-execute"),
        ("old", "", "no-schedule"),
    ]
    assert [(each.key, each.effect) for each in change.untaint] == [("gone", None), ("b", "no-execute")]


@pytest.mark.parametrize(
    "words",
    [["label", "node1", "disk"], ["taint", "node1", "gpu"], ["taint", "node1", "gpu:evict"]],
)
def test_words_that_are_not_understood_say_what_to_write(peer: OneNode, words: list[str]) -> None:
    shown = CliRunner().invoke(app, ["node", *words])

    assert isinstance(shown.exception, BadWord)
    assert peer.asked == []


def test_a_drain_prints_what_is_left_until_nothing_is(peer: OneNode) -> None:
    peer.lefts = [{"shop.web": 2}, {"shop.web": 1}, {}]

    shown = CliRunner().invoke(app, ["node", "drain", "node1", "--deadline", "5m"])

    assert shown.exit_code == 0
    assert [line.strip().split("  ")[-1] for line in shown.stdout.splitlines()[:2]] == [
        "left: shop.web 2 (no room)",
        "left: shop.web 1 (no room)",
    ]
    assert shown.stdout.splitlines()[-1].startswith("node1: drained after")
    assert DrainRequest.model_validate_json(peer.asked[0][2]).deadline_s == 300


def test_a_drain_that_is_not_done_in_time_fails_and_says_what_is_left(peer: OneNode) -> None:
    peer.lefts = [{"shop.web": 2}]

    shown = CliRunner().invoke(app, ["node", "drain", "node1", "--timeout", "0.1"])

    assert isinstance(shown.exception, NotDrained)
    assert "left there: shop.web 2 (no room)" in str(shown.exception)


def test_a_drain_that_somebody_ended_is_not_done(peer: OneNode) -> None:
    peer.drains = False

    assert isinstance(CliRunner().invoke(app, ["node", "drain", "node1"]).exception, DrainEnded)


def test_a_drain_is_left_to_itself(peer: OneNode) -> None:
    peer.lefts = [{"shop.web": 2}]

    shown = CliRunner().invoke(app, ["node", "drain", "node1", "--detach"])

    assert shown.exit_code == 0
    assert shown.stdout == "node1: drains, revision 3\n"


@pytest.mark.parametrize("deadline", ["soon", "5d", "-1s", "9" * 400, "²s"])
def test_a_deadline_that_is_no_duration_says_what_to_write(peer: OneNode, deadline: str) -> None:
    shown = CliRunner().invoke(app, ["node", "drain", "node1", f"--deadline={deadline}"])

    assert isinstance(shown.exception, BadWord) and "90s, 5m or 1h" in str(shown.exception)
    assert peer.asked == []


def test_a_node_is_forgotten(peer: OneNode) -> None:
    assert CliRunner().invoke(app, ["node", "forget", "node1"]).exit_code == 0
    assert peer.asked == [("DELETE", "/v1/nodes/node1", b"")]
