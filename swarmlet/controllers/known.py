"""What somebody names, from the agreed state; or who there is instead."""

from swarmlet.controllers.stack_errors import UnknownService, UnknownStack
from swarmlet.model.ids import ServiceId, StackName
from swarmlet.model.objects import Service, Stack
from swarmlet.model.state import ClusterState, Versioned


def known_service(state: ClusterState, service: ServiceId) -> Versioned[Service]:
    """Raises `UnknownService`."""
    found = state.services.get(service)
    if found is None:
        raise UnknownService(service, tuple(sorted(state.services)))
    return found


def known_stack(state: ClusterState, stack: StackName) -> Versioned[Stack]:
    """Raises `UnknownStack`."""
    found = state.stacks.get(stack)
    if found is None:
        raise UnknownStack(stack, tuple(sorted(state.stacks)))
    return found
