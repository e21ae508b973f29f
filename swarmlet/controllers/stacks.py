"""Users' wishes as transactions: deploy, remove, scale. What can't be is refused here, before it enters the log.

Rules: a deploy writes only what differs, and deletes the services that the file no longer has; with nothing
changed the transaction has no operations. Every object of the stack that was read is compared, so that of two
deploys at once one is refused and can be tried again. Not compared are other stacks: if two of them claim one
port at the same moment, both get in, and the data plane lets the older service have it and reports the other.
"""

from collections.abc import Iterable, Iterator, Mapping

from swarmlet.controllers import job_commands, pods, prerequisites
from swarmlet.controllers.autoscaling import autoscaled, kept_replicas
from swarmlet.controllers.known import known_service
from swarmlet.controllers.stack_errors import (
    AutoscaledNotScalable,
    DependencyCycle,
    ExclusiveServiceNotScalable,
    GlobalServiceNotScalable,
    JobNotScalable,
    PortConflict,
    ReplicasOutOfRange,
    UnknownDependency,
    UnknownStack,
)
from swarmlet.model.bonds import as_stored
from swarmlet.model.ids import ServiceId, StackName, service_id
from swarmlet.model.job import JOBS
from swarmlet.model.objects import SERVICES, STACKS, Service, Stack
from swarmlet.model.spec import REPLICAS_MAX, Mode, PublishedPort, ServiceSpec, StackSpec
from swarmlet.model.state import ClusterState, Versioned
from swarmlet.model.transaction import Compare, Delete, Operation, Transaction, put

ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})


def deploy(state: ClusterState, spec: StackSpec, now: float) -> Transaction:
    """Make the stack what the file says. Raises a subclass of `StackRefused`."""
    name = StackName(spec.name)
    _check_dependencies(spec)
    pods.check(spec)
    spec = as_stored(spec)
    _check_ports(state, spec)
    before = services_of(state, name)
    after = {each.id: each for each in (_wanted(name, wanted, before) for _, wanted in sorted(spec.services.items()))}
    changed = [each for each in after.values() if each.id not in before or before[each.id].value != each]
    removed = [id_ for id_ in before if id_ not in after]
    stack = Stack(name=name, services=tuple(sorted(spec.services)), deployed_at=now)
    stored = state.stacks.get(name)
    again = [*prerequisites.again(state, after.values(), now), *job_commands.again(state, after.values())]
    operations: list[Operation] = [put(each.key, each) for each in changed]
    operations += [Delete(SERVICES + id_) for id_ in removed]
    operations += [Delete(JOBS + id_) for id_ in removed if id_ in state.jobs]
    if operations or stored is None or stored.value.services != stack.services:
        operations.append(put(stack.key, stack))
    operations += [operation for step in again for operation in step.operations]
    compares = [Compare(stack.key, stored.revision if stored else 0)]
    compares += [compare for step in again for compare in step.compares]
    compares += [Compare(SERVICES + id_, each.revision) for id_, each in before.items()]
    compares += [Compare(each.key, 0) for each in changed if each.id not in before]
    reason = f"deploy {name}: {len(changed)} services changed, {len(removed)} removed"
    return Transaction(tuple(compares), tuple(operations), reason=reason)


def _wanted(stack: StackName, wanted: ServiceSpec, before: Mapping[ServiceId, Versioned[Service]]) -> Service:
    id_ = service_id(stack, wanted.name)
    stored = before.get(id_)
    replicas = kept_replicas(wanted, stored.value.spec if stored else None)
    spec = wanted if replicas == wanted.replicas else wanted.model_copy(update={"replicas": replicas})
    return Service(id=id_, stack=stack, spec=spec, revision=wanted.template.revision())


def remove(state: ClusterState, stack: StackName) -> Transaction:
    """Delete the stack and all its services; their tasks follow. Raises `UnknownStack`."""
    stored, services = state.stacks.get(stack), services_of(state, stack)
    if stored is None and not services:
        raise UnknownStack(stack, tuple(sorted(state.stacks)))
    compares = [Compare(STACKS + stack, stored.revision if stored else 0)]
    compares += [Compare(SERVICES + id_, each.revision) for id_, each in services.items()]
    operations: list[Operation] = [Delete(SERVICES + id_) for id_ in services]
    # Deployed anew, a job is another one that has not run yet.
    operations += [Delete(JOBS + id_) for id_ in services if id_ in state.jobs]
    operations.append(Delete(STACKS + stack))
    return Transaction(tuple(compares), tuple(operations), reason=f"remove {stack}")


def scale(state: ClusterState, service: ServiceId, replicas: int) -> Transaction:
    """Change how many tasks a replicated service has, and all that share a pod with it. Raises a `StackRefused`."""
    stored = known_service(state, service)
    if stored.value.spec.job is not None:
        raise JobNotScalable(service)
    if stored.value.spec.mode is Mode.GLOBAL:
        raise GlobalServiceNotScalable(service)
    if (scaling := autoscaled(stored.value.spec)) is not None:
        raise AutoscaledNotScalable(service, scaling.replicas_min, scaling.replicas_max)
    if not 0 <= replicas <= REPLICAS_MAX:
        raise ReplicasOutOfRange(service, replicas, REPLICAS_MAX)
    if replicas > 1 and stored.value.spec.template.exclusive:
        raise ExclusiveServiceNotScalable(service, replicas)
    before = stored.value.spec.replicas
    together = pods.together(state, stored)
    compares = tuple(Compare(each.value.key, each.revision) for each in together)
    if replicas == before:
        return Transaction(compares, (), reason=f"scale {service}: it has {replicas} replicas already")
    specs = [each.value.spec.model_copy(update={"replicas": replicas}) for each in together]
    scaled = [each.value.model_copy(update={"spec": spec}) for each, spec in zip(together, specs, strict=True)]
    operations = tuple(put(each.key, each) for each in scaled)
    return Transaction(compares, operations, reason=f"scale {service} from {before} to {replicas}")


def services_of(state: ClusterState, stack: StackName) -> dict[ServiceId, Versioned[Service]]:
    return {id_: each for id_, each in sorted(state.services.items()) if each.value.stack == stack}


def _check_dependencies(spec: StackSpec) -> None:
    for name, service in sorted(spec.services.items()):
        for dependency in sorted(service.depends_on):
            if dependency not in spec.services:
                raise UnknownDependency(spec.name, name, dependency)
    if cycle := _cycle(spec.services):
        raise DependencyCycle(spec.name, cycle)


def _cycle(services: dict[str, ServiceSpec]) -> tuple[str, ...]:
    """Take away, again and again, the services whose dependencies are all taken; what stays depends on itself."""
    left = dict(services)
    while ready := [name for name, spec in left.items() if not any(each in left for each in spec.depends_on)]:
        for name in ready:
            del left[name]
    if not left:
        return ()
    walk = [min(left)]
    while walk.count(walk[-1]) < 2:
        walk.append(min(each for each in left[walk[-1]].depends_on if each in left))
    return tuple(walk[walk.index(walk[-1]) :])


def _check_ports(state: ClusterState, spec: StackSpec) -> None:
    taken: dict[int, list[tuple[ServiceId, PublishedPort]]] = {}
    for service, port in _published(state, spec):
        for other, other_port in taken.get(port.published, []):
            if _same_address(port, other_port):
                raise PortConflict(service, port.published, other)
        taken.setdefault(port.published, []).append((service, port))


def _published(state: ClusterState, spec: StackSpec) -> Iterator[tuple[ServiceId, PublishedPort]]:
    """The ports of all other stacks first, then those of the stack's new services: the newcomer is the one refused."""
    others: Iterable[Service] = (each.value for _, each in sorted(state.services.items()))
    for service in others:
        if service.stack != spec.name:
            yield from ((service.id, port) for port in service.spec.template.ports)
    for name, wanted in sorted(spec.services.items()):
        yield from ((service_id(StackName(spec.name), name), port) for port in wanted.template.ports)


def _same_address(one: PublishedPort, other: PublishedPort) -> bool:
    """An unspecified address may be any address, so it meets every other."""
    return bool({one.host_address, other.host_address} & ANY_ADDRESS) or one.host_address == other.host_address
