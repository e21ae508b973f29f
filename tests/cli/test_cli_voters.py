"""`swarmlet voters` against a real little server that answers as a peer would."""

import json
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from cli_builders import JsonAnswers, asked_by_the_command
from typer.testing import CliRunner

from swarmlet.api.schema import RaftRole, VotersReply, VotersRequest, VotersView, VoterView
from swarmlet.cli.main import app
from swarmlet.cli.voters import BothWays, NotFollowed

FOLLOWED_AFTER = 2
"""So many times it is asked who votes until a new list is followed."""


def a_voter(number: int, votes: bool, listed: bool = False) -> VoterView:
    role = RaftRole.VOTER if votes else RaftRole.LEARNER
    lag = None if number == 3 else number
    return VoterView(
        id=f"id{number}", name=f"node{number}", role=role, votes=votes, listed=listed, zone="rack1" if votes else "",
        health="healthy", match_index=lag, lag=lag,
    )  # fmt: skip


class FewVoters(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.voters = {"node1"}
        self.listed: list[str] | None = None
        self.asked = 0
        self.follows = True

    def view(self) -> VotersView:
        self.asked += 1
        if self.listed is not None and self.follows and self.asked >= FOLLOWED_AFTER:
            self.voters = set(self.listed)
        listed = self.listed or []
        return VotersView(
            automatic=self.listed is None, listed=listed, changing=False, term=1, leader="node1", last_index=9,
            problem="" if self.follows else "node3 not yet",
            items=[a_voter(n, f"node{n}" in self.voters, f"node{n}" in listed) for n in (1, 2, 3)],
        )  # fmt: skip


class Answers(JsonAnswers):
    server: FewVoters

    def do_GET(self) -> None:
        self.reply(self.server.view().model_dump_json())

    def do_PUT(self) -> None:
        wanted = VotersRequest.model_validate_json(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.listed, self.server.asked = wanted.voters, 0
        self.reply(VotersReply(revision=3, warnings=["an even number"]).model_dump_json())


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[FewVoters]:
    server = FewVoters()
    with asked_by_the_command(server, monkeypatch):
        yield server


def test_the_table_shows_zone_health_and_lag_and_what_is_not_known(peer: FewVoters) -> None:
    shown = CliRunner().invoke(app, ["voters"])

    assert shown.exit_code == 0
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert rows[0] == ["chosen", "by", "the", "cluster"]
    assert rows[2] == ["node1", "voter", "rack1", "healthy", "1", "1", "id1"]
    assert rows[4] == ["node3", "learner", "-", "healthy", "-", "-", "id3"]


def test_a_list_is_waited_for_and_its_warnings_are_shown(peer: FewVoters) -> None:
    shown = CliRunner().invoke(app, ["voters", "--set", "node1, node2", "-o", "json"])

    assert shown.exit_code == 0
    assert peer.asked >= FOLLOWED_AFTER
    assert "warning: an even number" in shown.stderr
    assert json.loads(shown.stdout)["listed"] == ["node1", "node2"]


def test_a_list_that_is_not_followed_in_time_says_why(peer: FewVoters) -> None:
    peer.follows = False

    shown = CliRunner().invoke(app, ["voters", "--set", "node1,node3", "--timeout", "0.1"])

    assert isinstance(shown.exception, NotFollowed)
    assert str(shown.exception) == "committed, but not so after 0.1 s: node3 not yet"


def test_the_choice_is_given_back(peer: FewVoters) -> None:
    peer.listed = ["node1"]

    shown = CliRunner().invoke(app, ["voters", "--auto"])

    assert shown.exit_code == 0
    assert peer.listed is None


def test_only_one_of_both(peer: FewVoters) -> None:
    assert isinstance(CliRunner().invoke(app, ["voters", "--auto", "--set", "node1"]).exception, BothWays)
