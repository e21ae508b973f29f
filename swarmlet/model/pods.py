"""Pods as people declare them: what services that share one network have to agree on.

Rules: they have the same number of tasks and the same mode; no two of them listen on one port; none of them has a
network, names or addresses of its own, is scaled by its load, or is rolled out beside itself. A member's task is
replaced without the others, in the same pod and on the same node, so the old one stops first.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from swarmlet.model.container import NetworkMode
from swarmlet.model.spec import Mode, ServiceSpec, StackSpec


@dataclass(frozen=True, slots=True)
class PodFault:
    """Why services can't share one network as they are declared."""

    pod: str
    service: str
    """The member that does not fit to those before it, or that fits nowhere."""
    message: str

    def __str__(self) -> str:
        return f"pod '{self.pod}': {self.message}"


def pod_faults(services: Iterable[ServiceSpec]) -> Iterator[PodFault]:
    """Of all pods of one stack."""
    members: dict[str, list[ServiceSpec]] = defaultdict(list)
    for service in sorted(services, key=lambda each: each.name):
        if service.template.pod:
            members[service.template.pod].append(service)
    for pod, together in members.items():
        for service in together:
            yield from (PodFault(pod, service.name, message) for message in _alone(service))
        yield from _numbers(pod, together)
        yield from _ports(pod, together)


def _alone(service: ServiceSpec) -> Iterator[str]:
    options = service.template.options
    if options.network is not NetworkMode.BRIDGE:
        yield f"'{service.name}' has the network mode {options.network}: remove its 'network_mode'"
    own = {"dns": options.dns, "dns_search": options.dns_search, "dns_opt": options.dns_options}
    own["extra_hosts"] = options.extra_hosts
    for key, value in own.items():
        if value:
            yield f"'{service.name}' shares its network and can't have names of its own: remove {key}"
    if service.autoscale is not None:
        yield f"'{service.name}' is autoscaled, but all members have equally many tasks: remove 'autoscale'"
    if service.rollout.blue_green:
        yield f"'{service.name}' can't run beside itself in one network: remove 'blue_green' from its rollout"


def _numbers(pod: str, services: Sequence[ServiceSpec]) -> Iterator[PodFault]:
    first = services[0]
    for other in services[1:]:
        if other.mode is not first.mode:
            message = f"'{first.name}' is {first.mode} and '{other.name}' is {other.mode}: give both the same mode"
            yield PodFault(pod, other.name, message)
        elif first.mode is Mode.REPLICATED and other.replicas != first.replicas:
            message = (
                f"'{first.name}' has {first.replicas} replicas and '{other.name}' has {other.replicas}: give both as "
                "many"
            )
            yield PodFault(pod, other.name, message)


def _ports(pod: str, services: Sequence[ServiceSpec]) -> Iterator[PodFault]:
    taken: dict[int, str] = {}
    for service in services:
        for target in sorted({port.target for port in service.template.ports}):
            if target in taken:
                message = (
                    f"'{taken[target]}' and '{service.name}' both listen on port {target} of the network that they "
                    "share: let one of them listen on another"
                )
                yield PodFault(pod, service.name, message)
            taken.setdefault(target, service.name)


def ordered(spec: StackSpec) -> StackSpec:
    """The stack with its members of pods replaced stop-first."""
    services = {
        name: service.model_copy(update={"rollout": service.rollout.stop_first()}) if service.template.pod else service
        for name, service in spec.services.items()
    }
    return spec.model_copy(update={"services": services})
