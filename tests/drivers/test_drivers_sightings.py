"""What a new leader knows from before it led: nothing that it waits for begins anew."""

from swarmlet.drivers.sightings import Sightings
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import Node, NodeStatus
from swarmlet.model.observed import Liveness
from swarmlet.model.state import Versioned

A, B = NodeId("a"), NodeId("b")
WALL = 1_000_000.0


def agreed(status: NodeStatus, since: float) -> dict[NodeId, Versioned[Node]]:
    return {B: Versioned(Node(id=B, name="b", status=status, status_since=since), 1)}


def test_a_node_is_gone_since_this_peer_heard_of_it_whoever_led_then() -> None:
    sightings = Sightings(A)
    sightings.look({A: Liveness.ALIVE, B: Liveness.DEAD}, 50.0, WALL)

    sightings.look({A: Liveness.ALIVE, B: Liveness.DEAD}, 58.0, WALL + 8)

    assert sightings.gone_since({}, 60.0, WALL + 10) == {B: 50.0}


def test_who_returned_in_between_died_anew() -> None:
    sightings = Sightings(A)
    for at, liveness in ((50.0, Liveness.DEAD), (55.0, Liveness.ALIVE), (57.0, Liveness.LEFT), (58.0, Liveness.DEAD)):
        sightings.look({B: liveness}, at, WALL)

    assert sightings.gone_since({}, 60.0, WALL) == {B: 57.0}


def test_a_peer_that_has_just_started_takes_over_since_when_the_cluster_has_agreed_on_it() -> None:
    sightings = Sightings(A)
    sightings.look({B: Liveness.DEAD}, 5.0, WALL)

    assert sightings.gone_since(agreed(NodeStatus.DOWN, WALL - 100), 6.0, WALL + 1) == {B: -95.0}
    assert sightings.gone_since(agreed(NodeStatus.UP, WALL - 100), 6.0, WALL + 1) == {B: 5.0}


def test_a_wall_clock_that_is_behind_makes_nobody_live_longer() -> None:
    sightings = Sightings(A)
    sightings.look({B: Liveness.DEAD}, 5.0, WALL)

    assert sightings.gone_since(agreed(NodeStatus.DOWN, WALL + 100), 6.0, WALL + 1) == {B: 5.0}


def test_a_peer_listens_since_it_first_knew_of_another() -> None:
    sightings = Sightings(A)
    sightings.look({A: Liveness.ALIVE}, 5.0, WALL)
    assert sightings.listening_since is None

    sightings.look({A: Liveness.ALIVE, B: Liveness.DEAD}, 7.0, WALL + 2)
    sightings.look({A: Liveness.ALIVE}, 9.0, WALL + 4)

    assert sightings.listening_since == WALL + 2
