"""Pods as people declare them: what services that share one network have to agree on.

Rules: they have the same number of tasks and the same mode; no two of them listen on one port; none of them has a
network, names or addresses of its own, is scaled by its load, or is rolled out beside itself. A member's task is
replaced without the others, in the same pod and on the same node, so the old one stops first.
"""

from collections import defaultdict
from collections.abc import Sequence

from swarmlet.controllers import pod_tasks
from swarmlet.controllers.stack_errors import StackRefused
from swarmlet.model.container import NetworkMode
from swarmlet.model.objects import Service
from swarmlet.model.rollout import Order, UpdatePolicy
from swarmlet.model.spec import Mode, ServiceSpec, StackSpec
from swarmlet.model.state import ClusterState, Versioned


class PodRefused(StackRefused):
    """Services that can't share one network as they are declared."""

    def __init__(self, pod: str, message: str) -> None:
        super().__init__(f"pod '{pod}': {message}")
        self.pod = pod


def check(spec: StackSpec) -> None:
    """Raises `PodRefused`."""
    members: dict[str, list[ServiceSpec]] = defaultdict(list)
    for _, service in sorted(spec.services.items()):
        if service.template.pod:
            members[service.template.pod].append(service)
    for pod, services in members.items():
        for service in services:
            _check_alone(pod, service)
        _check_numbers(pod, services)
        _check_ports(pod, services)


def _check_alone(pod: str, service: ServiceSpec) -> None:
    options = service.template.options
    if options.network is not NetworkMode.BRIDGE:
        raise PodRefused(pod, f"'{service.name}' has the network mode {options.network}: remove its 'network_mode'")
    own = {"dns": options.dns, "dns_search": options.dns_search, "dns_opt": options.dns_options}
    own["extra_hosts"] = options.extra_hosts
    for key, value in own.items():
        if value:
            raise PodRefused(pod, f"'{service.name}' shares its network and can't have names of its own: remove {key}")
    if service.autoscale is not None:
        raise PodRefused(
            pod, f"'{service.name}' is autoscaled, but all members have equally many tasks: remove 'autoscale'"
        )
    if service.rollout.blue_green:
        raise PodRefused(
            pod, f"'{service.name}' can't run beside itself in one network: remove 'blue_green' from its rollout"
        )


def _check_numbers(pod: str, services: Sequence[ServiceSpec]) -> None:
    first = services[0]
    for other in services[1:]:
        if other.mode is not first.mode:
            raise PodRefused(
                pod, f"'{first.name}' is {first.mode} and '{other.name}' is {other.mode}: give both the same mode"
            )
        if first.mode is Mode.REPLICATED and other.replicas != first.replicas:
            raise PodRefused(
                pod,
                f"'{first.name}' has {first.replicas} replicas and '{other.name}' has {other.replicas}: give both as "
                "many",
            )


def _check_ports(pod: str, services: Sequence[ServiceSpec]) -> None:
    taken: dict[int, str] = {}
    for service in services:
        for target in sorted({port.target for port in service.template.ports}):
            if target in taken:
                raise PodRefused(
                    pod,
                    f"'{taken[target]}' and '{service.name}' both listen on port {target} of the network that they "
                    "share: let one of them listen on another",
                )
            taken[target] = service.name


def ordered(spec: StackSpec) -> StackSpec:
    """The stack with its members of pods replaced stop-first."""
    services = {
        name: _stop_first(service) if service.template.pod else service for name, service in spec.services.items()
    }
    return spec.model_copy(update={"services": services})


def _stop_first(service: ServiceSpec) -> ServiceSpec:
    def ordered(policy: UpdatePolicy) -> UpdatePolicy:
        return policy.model_copy(update={"order": Order.STOP_FIRST})

    declared = service.rollout
    rollback = ordered(declared.rollback) if declared.rollback else None
    rollout = declared.model_copy(update={"update": ordered(declared.update), "rollback": rollback})
    return service.model_copy(update={"rollout": rollout})


def together(state: ClusterState, service: Versioned[Service]) -> list[Versioned[Service]]:
    """The service, and all that have as many tasks as it because they share its pods."""
    template = service.value.spec.template
    found = pod_tasks.members(state).get((service.value.stack, template.pod), [])
    return [state.services[each.id] for each in found] if template.pod and found else [service]
