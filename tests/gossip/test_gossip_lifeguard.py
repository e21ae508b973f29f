"""The small rooms: suspicion, awareness, round trips, probe order, dissemination."""

from itertools import pairwise
from random import Random

import pytest

from swarmlet.gossip.awareness import Awareness
from swarmlet.gossip.dissemination import Dissemination, transmit_limit
from swarmlet.gossip.probe_order import ProbeOrder
from swarmlet.gossip.round_trip import RoundTrip
from swarmlet.gossip.settings import GossipSettings
from swarmlet.gossip.suspicion import Suspicion
from swarmlet.model.ids import NodeId

A, B, C, D, E = (NodeId(letter) for letter in "abcde")


def test_a_suspicion_in_three_nodes_lasts_two_seconds_or_one_if_the_other_peer_confirms() -> None:
    suspicion = Suspicion.begin(GossipSettings(), A, nodes=3, now=10.0)
    assert suspicion.deadline == 12.0

    assert suspicion.confirm(B)

    assert suspicion.deadline == 11.0


def test_a_suspicion_between_two_nodes_is_never_shortened_by_its_only_accuser() -> None:
    suspicion = Suspicion.begin(GossipSettings(), A, nodes=2, now=0.0)

    assert not suspicion.confirm(A)
    assert not suspicion.confirm(B)

    assert suspicion.deadline == 2.0


def test_each_confirmation_shortens_less_than_the_one_before() -> None:
    suspicion = Suspicion.begin(GossipSettings(), A, nodes=10, now=0.0)
    deadlines = [suspicion.deadline]
    for accuser in (B, C, D):
        assert suspicion.confirm(accuser)
        deadlines.append(suspicion.deadline)

    gains = [before - after for before, after in pairwise(deadlines)]
    assert gains == sorted(gains, reverse=True)
    assert deadlines[-1] == pytest.approx(1.0)
    assert not suspicion.confirm(E)


def test_a_suspicion_lasts_longer_in_a_larger_cluster() -> None:
    waits = [Suspicion.begin(GossipSettings(), A, nodes, 0.0).timeout_s() for nodes in (3, 10, 100, 1000)]

    assert waits == pytest.approx([2.0, 2.0, 4.0, 6.0])


def test_a_refused_port_shortens_a_suspicion_without_confirmation() -> None:
    suspicion = Suspicion.begin(GossipSettings(), A, nodes=3, now=0.0)

    suspicion.shorten(0.75)

    assert suspicion.deadline == 0.75


def test_awareness_stays_between_zero_and_its_maximum() -> None:
    awareness = Awareness(8)
    awareness.apply(-3)
    assert awareness.multiplier == 1

    awareness.apply(100)

    assert awareness.multiplier == 9


def test_the_timeout_follows_the_round_trip_within_its_limits() -> None:
    round_trip = RoundTrip()
    assert round_trip.timeout_s(0.1, 0.2) == 0.2

    for _ in range(20):
        round_trip.measured(0.001)
    assert round_trip.timeout_s(0.1, 0.2) == 0.1
    for _ in range(20):
        round_trip.measured(0.12)
    assert 0.12 < round_trip.timeout_s(0.1, 0.2) <= 0.2


def test_everyone_is_probed_once_a_round_in_changing_order() -> None:
    order = ProbeOrder(Random(1))
    nodes = [NodeId(str(number)) for number in range(20)]

    rounds = [[order.next(nodes, lambda node_id: True) for _ in nodes] for _ in range(3)]

    assert all(sorted(map(str, one)) == sorted(nodes) for one in rounds)
    assert rounds[0] != rounds[1] != rounds[2]


def test_who_is_no_longer_probeable_is_passed_over() -> None:
    order = ProbeOrder(Random(1))

    assert order.next([A, B], lambda node_id: True) in (A, B)
    assert order.next([A], lambda node_id: node_id == A) == A
    assert order.next([], lambda node_id: True) is None


def test_news_is_sent_a_limited_number_of_times() -> None:
    news = Dissemination(10)
    news.put("x", b"item")

    rounds = [news.take(100, limit=3) for _ in range(4)]

    assert rounds == [[b"item"], [b"item"], [b"item"], []]
    assert len(news) == 0


def test_the_least_sent_goes_first_and_of_those_the_newest() -> None:
    news = Dissemination(10)
    news.put("old", b"o" * 40)
    news.take(40, limit=9)
    news.put("new", b"n" * 40)
    news.put("newest", b"w" * 40)

    assert news.take(100, limit=9) == [b"w" * 40, b"n" * 40]
    assert news.take(120, limit=9) == [b"w" * 40, b"n" * 40, b"o" * 40]


def test_newer_news_replaces_the_older_of_its_subject() -> None:
    news = Dissemination(10)
    news.put("x", b"before")
    news.take(100, limit=2)
    news.put("x", b"after")

    assert [news.take(100, limit=2) for _ in range(3)] == [[b"after"], [b"after"], []]


def test_what_does_not_fit_waits_and_smaller_news_goes_ahead() -> None:
    news = Dissemination(10)
    news.put("small", b"s" * 20)
    news.put("large", b"l" * 500)

    assert news.take(100, limit=9) == [b"s" * 20]
    assert news.take(600, limit=9) == [b"l" * 500, b"s" * 20]


def test_a_full_queue_lets_go_of_what_was_sent_most() -> None:
    news = Dissemination(2)
    news.put("sent", b"1" * 20)
    news.take(20, limit=9)
    news.put("waiting", b"2" * 20)
    news.put("fresh", b"3" * 20)

    assert len(news) == 2
    assert news.dropped == 1
    assert news.take(100, limit=9) == [b"3" * 20, b"2" * 20]


def test_the_number_of_transmissions_grows_with_the_logarithm_of_the_cluster() -> None:
    assert [transmit_limit(4, nodes) for nodes in (2, 9, 10, 99, 1000)] == [4, 4, 8, 8, 16]
