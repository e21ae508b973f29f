"""What the command sends again when no answer comes, and what it must not send twice."""

import socket
from collections.abc import Callable

import pytest
from cli_builders import RawPeer, an_answer
from typer.testing import CliRunner

from swarmlet.api.schema import Problem, ScaleRequest, WriteReply
from swarmlet.cli.client import ApiError, Client, OutcomeUnknown
from swarmlet.cli.main import app

RawPeers = Callable[..., RawPeer]

DONE = an_answer(200, WriteReply(revision=3).model_dump_json())
CUT = DONE[:-4]
NOTHING = b""
NOT_CAUGHT_UP = an_answer(
    503, Problem(title="No leader", status=503, detail="committed, but not caught up").model_dump_json()
)
NO_LEADER = an_answer(
    503, Problem(title="No leader", status=503, detail="none is elected", nothing_done=True).model_dump_json()
)
FOREIGN = an_answer(503, "<h1>overloaded</h1>", "text/html")


@pytest.mark.parametrize("answer", [NOTHING, CUT, NOT_CAUGHT_UP, FOREIGN])
def test_what_must_not_be_done_twice_is_sent_once_and_its_outcome_called_unknown(
    raw_peer: RawPeers, answer: bytes
) -> None:
    first, second = raw_peer(answer), raw_peer(DONE)
    client = Client((first.address, second.address), None)

    with pytest.raises(OutcomeUnknown, match=r"may have been done or not: see 'swarmlet history shop\.web'"):
        client.request_once("POST", "/v1/services/shop.web/rollback", shown_by="swarmlet history shop.web")

    assert (len(first.asked), second.asked) == (1, [])


def test_what_certainly_was_not_done_goes_to_the_next_peer(raw_peer: RawPeers) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{held.getsockname()[1]}"
        client = Client((nobody, raw_peer(NO_LEADER).address, raw_peer(DONE).address), None)

        answer = client.request_once("POST", "/v1/services/shop.web/rollback", shown_by="swarmlet history shop.web")

    assert answer.parse(WriteReply).revision == 3


def test_without_any_leader_its_own_words_are_told(raw_peer: RawPeers) -> None:
    with pytest.raises(ApiError, match="none is elected"):
        Client((raw_peer(NO_LEADER).address,), None).request_once("DELETE", "/v1/stacks/shop", shown_by="")


@pytest.mark.parametrize("answer", [NOTHING, NOT_CAUGHT_UP, FOREIGN])
def test_what_may_be_done_twice_is_sent_to_the_next_peer(raw_peer: RawPeers, answer: bytes) -> None:
    client = Client((raw_peer(answer).address, raw_peer(DONE).address), None)

    reply = client.request("PATCH", "/v1/services/shop.web", ScaleRequest(replicas=3)).parse(WriteReply)

    assert reply.revision == 3


@pytest.mark.parametrize(
    ("command", "asked", "shown_by"),
    [
        ("rollback shop.web", "POST /v1/services/shop.web/rollback", "swarmlet history shop.web"),
        ("rollout resume shop.web", "POST /v1/services/shop.web/rollout", "swarmlet rollout status shop.web"),
        ("rollout abort shop.web", "POST /v1/services/shop.web/rollout", "swarmlet rollout status shop.web"),
        ("remove shop", "DELETE /v1/stacks/shop", "swarmlet stacks"),
        ("job cancel r1", "POST /v1/runs/r1/cancel", "swarmlet job show r1"),
        ("node forget node1", "DELETE /v1/nodes/node1", "swarmlet nodes"),
        ("keyring install", "POST /v1/keyring/keys", "swarmlet keyring list"),
        ("keyring remove abc", "DELETE /v1/keyring/keys/abc", "swarmlet keyring list"),
        ("rebalance", "POST /v1/rebalance", "swarmlet rebalance --dry-run"),
    ],
)
def test_commands_whose_repetition_would_do_something_else_or_fail_are_sent_once(
    raw_peer: RawPeers, monkeypatch: pytest.MonkeyPatch, command: str, asked: str, shown_by: str
) -> None:
    first, second = raw_peer(NOTHING), raw_peer(DONE)
    monkeypatch.setenv("SWARMLET_ADDR", f"{first.address},{second.address}")

    failure = CliRunner().invoke(app, command.split()).exception

    assert isinstance(failure, OutcomeUnknown) and failure.shown_by == shown_by
    assert (first.asked, second.asked) == ([asked], [])
