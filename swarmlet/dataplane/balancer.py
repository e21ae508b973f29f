"""Which endpoint of a route gets the next connection.

Rules: the one with the fewest connections from this proxy; among equals they take turns. An endpoint that failed to
connect is passed over for `PENALTY_S`, unless nothing else is left to try. Pure: time is handed in.
"""

from collections.abc import Collection, Sequence

from swarmlet.dataplane.routes import RoutedEndpoint

PENALTY_S = 1.0
"""Short: health is the business of the task's own node; this only spares connections the known-bad attempt."""

EndpointKey = tuple[str, str, int]


class EndpointLoad:
    """One endpoint as this proxy knows it. Outlives its place in the table while connections use it."""

    __slots__ = ("active", "endpoint", "key", "penalized_until", "turn")

    def __init__(self, endpoint: RoutedEndpoint) -> None:
        self.endpoint = endpoint
        self.key: EndpointKey = (endpoint.node, endpoint.task, endpoint.target_port)
        self.active = 0
        self.penalized_until = float("-inf")
        self.turn = 0
        """When it was last chosen, counted in choices."""


class Balancer:
    def __init__(self, first_turn: int = 0) -> None:
        """`first_turn` differs between nodes, so that all proxies don't begin with the same endpoint."""
        self._first_turn = first_turn
        self._loads: dict[EndpointKey, EndpointLoad] = {}
        self._turns = 0

    def __len__(self) -> int:
        return len(self._loads)

    def update(self, endpoints: Sequence[RoutedEndpoint]) -> None:
        fresh = {load.key: load for load in map(EndpointLoad, endpoints)}
        for position, (key, load) in enumerate(fresh.items()):
            known = self._loads.get(key)
            if known is not None and known.endpoint == load.endpoint:
                fresh[key] = known
            elif not self._turns:
                load.turn = (position - self._first_turn) % len(fresh) - len(fresh)
            else:
                # It joins the end of the queue of equals: least connections bring it its share at once.
                load.turn = self._turns
        self._loads = fresh

    def choose(self, now: float, tried: Collection[EndpointLoad]) -> EndpointLoad | None:
        """The caller counts `active` up when it uses the endpoint, and down when that ends."""
        candidates = [load for load in self._loads.values() if load not in tried]
        if not candidates:
            return None
        chosen = min(candidates, key=lambda load: (load.penalized_until > now, load.active, load.turn))
        self._turns += 1
        chosen.turn = self._turns
        return chosen

    def penalize(self, load: EndpointLoad, now: float) -> None:
        load.penalized_until = now + PENALTY_S
