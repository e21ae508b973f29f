"""Which of a node's named devices a task gets: those that it asks for by their ids, and the first free ones besides.

Rules: numbers are the filters' business (`DevicesFit`), and where they fit, names do: whoever holds a name is counted,
too. Nothing is chosen of a kind that the node only counts, nor while tasks hold some of which nobody knows which (they
were placed before the node named them, or by an older leader): then the node chooses, as it does for those.

Decision record 0065.
"""

from collections.abc import Iterable

from swarmlet.model.spec import ALL_DEVICES
from swarmlet.scheduler.nodes import NodeView, PlacementRequest

Chosen = dict[str, tuple[str, ...]]
"""By kind, the ids."""


def hold_devices(node: NodeView, request: PlacementRequest) -> Chosen:
    """For a task that was just placed on the node. From then on they are held there."""
    chosen: Chosen = {}
    for kind, count in request.reservations.devices.items():
        ids = node.device_ids.get(kind, ())
        if not ids or kind in node.unnamed_devices:
            continue
        own = [node.find_device(kind, each) for each in request.reservations.device_ids.get(kind, ())]
        number = len(ids) if count == ALL_DEVICES else count
        free = [each for each in ids if not node.is_held(kind, each) and each not in own]
        more = free[: max(number - len(own), 0)]
        if len(own) + len(more) < number:
            continue  # its facts contradict each other: the node says what it lacks
        for each in more:
            node.hold(kind, each)
        chosen[kind] = (*own, *more)
    return chosen


def ids_refusal(node: NodeView, kind: str, wanted: Iterable[str]) -> str | None:
    """Why a task can't have the devices that it asks for by their ids."""
    if kind not in node.device_ids:
        return f"does not name its {kind}" if node.devices(kind) else f"has no {kind}"
    found: set[str] = set()
    for asked in wanted:
        device = node.find_device(kind, asked)
        if not device:
            return f"has no {kind} {asked}"
        if node.is_held(kind, device):
            return f"its {kind} {asked} is taken"
        if device in found:
            return f"its {kind} {asked} is asked for twice"
        found.add(device)
    if kind in node.unnamed_devices:
        return f"which of its {kind} are taken is not known: a task got some before they had names"
    return None
