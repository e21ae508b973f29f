"""Usage: rates from what was used so far, when they are told, and one look at a real (fake) runtime."""

from hypothesis import given
from hypothesis import strategies as st

from swarmlet.model.frozen import encode
from swarmlet.model.ids import NodeId, ServiceId, TaskId
from swarmlet.model.observed import Health, Phase, TaskStatus
from swarmlet.model.spec import TaskTemplate
from swarmlet.model.usage import NodeUsage
from swarmlet.node.usage_loop import UsageLoop
from swarmlet.node.usage_meter import UsageMeter
from swarmlet.node.usage_news import BUDGET_BYTES_S, COARSE_S, OVERHEAD_BYTES, SAVED_S_MAX, UsageNews
from swarmlet.runtime.fake import FakeRuntime
from swarmlet.runtime.interface import ContainerSpec, Used

ONE, TWO = TaskId("one"), TaskId("two")
MIB = 1024 * 1024


def test_a_rate_needs_two_samples_and_covers_the_window() -> None:
    meter = UsageMeter(window_s=10)

    meter.take({ONE: Used(5.0, MIB)}, {ONE}, now=0)
    assert meter.figures() == {}
    for at, cpu_s in ((5, 7.5), (10, 7.5), (15, 7.5), (20, 8.5)):
        meter.take({ONE: Used(cpu_s, 2 * MIB)}, {ONE}, now=at)

    assert meter.figures() == {ONE: (100, 2048)}, "a second in the last ten"


def test_the_work_of_starting_up_is_no_load() -> None:
    meter = UsageMeter()
    meter.take({ONE: Used(0.0, MIB)}, set(), now=0)
    meter.take({ONE: Used(5.0, MIB)}, set(), now=5)
    assert meter.figures() == {ONE: (1000, 1024)}, "people see it"

    meter.take({ONE: Used(10.0, MIB)}, {ONE}, now=10)
    assert meter.figures() == {}, "once ready it is measured anew"
    meter.take({ONE: Used(10.5, MIB)}, {ONE}, now=15)

    assert meter.figures() == {ONE: (100, 1024)}


def test_a_restarted_container_begins_anew_and_one_that_ended_is_forgotten() -> None:
    meter = UsageMeter()
    meter.take({ONE: Used(50.0, MIB)}, {ONE}, now=0)
    meter.take({ONE: Used(0.1, MIB)}, {ONE}, now=5)
    assert meter.figures() == {}
    meter.take({ONE: Used(0.6, MIB)}, {ONE}, now=10)
    assert meter.figures() == {ONE: (100, 1024)}

    meter.take({}, set(), now=15)

    assert meter.figures() == {}


def usage(cpu_milli: int, memory_kib: int = 10_000, task: TaskId = ONE) -> NodeUsage:
    return NodeUsage(tasks={task: (cpu_milli, memory_kib)})


def test_small_changes_are_no_news() -> None:
    news = UsageNews()

    assert news.worth_telling(usage(500), {ONE}, nodes=3, now=0)
    assert not news.worth_telling(usage(520), {ONE}, nodes=3, now=5)
    assert not news.worth_telling(usage(500, 10_400), {ONE}, nodes=3, now=10)
    assert news.worth_telling(usage(540), {ONE}, nodes=3, now=15)
    assert news.worth_telling(NodeUsage(), {ONE}, nodes=3, now=20)


def test_what_nothing_is_scaled_by_is_told_seldom() -> None:
    news = UsageNews()
    assert news.worth_telling(usage(500), set(), nodes=3, now=0)

    assert not news.worth_telling(usage(900), set(), nodes=3, now=COARSE_S - 1)
    assert not news.worth_telling(usage(600), set(), nodes=3, now=COARSE_S)
    assert news.worth_telling(usage(900), set(), nodes=3, now=COARSE_S)


def test_a_metric_that_moves_or_its_trouble_is_news() -> None:
    news = UsageNews()
    base = {"tasks": {ONE: (500, 10_000)}}

    assert news.worth_telling(NodeUsage(**base, metrics={ONE: {"a": 100.0}}), {ONE}, nodes=3, now=0)
    assert not news.worth_telling(NodeUsage(**base, metrics={ONE: {"a": 104.0}}), {ONE}, nodes=3, now=10)
    assert news.worth_telling(NodeUsage(**base, metrics={ONE: {"a": 106.0}}), {ONE}, nodes=3, now=20)
    assert news.worth_telling(NodeUsage(**base, problems={ONE: "no answer"}), {ONE}, nodes=3, now=30)


@given(
    nodes=st.integers(1, 200),
    changes=st.lists(st.tuples(st.floats(0.1, 30), st.integers(0, 64_000)), min_size=1, max_size=60),
)
def test_whatever_changes_gossip_carries_no_more_than_its_budget(nodes: int, changes: list[tuple[float, int]]) -> None:
    news, now, sent = UsageNews(), 0.0, []
    for gap_s, cpu_milli in changes:
        now += gap_s
        found = usage(cpu_milli)
        if news.worth_telling(found, {ONE}, nodes, now):
            digits = len(str(nodes))
            sent.append((len(encode(found)) + OVERHEAD_BYTES) * nodes * 4 * digits)

    assert sum(sent[:-1]) <= BUDGET_BYTES_S * (now + SAVED_S_MAX)


def a_status(task: TaskId) -> TaskStatus:
    return TaskStatus(
        task=task, service=ServiceId("demo.web"), revision="r", phase=Phase.RUNNING, health=Health.HEALTHY
    )


async def test_a_look_publishes_what_the_runtime_measured() -> None:
    runtime = FakeRuntime(node_id=NodeId("node-1"))
    now, published = [0.0], []
    spec = ContainerSpec(ONE, ServiceId("demo.web"), "one", TaskTemplate(image="web:1"))
    await runtime.start(await runtime.create(spec))
    loop = UsageLoop(runtime, lambda: {ONE: a_status(ONE)}, dict, lambda: 3, published.append, lambda: now[0])

    for at in (0, 5):
        now[0] = at
        runtime.used[ONE] = Used(cpu_s=at * 0.4, memory_bytes=3 * MIB)
        await loop.look({})
    runtime.unavailable = "the engine is away"
    await loop.look({})

    assert published == [NodeUsage(tasks={ONE: (400, 3072)})]


async def test_without_tasks_nothing_is_asked_for() -> None:
    runtime = FakeRuntime()

    await UsageLoop(runtime, dict, dict, lambda: 1, lambda _: None, lambda: 0.0).look({})

    assert runtime.calls == []
