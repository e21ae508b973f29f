"""Scores: each gives a node a number, lower is better; a later score decides only what earlier ones leave equal.

So what people wish comes before evenness, evenness before what merely saves time. One idea a file.
"""

from swarmlet.scheduler.rules import Score
from swarmlet.scheduler.scores.load import FewestTasks, LeastReserved, MostTasks, TightestFit
from swarmlet.scheduler.scores.locality import ImageIsThere, VolumesAreThere
from swarmlet.scheduler.scores.spread import EvenOverDomains, EvenOverZones, FewestTasksOfService
from swarmlet.scheduler.scores.steadiness import SteadyNodes
from swarmlet.scheduler.scores.wishes import PreferredNeighbours, PreferredNodes

SCORES: tuple[Score, ...] = (
    SteadyNodes(),
    PreferredNodes(),
    PreferredNeighbours(),
    EvenOverDomains(),
    FewestTasksOfService(),
    EvenOverZones(),
    VolumesAreThere(),
    TightestFit(),
    MostTasks(),
    FewestTasks(),
    ImageIsThere(),
    LeastReserved(),
)

LASTING: tuple[Score, ...] = (
    SteadyNodes(),
    PreferredNodes(),
    PreferredNeighbours(),
    EvenOverDomains(),
    FewestTasksOfService(),
    EvenOverZones(),
    FewestTasks(),
)
"""For whose sake a task that runs may be moved: what people wish, and evenness."""

__all__ = [
    "LASTING",
    "SCORES",
    "EvenOverDomains",
    "EvenOverZones",
    "FewestTasks",
    "FewestTasksOfService",
    "ImageIsThere",
    "LeastReserved",
    "MostTasks",
    "PreferredNeighbours",
    "PreferredNodes",
    "SteadyNodes",
    "TightestFit",
    "VolumesAreThere",
]
