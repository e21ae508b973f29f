"""Finds the cluster: while no live peer is known, the join addresses are asked again and again, with back-off."""

from math import inf
from random import Random

from swarmlet.gossip.exchanger import Exchanger
from swarmlet.gossip.members import Members
from swarmlet.gossip.settings import GossipSettings
from swarmlet.model.observed import Address

ADDRESSES_MAX = 64
ASKED_AT_ONCE = 3
JITTER = 0.25
"""Of the delay, so that a whole cluster that starts at once does not ask in step."""


class Joining:
    def __init__(self, members: Members, exchanger: Exchanger, settings: GossipSettings, rng: Random) -> None:
        self._members, self._exchanger, self._settings, self._rng = members, exchanger, settings, rng
        self._addresses: tuple[Address, ...] = ()
        self._delay_s = settings.join_retry_min_s
        self._next_at = -inf

    def join(self, addresses: tuple[Address, ...], own: Address) -> None:
        self._addresses = tuple(address for address in addresses[:ADDRESSES_MAX] if address != own)
        self._delay_s, self._next_at = self._settings.join_retry_min_s, -inf

    def deadline(self) -> float:
        return self._next_at if self._addresses and not self._members.live else inf

    def on_time(self, now: float) -> None:
        if self._members.live:
            self._delay_s = self._settings.join_retry_min_s
            return
        if not self._addresses or now < self._next_at:
            return
        for address in self._rng.sample(self._addresses, min(ASKED_AT_ONCE, len(self._addresses))):
            self._exchanger.ask(address, now)
        self._next_at = now + self._delay_s * self._rng.uniform(1 - JITTER, 1 + JITTER)
        self._delay_s = min(self._settings.join_retry_max_s, 2 * self._delay_s)
