"""`swarmlet deploy`: the request is sent, and the outcome is watched to its end.

The exit status tells the truth: 0 only when every task of the stack was ready (or ended as declared), and of what was
deployed. A service that was rolled back, or whose rollout waits for somebody, is a failure that says so.
"""

import time
from collections.abc import Callable

from swarmlet.api.schema import DeployReply, RolloutView, ServiceState, ServiceView, StackView
from swarmlet.cli.client import Client, path_to
from swarmlet.errors import SwarmletError

POLL_S = 0.2
STUCK_PATIENCE_S = 8.0
"""A deploy that says 'stuck' for so long won't be watched any longer: its reason is the answer."""


class DeployFailed(SwarmletError):
    pass


def wait_converged(
    client: Client, stack: str, reply: DeployReply, timeout_s: float, say: Callable[[StackView], None]
) -> StackView:
    """Follow a deploy until every service is as declared. Raises `DeployFailed` with the reason when it won't be."""
    deadline = time.monotonic() + timeout_s
    stuck_since: float | None = None
    while True:
        answer = client.request("GET", path_to("stacks", stack))
        view = answer.parse(StackView)
        if answer.revision >= reply.revision:
            say(view)
            _check_still_wanted(view, reply)
            if view.state is ServiceState.CONVERGED:
                return view
            now = time.monotonic()
            stuck_since = (stuck_since or now) if _is_stuck(view) else None
            if stuck_since is not None and now - stuck_since >= STUCK_PATIENCE_S:
                raise DeployFailed(_why(view))
        if time.monotonic() >= deadline:
            raise DeployFailed(f"not healthy after {timeout_s:.0f} s: {_why(view)}")
        time.sleep(POLL_S)


def _is_stuck(view: StackView) -> bool:
    """One that would be rolled back by itself gets its time: what becomes of it says more."""
    stuck = [service for service in view.services if service.state is ServiceState.STUCK]
    return any(service.rollout is None or not service.rollout.goes_back for service in stuck)


def _check_still_wanted(view: StackView, reply: DeployReply) -> None:
    for service in view.services:
        wanted, rollout = reply.revisions.get(service.id), service.rollout
        if wanted is not None and service.revision != wanted:
            if rollout is not None and rollout.rollback and rollout.undoes == wanted:
                raise DeployFailed(f"{service.name}: rolled {rollout.reason}")
            raise DeployFailed(f"{service.name}: something else was deployed in the meantime")
        if rollout is not None and rollout.waits:
            raise DeployFailed(f"{service.name}: {_what_waits(service, rollout)}")


def _what_waits(service: ServiceView, rollout: RolloutView) -> str:
    go_on = f"see 'swarmlet rollout resume {service.id}' and 'swarmlet rollout abort {service.id}'"
    if rollout.canary_percent is not None and rollout.state != "paused":
        return f"{rollout.canary_percent} % of its tasks are new and ready, and it waits for you: {go_on}"
    return f"its rollout is paused: {rollout.reason}; {go_on}"


def _why(view: StackView) -> str:
    open_services = [service for service in view.services if service.state is not ServiceState.CONVERGED]
    return "; ".join(_reason(service) for service in open_services)


def _reason(service: ServiceView) -> str:
    reasons = "".join(f"; {node}: {reason}" for node, reason in sorted(service.per_node.items()))
    return f"{service.name}: {service.ready} of {service.wanted} ready, {service.problem or 'still starting'}{reasons}"


def progress_line(view: StackView) -> str:
    parts = []
    for service in view.services:
        rest = f", {service.outdated} of an earlier revision" if service.outdated else ""
        trouble = f" ({service.problem})" if service.problem else ""
        parts.append(f"{service.name} {service.ready}/{service.wanted}{rest}{trouble}")
    return "  ".join(parts)
