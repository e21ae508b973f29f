"""Filters: each says no to a node with a reason in words for people, or nothing at all. One idea a file."""

from swarmlet.scheduler.filters.affinity import AwayFromOthers, BesideOthers, NotRepelled
from swarmlet.scheduler.filters.attributes import ConstraintsHold, PlatformMatches
from swarmlet.scheduler.filters.resources import DevicesFit, HostPortsFree, PerNodeLimit, ResourcesFit
from swarmlet.scheduler.filters.state import NodeIsAlive, NodeIsNotCordoned, NodeIsUp, TaintsAreTolerated
from swarmlet.scheduler.rules import Filter

FILTERS: tuple[Filter, ...] = (
    NodeIsUp(),
    NodeIsAlive(),
    NodeIsNotCordoned(),
    TaintsAreTolerated(),
    PlatformMatches(),
    ConstraintsHold(),
    BesideOthers(),
    AwayFromOthers(),
    NotRepelled(),
    PerNodeLimit(),
    HostPortsFree(),
    DevicesFit(),
    ResourcesFit(),
)
"""In the order in which they are asked: the first refusal is the reason given. What people decided comes before what
only happens to be so."""

BELONGING: tuple[Filter, ...] = (PlatformMatches(), ConstraintsHold())
"""What a node has to be for a service, however full it is, whether or not it answers, whatever people said of it."""

__all__ = [
    "BELONGING",
    "FILTERS",
    "AwayFromOthers",
    "BesideOthers",
    "ConstraintsHold",
    "DevicesFit",
    "HostPortsFree",
    "NodeIsAlive",
    "NodeIsNotCordoned",
    "NodeIsUp",
    "NotRepelled",
    "PerNodeLimit",
    "PlatformMatches",
    "ResourcesFit",
    "TaintsAreTolerated",
]
