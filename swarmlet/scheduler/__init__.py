"""Which node a new task goes to: filter, then score, in the form of Kubernetes' scheduler framework.

Pure. Rules: a filter refuses a node and says why; a score ranks the nodes that are left, lower is better;
equal nodes are told apart by name and id, so that the same question has the same answer on every peer.
"""

from swarmlet.scheduler.capacity import ClusterCapacity
from swarmlet.scheduler.filters import FILTERS, Filter, NodeIsAlive, NodeIsUp, ResourcesFit
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.placement import NodeVerdict, Placement, RuleVerdict, Unplaceable, explain, place
from swarmlet.scheduler.scores import SCORES, FewestTasks, FewestTasksOfService, LeastReserved, Score

__all__ = [
    "FILTERS",
    "SCORES",
    "ClusterCapacity",
    "FewestTasks",
    "FewestTasksOfService",
    "Filter",
    "LeastReserved",
    "NodeIsAlive",
    "NodeIsUp",
    "NodeVerdict",
    "NodeView",
    "Placement",
    "PlacementRequest",
    "ResourcesFit",
    "RuleVerdict",
    "Score",
    "Unplaceable",
    "explain",
    "place",
]
