"""`x-swarmlet: max_unavailable`: how many tasks of a service the cluster may keep from serving by its own doing."""

import re

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.marks import Node, shown
from swarmlet.model.compose.scalars import integer, text
from swarmlet.model.spec import REPLICAS_MAX, MaxUnavailable

_PERCENT = re.compile(r"([0-9]{1,3})%")


def read_max_unavailable(node: Node) -> MaxUnavailable:
    found = text(node)
    if not found.endswith("%"):
        return MaxUnavailable(count=integer(0, REPLICAS_MAX)(node))
    percent = _PERCENT.fullmatch(found)
    if percent is None or int(percent[1]) > 100:
        raise refused(node, f"cannot be {shown(found)}, write a number of tasks, or a share from 0% to 100%")
    return MaxUnavailable(percent=int(percent[1])) if int(percent[1]) else MaxUnavailable(count=0)
