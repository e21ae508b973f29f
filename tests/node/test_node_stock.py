"""What a node has already is looked up when something happened to its tasks, and told when it differs."""

from swarmlet.model.stock import KEYS_MAX, bounded, image_key, volume_key
from swarmlet.node.stock_loop import SLOW_S, StockKeys, StockLoop
from swarmlet.runtime.fake import FakeRuntime


class Node:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.runtime = FakeRuntime()
        self.changes = 0
        self.told: list[StockKeys] = []
        self.loop = StockLoop(self.runtime, lambda: self.changes, self.told.append, lambda: self.now)

    @property
    def asked(self) -> int:
        return sum(call == "stock" for call, _ in self.runtime.calls)


async def test_what_is_there_is_told_once() -> None:
    node = Node()
    node.runtime.images, node.runtime.volumes = {"web:1"}, {"shop_data"}

    await node.loop.look()
    node.changes += 1
    await node.loop.look()

    assert node.told == [((image_key("web:1"),), (volume_key("shop_data"),))]
    assert node.asked == 2


async def test_the_engine_is_left_alone_while_nothing_happens() -> None:
    node = Node()
    for _ in range(5):
        await node.loop.look()
    assert node.asked == 1

    node.now += SLOW_S
    await node.loop.look()

    assert node.asked == 2


def test_an_image_has_one_key_however_it_is_written() -> None:
    same = {image_key(name) for name in ("web", "web:latest", "localhost/web", "docker.io/library/web:latest")}

    assert len(same) == 1
    assert image_key("web:2") not in same
    assert image_key("host:5000/web") == image_key("host:5000/web:latest") != image_key("web")
    assert image_key("web@sha256:ab") != image_key("web")


def test_a_record_stays_small() -> None:
    keys = bounded(image_key(f"web:{number}") for number in range(1_000))

    assert len(keys) == KEYS_MAX and list(keys) == sorted(keys)
    assert {len(key) for key in keys} == {8}
