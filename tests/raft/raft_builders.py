"""Servers for tests, in the state that a test begins with, and what they do, by kind."""

from random import Random
from typing import TypeVar

from swarmlet.model.ids import NodeId
from swarmlet.raft import (
    Effect,
    Entry,
    EntryKind,
    Event,
    HardState,
    LostTail,
    Membership,
    Message,
    MessageReceived,
    Persist,
    PersistDone,
    Raft,
    RaftSettings,
    RestoredState,
    Role,
    Send,
    Snapshot,
    Tick,
    encode_membership,
)
from swarmlet.raft.messages import PreVoteResponse, VoteResponse

A, B, C, D, E = (NodeId(name) for name in "abcde")
T = TypeVar("T")


def a_membership(voters: str = "abc", learners: str = "") -> Membership:
    return Membership(frozenset(map(NodeId, voters)), frozenset(map(NodeId, learners)))


def a_log(*terms: int, voters: str = "abc", learners: str = "") -> tuple[Entry, ...]:
    """A membership entry of term 1, then one command of each term."""
    first = Entry(1, 1, EntryKind.MEMBERSHIP, encode_membership(a_membership(voters, learners)))
    commands = (command(index, term) for index, term in enumerate(terms, start=2))
    return (first, *commands)


def command(index: int, term: int, data: bytes | None = None) -> Entry:
    return Entry(index, term, EntryKind.NORMAL, b"command %d" % index if data is None else data)


class Driven:
    """A server with its disk and its clock in the test's hand. Writes are synced at once unless `disk_waits`."""

    def __init__(
        self,
        node: NodeId = A,
        log: tuple[Entry, ...] = (),
        term: int | None = None,
        voted_for: NodeId | None = None,
        snapshot: Snapshot | None = None,
        settings: RaftSettings | None = None,
        seed: int = 1,
        lost_tail: LostTail | None = None,
    ) -> None:
        last_term = log[-1].term if log else snapshot.last_term if snapshot else 0
        hard_state = HardState(last_term if term is None else term, voted_for)
        restored = RestoredState(hard_state, snapshot, log, lost_tail)
        self.now = 100.0
        self.settings = settings or RaftSettings()
        self.raft = Raft(node, self.settings, restored, Random(seed), self.now)
        self.disk_waits = False
        self.unsynced: list[Persist] = []

    def step(self, event: Event) -> list[Effect]:
        return self._synced(self.raft.step(event, self.now))

    def step_all(self, *events: Event) -> list[Effect]:
        return self._synced(self.raft.step_all(events, self.now))

    def receive(self, sender: NodeId, message: Message) -> list[Effect]:
        return self.step(MessageReceived(sender, message))

    def sync(self) -> list[Effect]:
        """The disk finishes all that it was given."""
        last = self.unsynced[-1].sequence
        self.unsynced.clear()
        return self.step(PersistDone(last))

    def tick(self, duration_s: float) -> list[Effect]:
        """Let time pass as a shell does, tick by tick."""
        effects: list[Effect] = []
        end = self.now + duration_s
        while self.now < end - 1e-9:
            self.now = min(self.now + 0.05, end)
            effects += self.step(Tick())
        return effects

    def tick_until_role(self, role: Role) -> list[Effect]:
        effects: list[Effect] = []
        for _ in range(100):
            effects += self.tick(0.05)
            if self.raft.role is role:
                return effects
        raise AssertionError(f"still {self.raft.role}")

    def elect(self, *voters: NodeId) -> list[Effect]:
        """Become leader with the votes of these."""
        effects = self.tick_until_role(Role.PRE_CANDIDATE if voters else Role.LEADER)
        for voter in voters:
            effects += self.receive(voter, PreVoteResponse(self.raft.term + 1, granted=True))
            if self.raft.role is Role.CANDIDATE:
                break
        for voter in voters:
            if self.raft.role is Role.CANDIDATE:
                effects += self.receive(voter, VoteResponse(self.raft.term, granted=True))
        assert self.raft.role is Role.LEADER
        return effects

    def forget_leader(self) -> None:
        """Let so much time pass that this server sticks to nobody, without a tick at which it would stand itself."""
        for _ in range(2):
            self.now += self.settings.election_timeout_min_s / 2
            self.step_all()

    def _synced(self, effects: list[Effect]) -> list[Effect]:
        for persist in of_kind(effects, Persist):
            self.unsynced.append(persist)
        if self.unsynced and not self.disk_waits:
            return effects + self.sync()
        return effects


def of_kind(effects: list[Effect], kind: type[T]) -> list[T]:
    return [effect for effect in effects if isinstance(effect, kind)]


def the(effects: list[Effect], kind: type[T]) -> T:
    (found,) = of_kind(effects, kind)
    return found


def sent(effects: list[Effect], kind: type[T], to: NodeId | None = None) -> list[T]:
    """Messages of one kind, to one server or to all."""
    return [send.message for send in of_kind(effects, Send) if isinstance(send.message, kind) and to in (None, send.to)]


def a_follower(*terms: int, voters: str = "abc", node: NodeId = A, **options: object) -> Driven:
    return Driven(node, a_log(*terms, voters=voters), **options)  # type: ignore[arg-type]


def a_free_voter(*terms: int, node: NodeId = A) -> Driven:
    """A follower that has heard of no leader for long enough to vote for another."""
    driven = a_follower(*terms, node=node)
    driven.forget_leader()
    return driven


def a_leader(*terms: int, voters: str = "abc", learners: str = "", settings: RaftSettings | None = None) -> Driven:
    """Server a, elected by all voters, its term's first entry appended but not acknowledged by others."""
    driven = Driven(A, a_log(*terms, voters=voters, learners=learners), settings=settings)
    driven.elect(*(NodeId(voter) for voter in voters if voter != A))
    return driven
