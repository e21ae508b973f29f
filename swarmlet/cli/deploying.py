"""`swarmlet deploy`: the request is sent, and the outcome is watched to its end.

The exit status tells the truth: 0 only when every task of the stack was ready (or ended as declared).
"""

import time
from collections.abc import Callable

from swarmlet.api.schema import DeployReply, ServiceState, ServiceView, StackView
from swarmlet.cli.client import Client
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
        answer = client.request("GET", f"/v1/stacks/{stack}")
        view = answer.parse(StackView)
        if answer.revision >= reply.revision:
            say(view)
            if view.state is ServiceState.CONVERGED:
                return view
            now = time.monotonic()
            stuck_since = (stuck_since or now) if view.state is ServiceState.STUCK else None
            if stuck_since is not None and now - stuck_since >= STUCK_PATIENCE_S:
                raise DeployFailed(_why(view))
        if time.monotonic() >= deadline:
            raise DeployFailed(f"not healthy after {timeout_s:.0f} s: {_why(view)}")
        time.sleep(POLL_S)


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
