"""Pods as a whole: refused where their services can't share one network (`model.pods`), scaled together."""

from swarmlet.controllers import pod_tasks
from swarmlet.controllers.stack_errors import StackRefused
from swarmlet.model.objects import Service
from swarmlet.model.pods import PodFault, pod_faults
from swarmlet.model.spec import StackSpec
from swarmlet.model.state import ClusterState, Versioned


class PodRefused(StackRefused):
    """Services that can't share one network as they are declared."""

    def __init__(self, fault: PodFault) -> None:
        super().__init__(str(fault))
        self.pod = fault.pod


def check(spec: StackSpec) -> None:
    """Raises `PodRefused`. A Compose file's are told earlier, with their place."""
    for fault in pod_faults(spec.services.values()):
        raise PodRefused(fault)


def together(state: ClusterState, service: Versioned[Service]) -> list[Versioned[Service]]:
    """The service, and all that have as many tasks as it because they share its pods."""
    template = service.value.spec.template
    found = pod_tasks.members(state).get((service.value.stack, template.pod), [])
    return [state.services[each.id] for each in found] if template.pod and found else [service]
