"""SWIM's rules as one node lives them: probes, suspicion, refutation, leaving, conflicts, joining."""

from itertools import pairwise

from gossip_builders import START, a_core, a_core_with, address, alive, datagram, hear, livenesses, node, sent, wait

from swarmlet.gossip import (
    Conflict,
    ConflictKind,
    DatagramReceived,
    Exchange,
    ExchangeFailed,
    Gossip,
    GossipSettings,
    Join,
    Leave,
    PortUnreachable,
    ProbeStream,
    RecordChanged,
    SendDatagram,
    SetRecord,
    StreamOutcome,
    StreamProbed,
    Tick,
)
from swarmlet.gossip.messages import Ack, Alive, Nack, Ping, PingRequest, Record, Verdict
from swarmlet.model.observed import Liveness


def suspect(letter: str, accuser: str, incarnation: int = 0) -> Verdict:
    return Verdict(node(letter), Liveness.SUSPECT, 1, incarnation, node(accuser))


def dead(letter: str, accuser: str, incarnation: int = 0) -> Verdict:
    return Verdict(node(letter), Liveness.DEAD, 1, incarnation, node(accuser))


def test_a_ping_is_answered_to_where_it_came_from() -> None:
    core = a_core_with("b")

    effects = hear(core, "b", [Ping(7, node("a"))])

    assert sent(effects, Ack, to="b") == [Ack(7)]


def test_a_ping_meant_for_another_node_is_not_answered() -> None:
    core = a_core_with("b")

    assert sent(hear(core, "b", [Ping(7, node("z"))]), Ack) == []


def test_a_silent_peer_is_probed_by_others_then_suspected_then_dead() -> None:
    core = a_core_with("b", "c", "d", "e")
    core.step(Tick(), START)

    effects = wait(core, START, 20.0)

    first = sent(effects, Ping)[0].target
    assert first in [request.target for request in sent(effects, PingRequest)]
    assert livenesses(effects, "b") == [Liveness.SUSPECT, Liveness.DEAD]


def test_a_peer_reached_by_another_is_not_suspected() -> None:
    core = a_core_with("b", "c")
    effects = wait(core, START, 0.8)
    (ping, *_) = sent(effects, Ping)
    (request, *_) = sent(effects, PingRequest)
    relay = "c" if ping.target == node("b") else "b"
    core = a_core_with("b", "c")
    now = START
    while not sent(core.step(Tick(), now), PingRequest):
        now = core.next_deadline(now)

    hear(core, relay, [Ack(request.sequence)], now)

    assert livenesses(wait(core, now, 0.3), ping.target.removeprefix("id-")) == []


def test_a_probe_for_another_node_is_answered_with_ack_or_nack() -> None:
    core = a_core_with("b", "c")
    effects = hear(core, "b", [PingRequest(9, node("c"), address("c"))])
    (ping,) = sent(effects, Ping, to="c")

    assert sent(wait(core, START, 0.25), Nack, to="b") == [Nack(9)]
    assert sent(hear(core, "c", [Ack(ping.sequence)], START + 0.26), Ack, to="b") == [Ack(9)]


def test_an_ack_from_somebody_else_proves_nothing() -> None:
    core = a_core_with("b", "c")
    effects = hear(core, "b", [PingRequest(9, node("c"), address("c"))])
    (ping,) = sent(effects, Ping, to="c")

    assert sent(hear(core, "b", [Ack(ping.sequence)]), Ack) == []


def test_a_suspicion_is_believed_passed_on_and_probed_at_once() -> None:
    core = a_core_with("b", "c")
    wait(core, START, 0.01)

    effects = hear(core, "c", [suspect("b", "c")], START + 0.01)

    assert livenesses(effects, "b") == [Liveness.SUSPECT]
    assert node("b") in [ping.target for ping in sent(effects, Ping, to="b")]
    assert suspect("b", "a") in sent(effects, Verdict, to="b"), "a suspect hears of its suspicion first"


def test_a_refutation_needs_a_higher_incarnation() -> None:
    core = a_core_with("b", "c")
    hear(core, "c", [suspect("b", "c")])

    assert livenesses(hear(core, "b", [alive("b", incarnation=0)]), "b") == []
    assert livenesses(hear(core, "b", [alive("b", incarnation=1)]), "b") == [Liveness.ALIVE]
    assert livenesses(hear(core, "c", [suspect("b", "c", incarnation=0)]), "b") == []


def test_this_node_refutes_at_once() -> None:
    core = a_core_with("b", "c")
    wait(core, START, 0.1)

    effects = hear(core, "b", [suspect("a", "c")], START + 0.2)

    assert Alive(node("a"), "a", address("a"), 1, 1) in sent(effects, Alive)
    assert core.members()[node("a")].incarnation == 1
    assert core.health_score == 1


def test_an_answer_to_a_peer_that_suspects_us_carries_the_refutation() -> None:
    core = a_core_with("b", "c")

    effects = hear(core, "b", [Ping(5, node("a")), suspect("a", "b")], START + 0.2)

    answers = [e for e in effects if sent([e], Ack)]
    assert Alive(node("a"), "a", address("a"), 1, 1) in sent(answers, Alive)


def test_a_death_is_believed_unless_the_peer_was_heard_a_moment_ago() -> None:
    core = a_core_with("b", "c", "d")
    hear(core, "b", [], START + 1.0)

    effects = hear(core, "d", [dead("b", "d"), dead("c", "d")], START + 1.1)

    assert livenesses(effects, "b") == [Liveness.SUSPECT]
    assert livenesses(effects, "c") == [Liveness.DEAD]


def test_a_dead_node_that_restarts_is_alive_again_and_exchanged_with() -> None:
    core = a_core_with("b", "c")
    hear(core, "c", [dead("b", "c")], START + 5.0)

    effects = hear(core, "c", [alive("b", generation=2)], START + 6.0)

    assert livenesses(effects, "b") == [Liveness.ALIVE]
    assert address("b") in [e.address for e in effects if isinstance(e, Exchange)]


def test_a_leaving_node_tells_several_peers_and_is_silent_after() -> None:
    core = a_core_with("b", "c", "d")

    effects = core.step(Leave(), START)

    goodbyes = [verdict for verdict in sent(effects, Verdict) if verdict.liveness is Liveness.LEFT]
    assert len(goodbyes) >= 3
    assert hear(core, "b", [Ping(1, node("a"))]) == []
    assert wait(core, START, 5.0) == []


def test_who_left_is_not_called_dead() -> None:
    core = a_core_with("b", "c")
    hear(core, "b", [Verdict(node("b"), Liveness.LEFT, 1, 0, node("b"))])

    effects = hear(core, "c", [dead("b", "c")], START + 2.0)

    assert livenesses(effects, "b") == []
    assert core.members()[node("b")].liveness is Liveness.LEFT


def test_a_refused_port_goes_to_the_others_without_waiting() -> None:
    core = a_core_with("b", "c")

    effects = core.step(PortUnreachable(address("b")), START)

    assert [request.target for request in sent(effects, PingRequest, to="c")] == [node("b")]
    assert Liveness.DEAD in livenesses(wait(core, START, 1.2), "b")


def test_a_refused_port_of_a_peer_that_others_reach_is_forgiven() -> None:
    core = a_core_with("b", "c")
    effects = core.step(PortUnreachable(address("b")), START)
    (request,) = sent(effects, PingRequest, to="c")

    hear(core, "c", [Ack(request.sequence)], START + 0.01)

    assert livenesses(wait(core, START + 0.01, 0.3), "b") == []


def until_stream_probe(core: Gossip) -> tuple[ProbeStream, float]:
    """Nobody answers: until the core asks for a probe over a stream."""
    now = START
    while True:
        for effect in core.step(Tick(), now):
            if isinstance(effect, ProbeStream):
                return effect, now
        now = core.next_deadline(now)
        assert now < START + 5.0


def test_a_stream_is_tried_before_a_peer_is_accused() -> None:
    core = a_core_with("b", "c")

    probe, now = until_stream_probe(core)

    letter = probe.node_id.removeprefix("id-")
    assert probe.address == address(letter)
    assert 0.0 < probe.timeout_s < 0.5
    assert livenesses(wait(core, now, probe.timeout_s), letter) == [], "its outcome comes before the verdict"


def test_a_peer_that_answers_over_a_stream_is_not_suspected() -> None:
    core = a_core_with("b", "c")
    probe, now = until_stream_probe(core)

    effects = core.step(StreamProbed(probe.probe, StreamOutcome.ANSWERED), now + 0.01)
    effects += wait(core, now + 0.01, 0.2)

    assert livenesses(effects, probe.node_id.removeprefix("id-")) == []
    assert core.counters.stream_rescues == 1


def test_a_peer_that_is_silent_over_a_stream_too_is_suspected_at_the_end_of_its_probe() -> None:
    core = a_core_with("b", "c")
    probe, now = until_stream_probe(core)

    effects = core.step(StreamProbed(probe.probe, StreamOutcome.SILENT), now + probe.timeout_s)
    effects += wait(core, now + probe.timeout_s, 0.2)

    assert livenesses(effects, probe.node_id.removeprefix("id-")) == [Liveness.SUSPECT]


def test_a_stream_that_is_refused_is_as_good_as_a_refused_port() -> None:
    core = a_core_with("b", "c")
    probe, now = until_stream_probe(core)

    effects = core.step(StreamProbed(probe.probe, StreamOutcome.REFUSED), now + 0.01)
    effects += wait(core, now + 0.01, 1.1)

    assert Liveness.DEAD in livenesses(effects, probe.node_id.removeprefix("id-"))


def test_a_peer_that_stands_still_on_a_living_host_is_suspected_only_when_that_lasts() -> None:
    core = a_core_with("b", "c")
    probe, now = until_stream_probe(core)
    began_at, effects = now, [probe]

    while not (seen := livenesses(effects, probe.node_id.removeprefix("id-"))) and now < began_at + 10.0:
        for effect in effects:
            if isinstance(effect, ProbeStream) and effect.node_id == probe.node_id:
                core.step(StreamProbed(effect.probe, StreamOutcome.ACCEPTED), now)
        now = core.next_deadline(now)
        effects = core.step(Tick(), now)

    patience_s = GossipSettings().stall_patience_s
    assert seen == [Liveness.SUSPECT]
    assert patience_s - 0.5 <= now - began_at <= patience_s + 3.0


def test_a_peer_that_stood_still_and_answers_again_is_given_the_whole_patience_anew() -> None:
    core = a_core_with("b", "c")
    probe, now = until_stream_probe(core)
    core.step(StreamProbed(probe.probe, StreamOutcome.ACCEPTED), now)

    hear(core, probe.node_id.removeprefix("id-"), [Ack(probe.probe)], now + 0.01)

    assert core.counters.stalled_probes == 0
    assert livenesses(wait(core, now + 0.01, 0.2), probe.node_id.removeprefix("id-")) == []


def test_a_late_or_invented_outcome_changes_nothing() -> None:
    core = a_core_with("b", "c")

    effects = core.step(StreamProbed(12345, StreamOutcome.REFUSED), START)

    assert livenesses(effects, "b") == []


def test_an_agent_that_stood_still_gives_suspects_their_time_back() -> None:
    core = a_core_with("b", "c")
    hear(core, "c", [suspect("b", "c")])

    effects = core.step(Tick(), START + 30.0)

    assert livenesses(effects, "b") == []
    assert core.counters.stalls == 1
    assert livenesses(hear(core, "b", [alive("b", incarnation=1)], START + 30.01), "b") == [Liveness.ALIVE]


def test_two_live_nodes_with_one_name_are_reported_once() -> None:
    core = a_core_with("b")

    effects = hear(core, "c", [alive("c", name="b")]) + hear(core, "c", [alive("c", incarnation=1, name="b")])

    conflicts = [effect for effect in effects if isinstance(effect, Conflict)]
    assert [(c.kind, c.name) for c in conflicts] == [(ConflictKind.NAME, "b")]
    assert "id-b" in str(conflicts[0])
    assert "id-c" in str(conflicts[0])


def test_a_new_node_may_have_the_name_of_a_dead_one() -> None:
    core = a_core_with("b", "d")
    hear(core, "d", [dead("b", "d")], START + 2.0)

    effects = hear(core, "c", [alive("c", name="b")], START + 2.0)

    assert not [effect for effect in effects if isinstance(effect, Conflict)]


def test_a_copy_of_this_node_elsewhere_is_reported() -> None:
    core = a_core_with("b")

    effects = hear(core, "b", [Alive(node("a"), "a", address("z"), 5, 0)])

    (conflict,) = [effect for effect in effects if isinstance(effect, Conflict)]
    assert conflict.kind is ConflictKind.NODE_ID
    assert core.members()[node("a")].generation == 6


def test_twins_answer_each_other_seldom() -> None:
    core = a_core_with("b")
    generations = []

    for number in range(20):
        now = START + 0.1 * number
        core.step(Tick(), now)
        claimed = core.members()[node("a")].generation + 1
        hear(core, "b", [Alive(node("a"), "a", address("z"), claimed, 0)], now)
        generations.append(core.members()[node("a")].generation)

    assert len(set(generations)) == 1, "one answer in two seconds"


def test_an_earlier_life_of_this_node_is_outbid_and_no_conflict() -> None:
    core = a_core_with("b")

    effects = hear(core, "b", [Alive(node("a"), "a", address("a"), 5, 0)])

    assert not [effect for effect in effects if isinstance(effect, Conflict)]
    assert core.members()[node("a")].generation == 6


def test_a_second_agent_at_this_nodes_own_address_is_found_by_its_persistence() -> None:
    core = a_core_with("b")

    effects = []
    for number in range(6):
        claimed = core.members()[node("a")].generation + 1
        effects += hear(core, "b", [Alive(node("a"), "a", address("a"), claimed, 0)], START + number)

    assert [e.kind for e in effects if isinstance(e, Conflict)] == [ConflictKind.NODE_ID]


def test_a_node_that_flies_between_two_addresses_is_two() -> None:
    core = a_core_with("b", "c")
    effects = []

    for generation, where in ((2, "y"), (3, "b"), (4, "y")):
        effects += hear(core, "c", [Alive(node("b"), "b", address(where), generation, 0)], START + generation)

    conflicts = [effect for effect in effects if isinstance(effect, Conflict)]
    assert [conflict.kind for conflict in conflicts] == [ConflictKind.NODE_ID]
    assert str(address("y")) in str(conflicts[0])


def test_a_node_that_moves_once_is_one() -> None:
    core = a_core_with("b", "c")

    effects = hear(core, "c", [Alive(node("b"), "b", address("y"), 2, 0)], START + 1.0)

    assert not [effect for effect in effects if isinstance(effect, Conflict)]


def test_records_that_come_before_their_node_are_reported_with_it() -> None:
    core = a_core_with("b")
    early = hear(core, "b", [Record(node("c"), 1, 1, "k", b"v")])

    effects = hear(core, "b", [alive("c")])

    assert RecordChanged(node("c"), "k", b"v") not in early
    kinds = [type(e).__name__ for e in effects if not isinstance(e, SendDatagram)]
    assert kinds.index("LivenessChanged") < kinds.index("RecordChanged")


def test_own_news_goes_out_in_the_same_step() -> None:
    core = a_core_with("b", "c")
    wait(core, START, 1.0)

    effects = core.step(SetRecord("task/t", b"up"), START + 1.01)

    assert {record.key for record in sent(effects, Record, to="b")} == {"task/t"}
    assert {record.key for record in sent(effects, Record, to="c")} == {"task/t"}


def test_a_burst_of_news_shares_datagrams() -> None:
    core = a_core_with("b", "c")
    wait(core, START, 1.0)

    effects = [e for number in range(50) for e in core.step(SetRecord(f"task/{number}", b"up"), START + 1.01)]
    effects += wait(core, START + 1.01, 0.3)

    assert {record.key for record in sent(effects, Record, to="b")} == {f"task/{number}" for number in range(50)}
    assert len([e for e in effects if isinstance(e, SendDatagram)]) < 60


def test_joining_is_retried_with_growing_pauses_until_a_peer_is_known() -> None:
    core = a_core()
    asked: list[float] = []
    now = START
    effects = core.step(Join((address("b"), address("a"))), now)
    while now < START + 60.0:
        for effect in effects:
            if isinstance(effect, Exchange):
                assert effect.address == address("b")
                asked.append(now)
                core.step(ExchangeFailed(effect.address), now)
        now = core.next_deadline(now)
        effects = core.step(Tick(), now)

    pauses = [after - before for before, after in pairwise(asked)]
    assert pauses[0] < 0.7
    assert 7.0 < pauses[-1] < 13.0
    hear(core, "b", [alive("b")], now)
    quiet = wait(core, now, 0.4)
    assert not [e for e in quiet if isinstance(e, Exchange)]


def test_a_core_alone_asks_to_be_woken_seldom() -> None:
    core = a_core()
    core.step(Tick(), START)

    assert core.next_deadline(START) >= START + 5.0


def test_a_flood_of_members_is_held_and_their_news_is_bounded() -> None:
    core = a_core(settings=GossipSettings(queue_max=16))
    for number in range(300):
        letters = [Alive(node(f"{number}-{i}"), f"n{number}-{i}", address("b"), 1, 0) for i in range(10)]
        core.step(DatagramReceived(address("b"), datagram("b", letters)), START)

    assert len(core.members()) == 3001
    assert core.counters.news_dropped > 0
