"""The leader's loops, pure: from what is agreed and what is observed to the next transactions.

`reconcile` keeps nodes and tasks as they should be; `stacks` turns users' wishes into transactions and refuses
what can't be; `voters` says which nodes should vote in the consensus.
"""

from swarmlet.controllers.outcome import ControllerSettings, Outcome
from swarmlet.controllers.reconcile import reconcile

__all__ = ["ControllerSettings", "Outcome", "reconcile"]
