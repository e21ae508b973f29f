"""Which of a node's named devices a task gets: GPUs, sticks, whatever its configuration lists by name.

Rules:
- The leader counts, by kind, and never promises more than a node has. Which of them a task gets is the node's own
  business: it alone knows what its containers hold.
- Nothing is remembered: what a container was given is in its label. It holds that for as long as it runs or may be
  started again; not when its task was stopped or has ended for good, which is also when the leader stops counting it.
- One container at a time is made of those that get any: two never find the same device free.

Decision record 0064.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from swarmlet.model.ids import TaskId
from swarmlet.model.observed import Phase, TaskStatus
from swarmlet.model.spec import ALL_DEVICES
from swarmlet.node.inventory import Inventory, Listing
from swarmlet.runtime.interface import Container, ContainerFailed, ContainerId, ContainerSpec, ContainerState, Runtime

Offered = Mapping[str, tuple[str, ...]]
"""By kind, the names of devices: paths, or CDI names."""
OVER = (Phase.STOPPED, Phase.EXITED)


class NoDeviceFree(ContainerFailed):
    def __init__(self, kind: str, wanted: int, names: Iterable[str], taken: Iterable[str]) -> None:
        has = sorted(names)
        count = "all" if wanted == ALL_DEVICES else str(wanted)
        super().__init__(
            f"needs {count} of its node's devices {kind} ({', '.join(has) or 'it has none'}), "
            f"of which others hold {', '.join(sorted(set(has) & set(taken))) or 'none'}"
        )


class Devices:
    def __init__(
        self,
        offered: Offered,
        runtime: Runtime,
        inventory: Inventory,
        statuses: Callable[[], Mapping[TaskId, TaskStatus]],
    ) -> None:
        self._offered = offered
        self._runtime, self._inventory, self._statuses = runtime, inventory, statuses
        self._giving = asyncio.Lock()

    async def create(self, spec: ContainerSpec) -> ContainerId:
        """The container, with the devices that its task reserves. Raises `NoDeviceFree`, too."""
        wanted = spec.template.reservations.devices
        if not self._offered.keys() & wanted.keys():
            return await self._runtime.create(spec)
        async with self._giving:
            listing = await self._inventory.look()
            given = choose(self._offered, wanted, held(listing, self._statuses(), but=spec.task))
            told = {f"SWARMLET_DEVICES_{_word(kind)}": ",".join(names) for kind, names in given.items()}
            devices = tuple(name for names in given.values() for name in names)
            return await self._runtime.create(replace(spec, devices=devices, environment={**spec.environment, **told}))


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


def choose(offered: Offered, wanted: Mapping[str, int], taken: set[str]) -> dict[str, tuple[str, ...]]:
    """By kind, the first that are free. Kinds that the node only counts are left out."""
    chosen: dict[str, tuple[str, ...]] = {}
    for kind, count in sorted(wanted.items()):
        names = offered.get(kind)
        if names is None:
            continue
        free = [name for name in names if name not in taken]
        number = len(names) if count == ALL_DEVICES else count
        if not names or number > len(free):
            raise NoDeviceFree(kind, count, names, taken)
        chosen[kind] = tuple(free[:number])
    return chosen


def _word(kind: str) -> str:
    """As a part of an environment variable's name."""
    return "".join(char if char.isalnum() else "_" for char in kind.upper())
