"""Sealed datagrams: who can make one, and that each is taken once, while it is fresh."""

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmlet.model.observed import Address
from swarmlet.security import seal
from swarmlet.security.keyring import KeyRing
from swarmlet.security.keys import ClusterKey
from swarmlet.security.replay import WINDOW_SIZE, ReplayWindow
from swarmlet.security.seal import COUNTER_MAX, LATE_S, OVERHEAD_BYTES, SESSION_S, DatagramSealer, Opened, Refusal

OLD, NEW, FOREIGN = (ClusterKey(letter * 32) for letter in (b"o", b"n", b"f"))
ALICE, BOB, EVE = (Address(f"10.0.0.{number}", 8421) for number in (1, 2, 66))
START = 1000.0
SEEDS = count(1)


def a_sealer(*keys: ClusterKey, cluster: str = "blue", now: float = START) -> DatagramSealer:
    """With entropy that differs from sealer to sealer and from draw to draw."""
    draws, seed = count(1), next(SEEDS)

    def entropy(size: int) -> bytes:
        return (seed * 1_000_000 + next(draws)).to_bytes(size)

    return DatagramSealer(KeyRing(keys or (OLD,)), cluster, now, entropy)


def talk(sender: DatagramSealer, receiver: DatagramSealer, payload: bytes, now: float = START) -> list[bytes]:
    """Everything that the receiver takes when the sender's datagram, and what follows from it, arrives."""
    return deliver(sender.seal(payload, BOB, now), sender, receiver, now)


def deliver(sealed: bytes, sender: DatagramSealer, receiver: DatagramSealer, now: float = START) -> list[bytes]:
    taken: list[bytes] = []
    to_receiver = [sealed]
    for _ in range(4):
        opened = [receiver.open(each, ALICE, now) for each in to_receiver]
        taken += [each.payload for each in opened if each.payload is not None]
        to_sender = [answer for each in opened for answer in each.answers]
        to_receiver = [answer for each in to_sender for answer in sender.open(each, BOB, now).answers]
    return taken


def acquainted(*keys: ClusterKey) -> tuple[DatagramSealer, DatagramSealer]:
    alice, bob = a_sealer(*keys), a_sealer(*keys)
    assert talk(alice, bob, b"hello") == [b"hello"]
    return alice, bob


def test_the_first_payload_of_a_stranger_is_taken_once_it_has_answered_a_challenge() -> None:
    alice, bob = a_sealer(), a_sealer()

    first = bob.open(alice.seal(b"hello", BOB, START), ALICE, START)
    answers = alice.open(first.answers[0], BOB, START).answers

    assert (first.payload, first.refusal) == (None, Refusal.UNPROVEN)
    assert [bob.open(each, ALICE, START).payload for each in answers] == [None, b"hello"]


def test_several_payloads_that_a_stranger_sent_at_once_are_all_taken_once() -> None:
    alice, bob = a_sealer(), a_sealer()
    sent = [alice.seal(b"%d" % number, BOB, START) for number in range(3)]

    challenges = [answer for each in sent for answer in bob.open(each, ALICE, START).answers]
    answers = [answer for each in challenges for answer in alice.open(each, BOB, START).answers]
    taken = [bob.open(each, ALICE, START).payload for each in answers]

    assert [payload for payload in taken if payload is not None] == [b"0", b"1", b"2"]


def test_acquaintances_talk_without_challenges() -> None:
    alice, bob = acquainted()

    for number in range(5):
        sealed = alice.seal(b"%d" % number, BOB, START)
        assert bob.open(sealed, ALICE, START) == Opened(payload=b"%d" % number)
    assert len(alice.seal(b"payload", BOB, START)) == len(b"payload") + OVERHEAD_BYTES
    assert OVERHEAD_BYTES <= 50, "what the gossip core leaves room for"


@pytest.mark.parametrize(("key", "cluster"), [(FOREIGN, "blue"), (OLD, "green")])
def test_another_key_or_another_cluster_opens_nothing_and_is_not_answered(key: ClusterKey, cluster: str) -> None:
    sealed = a_sealer(key, cluster=cluster).seal(b"payload", BOB, START)

    assert a_sealer().open(sealed, ALICE, START) == Opened(refusal=Refusal.FOREIGN)


def test_every_changed_or_missing_byte_is_noticed() -> None:
    alice, bob = acquainted()
    sealed = alice.seal(b"p", BOB, START)

    for position in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        assert bob.open(bytes(damaged), ALICE, START).payload is None
        assert bob.open(sealed[:position], ALICE, START).payload is None
    assert bob.open(sealed, ALICE, START).payload == b"p"


# Recorded and brought again


def test_a_datagram_is_taken_once() -> None:
    alice, bob = acquainted()
    sealed = alice.seal(b"once", BOB, START)

    assert bob.open(sealed, ALICE, START).payload == b"once"
    for source in (ALICE, EVE):
        assert bob.open(sealed, source, START + 1) == Opened(refusal=Refusal.REPLAYED)


def test_a_lost_datagram_that_is_brought_much_later_is_not_taken() -> None:
    alice, bob = acquainted()
    lost = alice.seal(b"lost", BOB, START)

    assert bob.open(lost, ALICE, START + LATE_S + 0.1).refusal is Refusal.UNPROVEN
    assert deliver(lost, alice, bob, START + LATE_S + 0.1) == [], "and what its sender answers does not bring it back"


def test_what_was_recorded_of_an_agents_earlier_start_is_not_taken() -> None:
    earlier, bob = acquainted()
    recorded = [earlier.seal(b"old", BOB, START) for _ in range(3)]

    restarted = a_sealer(now=START + 60)
    assert talk(restarted, bob, b"back", START + 60) == [b"back"]
    assert [deliver(each, restarted, bob, START + 60) for each in recorded] == [[], [], []]


def test_a_restarted_receiver_takes_nothing_that_was_sealed_before_it_asked() -> None:
    alice, bob = acquainted()
    recorded = [alice.seal(b"%d" % number, BOB, START) for number in range(3)]
    for each in recorded:
        bob.open(each, ALICE, START)

    restarted = a_sealer(now=START + 2)
    brought = [deliver(each, alice, restarted, START + 2) for each in recorded]

    assert brought == [[], [], []]
    assert talk(alice, restarted, b"new", START + 2) == [b"new"]
    assert [restarted.open(each, ALICE, START + 2).refusal for each in recorded] == [Refusal.REPLAYED] * 3


def test_a_datagram_to_another_node_is_not_taken_later() -> None:
    alice, bob = acquainted()
    carol = a_sealer()
    to_carol = alice.seal(b"for carol", Address("10.0.0.3", 8421), START)

    assert carol.open(to_carol, ALICE, START).refusal is Refusal.UNPROVEN
    assert bob.open(to_carol, ALICE, START + LATE_S + 0.1).payload is None


def test_recorded_challenges_and_proofs_change_nothing() -> None:
    alice, bob = a_sealer(), a_sealer()
    challenge = bob.open(alice.seal(b"hello", BOB, START), ALICE, START).answers[0]
    proof, repeated = alice.open(challenge, BOB, START).answers
    bob.open(proof, ALICE, START)
    bob.open(repeated, ALICE, START)

    again = alice.open(challenge, EVE, START + 1).answers

    assert len(again) == 1, "a proof, and no payload to somebody who had none"
    assert bob.open(proof, ALICE, START + 1).refusal is Refusal.REPLAYED
    assert bob.open(repeated, ALICE, START + 1).refusal is Refusal.REPLAYED
    assert a_sealer(now=START + 30).open(proof, ALICE, START + 30).refusal is Refusal.REPLAYED, "it never asked"


def test_a_proof_comes_in_time_or_not_at_all() -> None:
    alice, bob = a_sealer(), a_sealer()
    challenge = bob.open(alice.seal(b"hello", BOB, START), ALICE, START).answers[0]
    proof = alice.open(challenge, BOB, START).answers[0]

    assert bob.open(proof, ALICE, START + 60).refusal is Refusal.REPLAYED


# Clocks and limits


def test_clocks_that_differ_and_clocks_that_drift_do_not_matter() -> None:
    alice, bob = a_sealer(now=5.0), a_sealer(now=9e8)
    for second in range(0, 50_000, 50):
        # Alice's clock loses 200 parts in a million: in half a day it has come to `LATE_S`.
        theirs, ours = 5.0 + second * (1 - 200e-6), 9e8 + second
        sealed = alice.seal(b"x", BOB, theirs)
        opened = bob.open(sealed, ALICE, ours)
        if opened.payload is None:
            answers = alice.open(opened.answers[0], BOB, theirs).answers
            assert [bob.open(each, ALICE, ours).payload for each in answers] == [None, b"x"]


def test_datagrams_may_overtake_each_other() -> None:
    alice, bob = acquainted()
    sealed = [alice.seal(b"%d" % number, BOB, START) for number in range(50)]

    taken = [bob.open(each, ALICE, START).payload for each in reversed(sealed)]

    assert taken == [b"%d" % number for number in reversed(range(50))]


@pytest.mark.parametrize("reason", ["counter", "age", "a clock set back"])
def test_a_session_ends_before_a_nonce_or_a_time_could_repeat(monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    if reason == "counter":
        monkeypatch.setattr(seal, "COUNTER_MAX", 5)
    now = {"counter": START, "age": START + SESSION_S + 1, "a clock set back": START - 1}[reason]
    alice = a_sealer()
    headers = [alice.seal(b"x", BOB, START)[1:17] for _ in range(5)] + [alice.seal(b"x", BOB, now)[1:17]]

    assert len({header[:12] for header in headers}) == 2, "another session, so another key"
    assert len(set(headers)) == 6
    assert COUNTER_MAX < 1 << 32


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "SESSIONS_MAX", 3)
    monkeypatch.setattr(seal, "REPEATABLE_MAX", 2)
    alices, bob = [a_sealer() for _ in range(6)], a_sealer()

    for _ in range(2):
        for alice in alices:
            assert talk(alice, bob, b"hello") == [b"hello"], "one that was let go is asked anew"
    assert len(bob._sessions) == 3
    for number in range(9):
        bob.seal(b"x", Address("10.0.1.1", number), START)
    assert len(bob._repeatable) == 2


@given(st.lists(st.integers(0, 3 * WINDOW_SIZE), max_size=300))
@settings(max_examples=50)
def test_a_window_admits_each_counter_once_and_all_that_are_near(counters: list[int]) -> None:
    window, taken, highest = ReplayWindow(100), set(range(101)), 100

    for counter in counters:
        expected = counter not in taken and counter > highest - WINDOW_SIZE
        assert window.admits(counter) == expected
        taken.add(counter)
        highest = max(highest, counter)


# Rotation


def test_no_step_of_a_rotation_loses_a_datagram() -> None:
    alice, bob = acquainted(OLD)
    for ring in (KeyRing((OLD, NEW), 1), KeyRing((NEW, OLD), 2), KeyRing((NEW,), 3)):
        alice.rotate(ring, START)
        assert talk(alice, bob, b"to bob") == [b"to bob"]
        assert talk(bob, alice, b"to alice") == [b"to alice"]
        bob.rotate(ring, START)
        assert talk(alice, bob, b"to bob") == [b"to bob"]
        assert talk(bob, alice, b"to alice") == [b"to alice"]


def test_a_removed_key_seals_nothing_any_more_whoever_has_it() -> None:
    alice, bob = acquainted(OLD)
    recorded = alice.seal(b"recorded", BOB, START)

    bob.rotate(KeyRing((NEW,)), START)

    assert bob.open(recorded, ALICE, START) == Opened(refusal=Refusal.FOREIGN)
    assert talk(a_sealer(OLD), bob, b"with the old key") == []
    assert talk(a_sealer(NEW), bob, b"with the new key") == [b"with the new key"]


# Bytes from anywhere


@given(st.binary(max_size=120))
@settings(max_examples=200)
def test_arbitrary_bytes_are_refused(datagram: bytes) -> None:
    opened = a_sealer().open(datagram, EVE, START)

    assert opened.refusal in (Refusal.MALFORMED, Refusal.FOREIGN_VERSION, Refusal.FOREIGN)
    assert opened.answers == ()


@given(st.integers(0, 255), st.binary(max_size=60))
@settings(max_examples=100)
def test_a_member_that_seals_nonsense_is_refused_too(kind: int, body: bytes) -> None:
    alice, bob = acquainted()
    nonsense = alice._sealed(kind, body, START)  # type: ignore[arg-type]  # no kind that there is

    opened = bob.open(nonsense, ALICE, START)

    assert opened.payload is None or kind == 0
    assert len(opened.answers) == 0


@given(st.data())
@settings(max_examples=100)
def test_mutated_datagrams_are_refused_and_disturb_nobody(data: st.DataObject) -> None:
    alice, bob = acquainted()
    sealed = bytearray(alice.seal(b"some payload", BOB, START))
    for _ in range(data.draw(st.integers(1, 4))):
        sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    original = alice._counter

    opened = bob.open(bytes(sealed), ALICE, START)

    assert opened.payload in (None, b"some payload")
    assert talk(alice, bob, b"still friends") == [b"still friends"]
    assert alice._counter == original + 1
