"""Collects one step's effects, and holds back what must not be said before it is on disk.

Rules:
- All that a step changes on disk is one `Persist`; sequences grow by one, and what is done is done in order.
- `send_when_persisted` waits for everything staged so far, this step's part included. Votes, requests for votes and
  acknowledgements of entries go this way: after a crash this server must still know what it told others (§5.1).
- `send` does not wait: a leader's entries may reach others before its own disk (thesis §10.2.1).
- A message to this server itself comes back from `take_own` when its time has come.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from swarmlet.model.ids import NodeId
from swarmlet.raft.durable import Entry, HardState, Snapshot
from swarmlet.raft.effects import (
    ApplyEntries,
    ApplySnapshot,
    Effect,
    Persist,
    ProposalAccepted,
    ProposalRefused,
    ReadReady,
    ReadRefused,
    RoleChanged,
    Send,
)
from swarmlet.raft.messages import Message

Answer = ProposalAccepted | ProposalRefused | ReadReady | ReadRefused


@dataclass(slots=True)
class _Staged:
    """This step's part of what goes to disk."""

    hard_state: HardState | None = None
    truncate_from: int | None = None
    entries: list[Entry] = field(default_factory=list)
    snapshot: Snapshot | None = None
    installs: bool = False
    """Whether the snapshot replaces the log rather than its beginning."""
    compact_to: int | None = None

    @property
    def is_empty(self) -> bool:
        return (
            self.hard_state is None
            and self.truncate_from is None
            and self.compact_to is None
            and not (self.entries or self.snapshot)
        )


@dataclass(slots=True)
class _Write:
    """A `Persist` that is not done."""

    sequence: int
    persisted_index: int
    """The log is on disk up to here when it is done; lowered when the entries are cut off meanwhile."""
    installed: Snapshot | None
    staged_at: float


@dataclass(frozen=True, slots=True)
class Persisted:
    """What the end of a write makes true."""

    index: int
    installed: Snapshot | None


class Outbox:
    def __init__(self, node_id: NodeId) -> None:
        self._node_id = node_id
        self._sequence = 0
        self._staged = _Staged()
        self._unsynced: deque[_Write] = deque()
        self._held: deque[tuple[int, NodeId, Message]] = deque()
        self._own: list[Message] = []
        self._sends: list[Send] = []
        self._answers: list[Answer] = []
        self._applied: list[ApplySnapshot | ApplyEntries] = []

    # To disk

    def write_hard_state(self, state: HardState) -> None:
        self._staged.hard_state = state

    def write_entries(self, entries: Sequence[Entry]) -> None:
        self._staged.entries.extend(entries)

    def write_truncation(self, from_index: int) -> None:
        staged = self._staged
        staged.truncate_from = from_index if staged.truncate_from is None else min(staged.truncate_from, from_index)
        staged.entries = [entry for entry in staged.entries if entry.index < from_index]
        for write in self._unsynced:
            write.persisted_index = min(write.persisted_index, from_index - 1)

    def write_installed(self, snapshot: Snapshot) -> None:
        """A snapshot in place of the whole log."""
        self.write_truncation(0)
        self._staged.snapshot, self._staged.installs = snapshot, True

    def write_compacted(self, snapshot: Snapshot | None, compact_to: int | None) -> None:
        """A snapshot in place of the log's beginning."""
        staged = self._staged
        staged.snapshot = snapshot or staged.snapshot
        if compact_to is not None:
            staged.compact_to = compact_to

    def persisted(self, sequence: int) -> list[Persisted]:
        """Takes note of `PersistDone` and releases what waited for it."""
        done: list[Persisted] = []
        while self._unsynced and self._unsynced[0].sequence <= sequence:
            write = self._unsynced.popleft()
            done.append(Persisted(write.persisted_index, write.installed))
        while self._held and self._held[0][0] <= sequence:
            _, to, message = self._held.popleft()
            self.send(to, message)
        return done

    def stalled_s(self, now: float) -> float:
        """How long the oldest write has been under way."""
        return now - self._unsynced[0].staged_at if self._unsynced else 0.0

    # To others

    def send(self, to: NodeId, message: Message) -> None:
        if to == self._node_id:
            self._own.append(message)
        else:
            self._sends.append(Send(to, message))

    def send_when_persisted(self, to: NodeId, message: Message) -> None:
        if not self._staged.is_empty:
            self._held.append((self._sequence + 1, to, message))
        elif self._unsynced:
            self._held.append((self._unsynced[-1].sequence, to, message))
        else:
            self.send(to, message)

    def take_own(self) -> list[Message]:
        own, self._own = self._own, []
        return own

    # To the shell

    def answer(self, answer: Answer) -> None:
        self._answers.append(answer)

    def apply(self, what: ApplySnapshot | ApplyEntries) -> None:
        self._applied.append(what)

    def flush(self, role_changed: RoleChanged | None, now: float) -> list[Effect]:
        """This step's effects, in the order in which the shell carries them out."""
        effects: list[Effect] = [role_changed] if role_changed else []
        if not self._staged.is_empty:
            effects.append(self._write(now))
        effects += self._sends
        effects += self._answers
        effects += self._applied
        self._sends, self._answers, self._applied = [], [], []
        return effects

    def _write(self, now: float) -> Persist:
        staged, self._staged = self._staged, _Staged()
        self._sequence += 1
        installed = staged.snapshot if staged.installs else None
        index = staged.entries[-1].index if staged.entries else installed.last_index if installed else 0
        self._unsynced.append(_Write(self._sequence, index, installed, now))
        return Persist(
            self._sequence,
            staged.hard_state,
            staged.truncate_from,
            tuple(staged.entries),
            staged.snapshot,
            staged.compact_to,
        )
