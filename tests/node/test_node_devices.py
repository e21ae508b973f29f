"""Named devices: who gets which, what is held and by whom; containers on the fake runtime."""

import asyncio

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from node_builders import NODE, a_task

from swarmlet.model.ids import ServiceId, TaskId
from swarmlet.model.objects import Task
from swarmlet.model.observed import Phase, TaskStatus
from swarmlet.model.spec import ALL_DEVICES, Resources
from swarmlet.node.devices import DeviceGone, DeviceHeld, Devices, NoDeviceFree, choose
from swarmlet.node.inventory import Inventory
from swarmlet.runtime.fake import FakeRuntime
from swarmlet.runtime.interface import ContainerId, ContainerSpec

GPUS = ("vendor.com/gpu=0", "vendor.com/gpu=1", "vendor.com/gpu=2")
OFFERED = {"gpu": dict(zip("012", GPUS, strict=True)), "stick": {"left": "/dev/ttyUSB0"}}


def test_the_first_free_ones_are_chosen_and_counted_kinds_are_nobodys_business() -> None:
    assert choose(OFFERED, {"gpu": 2, "licence": 1}, {GPUS[0]}) == {"gpu": GPUS[1:]}
    assert choose(OFFERED, {"gpu": ALL_DEVICES, "stick": 1}, set()) == {"gpu": GPUS, "stick": ("/dev/ttyUSB0",)}


@pytest.mark.parametrize("count", [3, ALL_DEVICES])
def test_what_lacks_is_said_with_who_has_it(count: int) -> None:
    with pytest.raises(NoDeviceFree) as refused:
        choose(OFFERED, {"gpu": count}, {GPUS[1]})

    assert f"needs {'all' if count == ALL_DEVICES else count} of its node's devices gpu" in str(refused.value)
    assert str(refused.value).endswith(f"of which others hold {GPUS[1]}")


def test_all_of_none_is_not_given() -> None:
    with pytest.raises(NoDeviceFree, match="it has none"):
        choose({"gpu": {}}, {"gpu": ALL_DEVICES}, set())


class Given:
    """A node's devices, its containers, and what it says of its tasks."""

    def __init__(self, runtime: FakeRuntime | None = None) -> None:
        self.runtime = runtime or FakeRuntime(node_id=NODE)
        self.statuses: dict[TaskId, TaskStatus] = {}
        self.tasks: dict[TaskId, Task] = {}
        inventory = Inventory(self.runtime, lambda: 0.0, 5.0)
        self.devices = Devices(OFFERED, self.runtime, inventory, lambda: self.statuses, self.tasks.values)

    async def create(self, name: str, **wanted: int) -> ContainerId:
        reserved = a_task(name).template.model_copy(update={"reservations": Resources(devices=wanted)})
        task = self.tasks.get(TaskId(name))
        spec = ContainerSpec(TaskId(name), ServiceId("s.web"), f"c-{name}", reserved)
        return await self.devices.create(spec, task.devices if task else {})

    def leader_gives(self, name: str, **ids: tuple[str, ...]) -> None:
        self.tasks[TaskId(name)] = a_task(name).model_copy(update={"devices": ids})

    def says(self, name: str, phase: Phase) -> None:
        self.statuses[TaskId(name)] = TaskStatus(
            task=TaskId(name), service=ServiceId("s.web"), revision=a_task(name).revision, phase=phase
        )

    def has(self, container: ContainerId) -> tuple[str, ...]:
        return self.runtime.containers[container].seen.devices


async def test_each_gets_its_own_and_is_told_which() -> None:
    given_ = Given()
    first, second = await given_.create("a", gpu=1, stick=1), await given_.create("b", gpu=2)

    assert given_.has(first) == (GPUS[0], "/dev/ttyUSB0")
    assert given_.has(second) == GPUS[1:]
    environment = given_.runtime.containers[first].spec.environment
    assert environment["SWARMLET_DEVICES_GPU"] == GPUS[0] and environment["SWARMLET_DEVICES_STICK"] == "/dev/ttyUSB0"
    with pytest.raises(NoDeviceFree):
        await given_.create("c", gpu=1)
    assert given_.has(await given_.create("d")) == ()


async def test_one_that_may_be_started_again_keeps_its_own_and_one_that_is_over_does_not() -> None:
    given_ = Given()
    for name in ("a", "b", "c"):
        container = await given_.create(name, gpu=1)
        await given_.runtime.start(container)
    given_.runtime.exit(TaskId("a"), 1)
    given_.says("a", Phase.BACKOFF)
    with pytest.raises(NoDeviceFree):
        await given_.create("d", gpu=1)

    given_.says("a", Phase.EXITED)
    assert given_.has(await given_.create("d", gpu=1)) == (GPUS[0],)
    given_.says("b", Phase.STOPPED)
    with pytest.raises(NoDeviceFree):
        await given_.create("e", gpu=1)  # whatever is said of it, it runs


async def test_an_agent_that_returns_knows_who_has_what() -> None:
    before = Given()
    await before.runtime.start(await before.create("a", gpu=2))

    after = Given(before.runtime)
    assert after.has(await after.create("b", gpu=1)) == (GPUS[2],)


async def test_what_the_leader_gave_is_what_it_gets_and_others_choose_round_it() -> None:
    given_ = Given()
    given_.leader_gives("a", gpu=("1",), stick=("left",))
    assert given_.has(await given_.create("b", gpu=1)) == (GPUS[0],)
    assert given_.has(await given_.create("c", gpu=1)) == (GPUS[2],), (
        "the other one is for a, which has no container yet"
    )

    first = await given_.create("a", gpu=1, stick=1)
    assert given_.has(first) == (GPUS[1], "/dev/ttyUSB0")
    environment = given_.runtime.containers[first].spec.environment
    assert environment["SWARMLET_DEVICES_GPU"] == GPUS[1] and environment["SWARMLET_DEVICES_STICK"] == "/dev/ttyUSB0"


async def test_whoever_gave_it_what_another_container_holds_is_not_given_and_what_is_gone_neither() -> None:
    given_ = Given()
    await given_.runtime.start(await given_.create("a", gpu=1))
    given_.leader_gives("b", gpu=("0",))
    given_.leader_gives("c", gpu=("7",))

    with pytest.raises(DeviceHeld, match=r"gpu vendor\.com/gpu=0, which another task's container still holds"):
        await given_.create("b", gpu=1)
    with pytest.raises(DeviceGone, match="gpu 7, which the node's configuration does not name any more"):
        await given_.create("c", gpu=1)
    given_.says("a", Phase.STOPPED)
    given_.runtime.exit(TaskId("a"), 0)
    assert given_.has(await given_.create("b", gpu=1)) == (GPUS[0],)


@settings(max_examples=60, deadline=None)
@given(wishes=st.lists(st.sampled_from([1, 2, 3, ALL_DEVICES]), max_size=6))
def test_whatever_comes_at_once_no_two_have_the_same(wishes: list[int]) -> None:
    async def made() -> list[tuple[str, ...]]:
        given_ = Given()
        names = [f"t{number}" for number in range(len(wishes))]
        creating = (given_.create(name, gpu=count) for name, count in zip(names, wishes, strict=True))
        found = await asyncio.gather(*creating, return_exceptions=True)
        assert all(isinstance(each, str | NoDeviceFree) for each in found), found
        return [given_.has(ContainerId(each)) for each in found if isinstance(each, str)]

    given_out = [name for names in asyncio.run(made()) for name in names]
    assert len(given_out) == len(set(given_out)) <= len(GPUS)
    assert given_out or not wishes
