"""Which node a new task goes to: filter, then score, in the form of Kubernetes' scheduler framework.

Pure. Rules: a filter refuses a node and says why; a score ranks the nodes that are left, lower is better;
equal nodes are told apart by name and id, so that the same question has the same answer on every peer.
"""

from swarmlet.scheduler.capacity import ClusterCapacity
from swarmlet.scheduler.cluster import Cluster
from swarmlet.scheduler.filters import BELONGING, FILTERS
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.placement import RULES, NodeVerdict, Placed, RuleVerdict, Unplaceable, explain, place
from swarmlet.scheduler.rules import Filter, Prepared, Ranking, Refusing, Rules, Score
from swarmlet.scheduler.scores import SCORES

__all__ = [
    "BELONGING",
    "FILTERS",
    "RULES",
    "SCORES",
    "Cluster",
    "ClusterCapacity",
    "Filter",
    "NodeVerdict",
    "NodeView",
    "Placed",
    "PlacementRequest",
    "Prepared",
    "Ranking",
    "Refusing",
    "RuleVerdict",
    "Rules",
    "Score",
    "Unplaceable",
    "explain",
    "place",
]
