"""Goes on from one node when no quorum is left, or gives up a node's damaged log. Its agent must not run.

Rules:
- Nothing is changed before `confirmed` has been asked with what was found, and has said yes.
- A survivor keeps all of its log: whatever was committed and is in it, is kept; what is in it and was never
  committed may be kept too, which is a right outcome of a write whose answer nobody got.
- It becomes the only voter in a new epoch of the log (`storage.lineage`), so no log of an older one can win over it.
- A node that gives up its log keeps its id, its term and its vote, and has no say in elections until it has caught up
  beyond what it may have acknowledged (`LostTail`). Where that is not known, it can't keep its id.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from swarmlet.config import Config
from swarmlet.model.frozen import decode
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import NODES, Node
from swarmlet.raft import (
    Entry,
    EntryKind,
    HardState,
    LostTail,
    Membership,
    Persist,
    RestoredState,
    decode_membership,
    encode_membership,
)
from swarmlet.recovery.errors import NoState, NothingKnown
from swarmlet.storage import (
    DataDirectory,
    Lineage,
    NewLog,
    RaftStorage,
    finish_setting_aside,
    last_known_progress,
    set_log_aside,
)
from swarmlet.store import Store, decode_transaction


@dataclass(frozen=True, slots=True)
class SurvivorFindings:
    """What a survivor has."""

    node: NodeId
    last_index: int
    last_term: int
    snapshot_index: int
    """Up to here everything is known to be committed."""
    term: int
    revision: int
    lineage: Lineage
    voters: Mapping[NodeId, str]
    """Ids and names; the name is the id where none is known."""
    lost_tail: LostTail | None

    def lines(self) -> list[str]:
        others = sorted(name for node, name in self.voters.items() if node != self.node)
        told = [
            f"this node has the log up to entry {self.last_index} of term {self.last_term}, store revision "
            f"{self.revision}, epoch {self.lineage.epoch}; it knew of term {self.term}",
            f"entries up to {self.snapshot_index} are certainly committed; the later ones are kept too",
            f"the voters were: {', '.join(sorted(self.voters.values())) or 'none'}",
            f"LOST is whatever {', '.join(others) or 'nobody'} agreed on after entry {self.last_index}, if anything: "
            "compare `swarmlet recover --survivor` without --yes on the other survivors, and take the one whose last "
            "entry has the highest term, and of those the highest number",
            "this node will be the only voter; other survivors put their logs aside when they hear of it, and join "
            "again by themselves. Nodes taken for dead do so too when they come back",
        ]
        if self.lost_tail is not None:
            told.insert(
                1,
                f"its disk has LOST acknowledged entries: they went up to {self.lost_tail.last_index}, in term "
                f"{self.lost_tail.term} at the latest; another survivor may have them",
            )
        return told


@dataclass(frozen=True, slots=True)
class DiscardFindings:
    """What a node with a damaged log still knows of itself."""

    node: NodeId
    last_index: int
    term: int
    voted_for: NodeId | None

    def lines(self) -> list[str]:
        return [
            f"this node had acknowledged the log up to entry {self.last_index}, and was in term {self.term}",
            "its log is moved to `aside/` in the data directory; it gets it anew from its peers and votes for nobody "
            f"before it has entry {self.last_index} again",
            "if it is the only voter, there is nobody to get it from: restore a backup instead",
        ]


def recover_survivor(config: Config, confirmed: Callable[[SurvivorFindings], bool]) -> SurvivorFindings:
    """Raises `NoState`, `DamagedLog` and what opening a data directory raises."""
    with DataDirectory.open(config.data_dir, config.cluster, config.name) as directory:
        finish_setting_aside(directory.raft_log)
        with RaftStorage.open(directory.raft_log) as storage:
            restored = storage.load()
            if restored.snapshot is None and not restored.entries:
                raise NoState(config.data_dir)
            found = _examined(directory.node_id, restored, storage.lineage)
            if confirmed(found):
                term = found.term + 1
                membership = encode_membership(Membership(voters=frozenset({directory.node_id})))
                alone = Entry(found.last_index + 1, term, EntryKind.MEMBERSHIP, membership)
                change = Persist(0, HardState(term, None), None, (alone,), None, None)
                storage.change(change, found.lineage.recovered())
    return found


def recover_discard(config: Config, confirmed: Callable[[DiscardFindings], bool]) -> Path | None:
    """Where the old log is kept; None where it was not confirmed. Raises `NothingKnown`, `NoState`."""
    with DataDirectory.open(config.data_dir, config.cluster, config.name) as directory:
        finish_setting_aside(directory.raft_log)
        if not directory.raft_log.exists():
            raise NoState(config.data_dir)
        known = last_known_progress(directory.raft_log)
        if known is None:
            raise NothingKnown(directory.raft_log)
        last_index, term = max(known.last_index, known.lost_index), max(known.term, known.lost_term)
        if not confirmed(DiscardFindings(directory.node_id, last_index, term, known.voted_for)):
            return None
        new = NewLog(known.lineage, HardState(known.term, known.voted_for), LostTail(last_index, term))
        return set_log_aside(directory.raft_log, "damaged", new)


def _examined(node: NodeId, restored: RestoredState, lineage: Lineage) -> SurvivorFindings:
    snapshot = restored.snapshot
    store = Store.restore(snapshot.data) if snapshot else Store()
    snapshot_index = last_index = snapshot.last_index if snapshot else 0
    last_term = snapshot.last_term if snapshot else 0
    membership = snapshot.membership if snapshot else Membership()
    for entry in restored.entries:
        if entry.index <= snapshot_index:
            continue
        last_index, last_term = entry.index, entry.term
        if entry.kind is EntryKind.NORMAL:
            store.apply(entry.index, decode_transaction(entry.data))
        elif entry.kind is EntryKind.MEMBERSHIP:
            membership = decode_membership(entry.data)
    names = {found.key.removeprefix(NODES): decode(Node, found.value).name for found in store.scan(NODES)}
    return SurvivorFindings(
        node=node,
        last_index=last_index,
        last_term=last_term,
        snapshot_index=snapshot_index,
        term=restored.hard_state.term,
        revision=store.revision,
        lineage=lineage,
        voters={voter: names.get(voter, voter) for voter in membership.voters | membership.outgoing},
        lost_tail=restored.lost_tail,
    )
