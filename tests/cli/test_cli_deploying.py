"""`swarmlet deploy` follows what becomes of its revision, and its failure says why. A real little server answers."""

from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from cli_builders import JsonAnswers, asked_by_the_command

from swarmlet.api.schema import DeployReply, RolloutView, ServiceState, ServiceView, StackView
from swarmlet.cli import deploying
from swarmlet.cli.client import Client
from swarmlet.cli.deploying import DeployFailed, wait_converged

NEW, OLD = "new000000000", "old000000000"
REPLY = DeployReply(revision=3, changed=["shop.web"], revisions={"shop.web": NEW})


class OneStack(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.services: list[ServiceView] = []
        """One for each look; the last one stays."""

    def view(self) -> StackView:
        service = self.services.pop(0) if len(self.services) > 1 else self.services[0]
        return StackView(name="shop", revision=3, deployed_at=1.0, state=service.state, services=[service])


class Answers(JsonAnswers):
    server: OneStack

    def do_GET(self) -> None:
        self.reply(self.server.view().model_dump_json())


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[OneStack]:
    server = OneStack()
    monkeypatch.setattr(deploying, "POLL_S", 0.01)
    monkeypatch.setattr(deploying, "STUCK_PATIENCE_S", 0.05)
    with asked_by_the_command(server, monkeypatch):
        yield server


def a_service(state: ServiceState, revision: str = NEW, /, **rollout: object) -> ServiceView:
    view = RolloutView.model_validate(
        {"number": 2, "revision": revision, "state": "running", "begun_at": 1.0, **rollout}
    )
    return ServiceView(
        id="shop.web", stack="shop", name="web", image="web:2", mode="replicated", wanted=3, ready=0, outdated=3,
        revision=revision, ports=[], state=state, problem="exits at once", rollout=view,
    )  # fmt: skip


def wait(timeout_s: float = 5.0) -> StackView:
    return wait_converged(Client.from_environment(), "shop", REPLY, timeout_s, lambda _: None)


def test_a_revision_that_is_rolled_back_fails_the_deploy_with_its_reason(peer: OneStack) -> None:
    peer.services = [
        *[a_service(ServiceState.STUCK, goes_back=True)] * 10,
        a_service(
            ServiceState.PROGRESSING, OLD, rollback=True, undoes=NEW, reason="back to revision 1: 1 new task failed"
        ),
    ]

    with pytest.raises(DeployFailed, match="web: rolled back to revision 1: 1 new task failed"):
        wait()


def test_one_that_would_not_be_rolled_back_is_given_up_when_it_is_stuck(peer: OneStack) -> None:
    peer.services = [a_service(ServiceState.STUCK)]

    with pytest.raises(DeployFailed, match="0 of 3 ready, exits at once"):
        wait()


def test_another_deploy_in_between_is_said(peer: OneStack) -> None:
    peer.services = [a_service(ServiceState.CONVERGED, OLD)]

    with pytest.raises(DeployFailed, match="something else was deployed in the meantime"):
        wait()


@pytest.mark.parametrize(
    ("rollout", "message"),
    [
        ({"state": "paused", "reason": "2 new tasks failed"}, "its rollout is paused: 2 new tasks failed"),
        ({"canary_percent": 10}, "10 % of its tasks are new and ready, and it waits for you"),
    ],
)
def test_a_rollout_that_waits_for_somebody_fails_the_deploy_and_names_the_command(
    peer: OneStack, rollout: dict[str, object], message: str
) -> None:
    peer.services = [a_service(ServiceState.PROGRESSING, waits=True, **rollout)]

    with pytest.raises(DeployFailed, match=f"{message}.*'swarmlet rollout resume shop.web'"):
        wait()


def test_one_that_converges_is_returned(peer: OneStack) -> None:
    peer.services = [a_service(ServiceState.PROGRESSING), a_service(ServiceState.CONVERGED)]

    assert wait().state is ServiceState.CONVERGED
