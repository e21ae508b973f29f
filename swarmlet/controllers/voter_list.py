"""People's choice of the voters, as a transaction. What can't work is refused here, before it enters the log.

Rules: every name is a node's name or id; who does not vote yet has to be alive, and so has a majority of those named.
The leader follows the list as soon as all on it have the log, and keeps to it until it is taken back.
"""

from collections.abc import Sequence

from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import VoterList
from swarmlet.model.observed import Liveness, ObservedState
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Compare, Delete, Transaction, put

VOTERS_MAX = 9
"""Each commit waits for a majority of them; more bear no failure that people have to fear."""


class VotersRefused(SwarmletError):
    """A list of voters that can't be followed."""


class NoVoters(VotersRefused):
    def __init__(self) -> None:
        super().__init__("a cluster without voters could decide nothing: name at least one node")


class TooManyVoters(VotersRefused):
    def __init__(self, count: int) -> None:
        super().__init__(
            f"{count} voters are too many: every change would wait for a majority; name {VOTERS_MAX} at most"
        )
        self.count = count


class UnknownVoter(VotersRefused):
    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"no node has the name or id '{name}'; there is {', '.join(known) or 'none at all'}")
        self.name = name
        self.known = tuple(known)


class AmbiguousVoter(VotersRefused):
    def __init__(self, name: str, ids: Sequence[NodeId]) -> None:
        super().__init__(f"several nodes are called '{name}': name one by its id, {' or '.join(ids)}")
        self.name = name
        self.ids = tuple(ids)


class VoterNotAlive(VotersRefused):
    def __init__(self, name: str, liveness: str) -> None:
        super().__init__(
            f"'{name}' is {liveness} and does not vote yet, so it can't get the log: start its agent first"
        )
        self.name = name
        self.liveness = liveness


class NoLivingQuorum(VotersRefused):
    def __init__(self, alive: int, count: int, gone: Sequence[str]) -> None:
        super().__init__(
            f"only {alive} of these {count} are alive ({', '.join(gone)} not), and a majority has to be: "
            "name more nodes that are alive"
        )
        self.alive = alive
        self.gone = tuple(gone)


def choose(
    state: ClusterState, observed: ObservedState, voters: frozenset[NodeId], names: Sequence[str]
) -> Transaction:
    """Let exactly the named nodes vote; `voters` are the present ones. Raises a subclass of `VotersRefused`."""
    chosen = {_node(observed, name): name for name in names}
    if not chosen:
        raise NoVoters
    if len(chosen) > VOTERS_MAX:
        raise TooManyVoters(len(chosen))
    gone = {node: name for node, name in chosen.items() if observed.liveness(node) is not Liveness.ALIVE}
    for node, name in gone.items():
        if node not in voters:
            raise VoterNotAlive(name, observed.liveness(node) or "unknown")
    alive = len(chosen) - len(gone)
    if alive < len(chosen) // 2 + 1:
        raise NoLivingQuorum(alive, len(chosen), sorted(gone.values()))
    wanted = VoterList(nodes=tuple(sorted(chosen)))
    stored = state.voter_list
    compares = (Compare(wanted.key, stored.revision if stored else 0),)
    shown = ", ".join(sorted(names))
    if stored is not None and stored.value == wanted:
        return Transaction(compares, (), reason=f"voters: {shown} already")
    return Transaction(compares, (put(wanted.key, wanted),), reason=f"voters: {shown}")


def release(state: ClusterState) -> Transaction:
    """Leave the choice to the leader again."""
    stored = state.voter_list
    if stored is None:
        return Transaction((), (), reason="voters: chosen by the leader already")
    key = stored.value.key
    return Transaction((Compare(key, stored.revision),), (Delete(key),), reason="voters: chosen by the leader again")


def warnings(count: int) -> list[str]:
    """What is allowed and yet seldom meant."""
    if count == 1:
        return ["with one voter alone nothing can be changed while that node is down"]
    if count % 2 == 0:
        return [f"{count} voters bear no more failures than {count - 1}, and each change waits for one node more"]
    return []


def _node(observed: ObservedState, name: str) -> NodeId:
    if name in observed.nodes:
        return NodeId(name)
    found = sorted(node.id for node in observed.nodes.values() if node.name == name)
    if not found:
        raise UnknownVoter(name, sorted(node.name for node in observed.nodes.values()))
    living = [node for node in found if observed.liveness(node) is Liveness.ALIVE]
    if len(found) > 1 and len(living) != 1:
        raise AmbiguousVoter(name, found)
    return living[0] if living else found[0]
