"""Which of a node's named devices a task gets: GPUs, sticks, whatever its configuration lists by name.

Rules:
- The leader chooses, and writes the ids into the task; here they become names that the engine knows. What the leader
  left open (it did not know the names when it placed the task) is chosen here, apart from all that it gave to others.
- Whoever chose, no container gets what another one holds: the last word is said where the containers are.
- Nothing is remembered: what a container was given is in its label. It holds that for as long as it runs or may be
  started again; not when its task was stopped or has ended for good, which is also when the leader stops counting it.
- One container at a time is made of those that get any: two never find the same device free.

Decision records 0064 and 0065.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from swarmlet.model.ids import TaskId
from swarmlet.model.objects import Task
from swarmlet.model.observed import Phase, TaskStatus
from swarmlet.model.spec import ALL_DEVICES
from swarmlet.node.inventory import Inventory, Listing
from swarmlet.runtime.interface import Container, ContainerFailed, ContainerId, ContainerSpec, ContainerState, Runtime

Offered = Mapping[str, Mapping[str, str]]
"""By kind and id, the names of devices: paths, or CDI names."""
Names = dict[str, tuple[str, ...]]
"""By kind."""
OVER = (Phase.STOPPED, Phase.EXITED)


class NoDeviceFree(ContainerFailed):
    def __init__(self, kind: str, wanted: int, names: Iterable[str], taken: Iterable[str]) -> None:
        has = sorted(names)
        count = "all" if wanted == ALL_DEVICES else str(wanted)
        super().__init__(
            f"needs {count} of its node's devices {kind} ({', '.join(has) or 'it has none'}), "
            f"of which others hold {', '.join(sorted(set(has) & set(taken))) or 'none'}"
        )


class DeviceGone(ContainerFailed):
    def __init__(self, kind: str, device: str) -> None:
        super().__init__(
            f"has its node's device {kind} {device}, which the node's configuration does not name any more"
        )


class DeviceHeld(ContainerFailed):
    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"has its node's device {kind} {name}, which another task's container still holds")


class Devices:
    def __init__(
        self,
        offered: Offered,
        runtime: Runtime,
        inventory: Inventory,
        statuses: Callable[[], Mapping[TaskId, TaskStatus]],
        tasks: Callable[[], Iterable[Task]],
    ) -> None:
        """`tasks`: those that are assigned to the node."""
        self._offered = offered
        self._tasks = tasks
        self._runtime, self._inventory, self._statuses = runtime, inventory, statuses
        self._giving = asyncio.Lock()

    async def create(self, spec: ContainerSpec, own: Mapping[str, tuple[str, ...]]) -> ContainerId:
        """The container, with the devices that its task reserves; `own` are the ids that the leader gave it.

        Raises `DeviceGone`, `DeviceHeld` and `NoDeviceFree`, too.
        """
        wanted = spec.template.reservations.devices
        if not own and not self._offered.keys() & wanted.keys():
            return await self._runtime.create(spec)
        async with self._giving:
            listing = await self._inventory.look()
            taken = held(listing, self._statuses(), but=spec.task)
            given = names_of(self._offered, own, taken)
            left = {kind: count for kind, count in wanted.items() if kind not in own}
            given |= choose(self._offered, left, taken | self._given_to_others(spec.task))
            told = {f"SWARMLET_DEVICES_{_word(kind)}": ",".join(names) for kind, names in sorted(given.items())}
            devices = tuple(name for _, names in sorted(given.items()) for name in names)
            return await self._runtime.create(replace(spec, devices=devices, environment={**spec.environment, **told}))

    def _given_to_others(self, but: TaskId) -> set[str]:
        """What the leader gave to tasks that may not have their containers yet."""
        statuses, found = self._statuses(), set[str]()
        for task in self._tasks():
            status = statuses.get(task.id)
            if task.id != but and not (status and status.phase in OVER):
                for kind, ids in task.devices.items():
                    found |= {self._offered.get(kind, {}).get(device, "") for device in ids}
        return found


def names_of(offered: Offered, own: Mapping[str, tuple[str, ...]], taken: set[str]) -> Names:
    names: Names = {}
    for kind, ids in own.items():
        for device in ids:
            name = offered.get(kind, {}).get(device)
            if name is None:
                raise DeviceGone(kind, device)
            if name in taken:
                raise DeviceHeld(kind, name)
            names[kind] = (*names.get(kind, ()), name)
    return names


def held(listing: Listing, statuses: Mapping[TaskId, TaskStatus], but: TaskId) -> set[str]:
    """What is taken by tasks other than `but`."""
    taken: set[str] = set()
    for task, container in listing.containers.items():
        if task != but and not _is_over(container, statuses.get(task)):
            taken |= set(container.devices)
    return taken


def _is_over(container: Container, status: TaskStatus | None) -> bool:
    """Whatever is said of it, what runs is not; of one that belongs to no task, only its end tells."""
    if status is None:
        return container.state is ContainerState.EXITED
    return status.phase in OVER and container.state is not ContainerState.RUNNING


def choose(offered: Offered, wanted: Mapping[str, int], taken: set[str]) -> Names:
    """By kind, the first that are free. Kinds that the node only counts are left out."""
    chosen: Names = {}
    for kind, count in sorted(wanted.items()):
        if kind not in offered:
            continue
        names = tuple(offered[kind].values())
        free = [name for name in names if name not in taken]
        number = len(names) if count == ALL_DEVICES else count
        if not names or number > len(free):
            raise NoDeviceFree(kind, count, names, taken)
        chosen[kind] = tuple(free[:number])
    return chosen


def _word(kind: str) -> str:
    """As a part of an environment variable's name."""
    return "".join(char if char.isalnum() else "_" for char in kind.upper())
