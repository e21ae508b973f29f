"""Who is alive, suspect, dead or gone, and how that changes: SWIM's rules with Lifeguard's suspicions.

- Only what stands above what is known changes anything (see `members`); every change is passed on as news.
- A failed probe makes a suspect, not a dead. A suspect that does not refute in time is declared dead.
- This node refutes whatever is said against it.
- A node that hears nobody declares nobody dead (see `hearing`).
- A peer that was heard from a moment ago is not dead on somebody else's word; it becomes a suspect.
- In exchanges whole views meet, perhaps after a partition: what the other side says against a peer that is live
  here is told to that peer, who will refute if it can. Our own probes find it out if it can't.
"""

from dataclasses import replace
from enum import Enum, auto
from math import inf

from swarmlet.gossip.awareness import Awareness
from swarmlet.gossip.conflicts import Conflicts
from swarmlet.gossip.counters import GossipCounters
from swarmlet.gossip.courier import Courier
from swarmlet.gossip.events import LivenessChanged, Member
from swarmlet.gossip.hearing import Hearing
from swarmlet.gossip.intake import Intake
from swarmlet.gossip.local_node import LocalNode
from swarmlet.gossip.members import LIVE, Entry, Members, standing
from swarmlet.gossip.messages import Alive, MemberClaim, Verdict
from swarmlet.gossip.outbox import Outbox
from swarmlet.gossip.probe_order import ProbeOrder
from swarmlet.gossip.record_news import RecordNews
from swarmlet.gossip.settings import GossipSettings
from swarmlet.gossip.suspicion import Suspicion
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness


class Turn(Enum):
    """A change that other parts of the core act on."""

    SUSPECTED = auto()
    RETURNED = auto()
    """It was dead or gone and is alive."""


class Verdicts:
    def __init__(
        self,
        local: LocalNode,
        members: Members,
        order: ProbeOrder,
        courier: Courier,
        record_news: RecordNews,
        intake: Intake,
        conflicts: Conflicts,
        outbox: Outbox,
        settings: GossipSettings,
        awareness: Awareness,
        counters: GossipCounters,
        hearing: Hearing,
    ) -> None:
        self._local, self._members, self._order, self._hearing = local, members, order, hearing
        self._courier, self._intake, self._conflicts, self._outbox = courier, intake, conflicts, outbox
        self._record_news, self._settings = record_news, settings
        self._awareness, self._counters = awareness, counters
        self._suspicions: dict[NodeId, Suspicion] = {}
        self._due_at: float | None = None
        """The first suspicion's deadline; None where it has to be found anew."""

    # This node

    def announce(self, now: float) -> None:
        """Tell everyone at once what this node says of itself now."""
        before = self._members.get(self._local.node_id)
        member = self._local.member()
        changed = before is None or _differs(before.member, member)
        self._members.put(member, now)
        if changed:
            self._outbox.emit(LivenessChanged(member))
        self._courier.spread(("member", member.node_id), self._local.alive())
        self._courier.hurry()

    def leave(self, now: float) -> None:
        self._local.left = True
        entry = self._members.put(self._local.member(), now)
        self._outbox.emit(LivenessChanged(entry.member))
        goodbye = self._courier.verdict_on(entry)
        for peer in self._members.some_live(self._settings.leave_fanout):
            self._courier.send(peer.address, peer.node_id, [goodbye])

    def _refute(self, generation: int, incarnation: int, now: float) -> None:
        local = self._local
        if local.left or (generation, incarnation) < (local.generation, local.incarnation):
            return
        local.outbid(generation, incarnation)
        self._counters.refutations += 1
        self._awareness.apply(1)
        self.announce(now)

    # What is heard

    def hear_alive(self, alive: Alive, now: float, passed_on: bool = True) -> Turn | None:
        """`passed_on`: whether a stranger is told of to others."""
        if alive.node_id == self._local.node_id:
            self._hear_of_self(alive, now)
            return None
        entry = self._members.get(alive.node_id)
        if not self._intake.welcomes(alive):
            return None
        member = _announced(alive)
        if entry is None:
            self._add(member, now, passed_on)
            return None
        if (alive.generation, alive.incarnation) <= (entry.member.generation, entry.member.incarnation):
            return None
        before = entry.liveness
        self._conflicts.check_moved(entry, member, now)
        self._change(entry, member, now)
        self._courier.spread(("member", member.node_id), alive)
        return Turn.RETURNED if before not in LIVE else None

    def hear_verdict(self, verdict: Verdict, now: float) -> Turn | None:
        if verdict.node_id == self._local.node_id:
            self._refute(verdict.generation, verdict.incarnation, now)
            return None
        entry = self._members.get(verdict.node_id)
        if entry is None:
            return None
        said = standing(verdict.generation, verdict.incarnation, verdict.liveness)
        if said == entry.standing and verdict.liveness is Liveness.SUSPECT:
            self._confirm(entry, verdict.accuser)
            return None
        if said <= entry.standing:
            return None
        if verdict.liveness is Liveness.DEAD and self._evidently_alive(entry, now):
            return self._doubt(entry, verdict, now)
        if verdict.liveness is Liveness.SUSPECT:
            self._suspect(entry, verdict, now)
            return Turn.SUSPECTED
        self._change(entry, _judged(entry.member, verdict), now)
        self._courier.spread(("member", entry.node_id), verdict)
        return None

    def merge(self, claim: MemberClaim, sender: NodeId, passed_on: bool, now: float) -> bool:
        """One member of an exchange. True if the claim is against a live peer, who should be told of it."""
        alive = Alive(claim.node_id, claim.name, claim.address, claim.generation, claim.incarnation, claim.versions)
        entry = self._members.get(claim.node_id)
        if claim.liveness is Liveness.ALIVE:
            self.hear_alive(alive, now, passed_on)
            return False
        if claim.node_id == self._local.node_id:
            self.hear_verdict(_verdict_of(claim, sender), now)
            return False
        if entry is None:
            self._merge_stranger(claim, alive, sender, now)
            return False
        if claim.liveness is Liveness.LEFT or entry.liveness not in LIVE:
            self.hear_verdict(_verdict_of(claim, sender), now)
            return False
        against = standing(claim.generation, claim.incarnation, claim.liveness) > entry.standing
        if against:
            self.hear_alive(alive, now)
        return against

    def tell_accused(self, claim: MemberClaim, sender: NodeId) -> None:
        entry = self._members.get(claim.node_id)
        if entry is not None:
            self._courier.send(entry.address, entry.node_id, [_verdict_of(claim, sender)])

    def accuse(self, node_id: NodeId, refused: bool, now: float) -> None:
        """Our own probe of a node failed; `refused`: because nobody listens on its port."""
        entry = self._members.get(node_id)
        if entry is None or entry.liveness not in LIVE:
            return
        if entry.liveness is Liveness.ALIVE:
            member = entry.member
            verdict = Verdict(node_id, Liveness.SUSPECT, member.generation, member.incarnation, self._local.node_id)
            self._suspect(entry, verdict, now)
        else:
            self._confirm(entry, self._local.node_id)
        if refused:
            self._suspicions[node_id].shorten(self._settings.suspicion_refused_s)
            self._due_at = None

    # Time

    def deadline(self) -> float:
        if self._due_at is None:
            self._due_at = min((suspicion.deadline for suspicion in self._suspicions.values()), default=inf)
        return self._due_at

    def on_time(self, now: float) -> None:
        deaf_until = self._hearing.deaf_until(len(self._members.live), now)
        if deaf_until > now:
            self._due_at = max(self.deadline(), deaf_until)
            return
        for node_id in [node_id for node_id, s in self._suspicions.items() if s.deadline <= now]:
            entry = self._members.get(node_id)
            assert entry is not None
            assert entry.liveness is Liveness.SUSPECT
            member = entry.member
            self._counters.deaths += 1
            verdict = Verdict(node_id, Liveness.DEAD, member.generation, member.incarnation, self._local.node_id)
            self._change(entry, _judged(member, verdict), now)
            self._courier.spread(("member", node_id), verdict)
            self._courier.hurry()

    def heard(self, now: float) -> None:
        """Something came from a peer. After a long silence it may say more in a moment."""
        silent_s = self._hearing.heard(now)
        if silent_s:
            for suspicion in self._suspicions.values():
                suspicion.postpone(min(silent_s, now - suspicion.since))
            self._due_at = None

    def postpone(self, delay_s: float) -> None:
        """This agent stood still for so long: suspects could not reach it."""
        for suspicion in self._suspicions.values():
            suspicion.postpone(delay_s)
        self._due_at = None

    # Changes

    def _add(self, member: Member, now: float, passed_on: bool = True) -> Entry | None:
        if self._members.full:
            self._counters.members_refused += 1
            return None
        entry = self._members.put(member, now)
        self._order.add(member.node_id)
        self._outbox.emit(LivenessChanged(member))
        self._conflicts.check_name(member)
        self._record_news.reveal(member.node_id)
        if passed_on:
            self._courier.spread(
                ("member", member.node_id),
                Alive(
                    member.node_id,
                    member.name,
                    member.address,
                    member.generation,
                    member.incarnation,
                    member.versions,
                ),
            )
        return entry

    def _change(self, entry: Entry, member: Member, now: float) -> None:
        before = entry.member
        suspicion = self._suspicions.pop(entry.node_id, None)
        if suspicion is not None:
            self._due_at = None
            for accuser in suspicion.accusers:
                self._courier.news.drop(("suspect", entry.node_id, accuser))
        self._members.put(member, now)
        if before.address != member.address:
            entry.round_trip = type(entry.round_trip)()
        if _differs(before, member):
            self._outbox.emit(LivenessChanged(member))
        if before.name != member.name or (before.liveness not in LIVE and member.liveness in LIVE):
            self._conflicts.check_name(member)

    def _suspect(self, entry: Entry, verdict: Verdict, now: float) -> None:
        self._change(entry, _judged(entry.member, verdict), now)
        self._counters.suspicions += 1
        self._suspicions[entry.node_id] = Suspicion.begin(
            self._settings, verdict.accuser, self._members.node_count, now
        )
        self._due_at = None
        self._spread_suspicion(entry, verdict.accuser)

    def _confirm(self, entry: Entry, accuser: NodeId) -> None:
        if self._suspicions[entry.node_id].confirm(accuser):
            self._due_at = None
            self._spread_suspicion(entry, accuser)

    def _spread_suspicion(self, entry: Entry, accuser: NodeId) -> None:
        member = entry.member
        verdict = Verdict(entry.node_id, Liveness.SUSPECT, member.generation, member.incarnation, accuser)
        self._courier.spread(("suspect", entry.node_id, accuser), verdict)
        if accuser == self._local.node_id:
            self._courier.hurry()

    def _evidently_alive(self, entry: Entry, now: float) -> bool:
        return entry.liveness is Liveness.ALIVE and now - entry.heard_at < self._settings.evidence_s

    def _doubt(self, entry: Entry, verdict: Verdict, now: float) -> Turn:
        self._courier.send(entry.address, entry.node_id, [verdict])
        softer = Verdict(verdict.node_id, Liveness.SUSPECT, verdict.generation, verdict.incarnation, verdict.accuser)
        self._suspect(entry, softer, now)
        return Turn.SUSPECTED

    def _merge_stranger(self, claim: MemberClaim, alive: Alive, sender: NodeId, now: float) -> None:
        if claim.liveness is Liveness.SUSPECT:
            self.hear_alive(alive, now)
            self.hear_verdict(_verdict_of(claim, sender), now)
            return
        left = claim.liveness is Liveness.LEFT
        kept_for = self._settings.forget_left_after_s if left else self._settings.forget_dead_after_s
        if claim.age_s < kept_for and self._intake.welcomes(alive):
            member = replace(_announced(alive), liveness=claim.liveness)
            entry = self._add(member, now, passed_on=False)
            if entry is not None:
                entry.changed_at = now - claim.age_s

    def _hear_of_self(self, alive: Alive, now: float) -> None:
        local = self._local
        if (alive.generation, alive.incarnation) <= (local.generation, local.incarnation):
            return
        if self._conflicts.check_twin(local.member(), _announced(alive), now):
            self._refute(alive.generation, alive.incarnation, now)


def _announced(alive: Alive) -> Member:
    return Member(
        alive.node_id,
        alive.name,
        alive.address,
        Liveness.ALIVE,
        alive.incarnation,
        alive.generation,
        alive.versions,
    )


def _judged(member: Member, verdict: Verdict) -> Member:
    return replace(member, liveness=verdict.liveness, incarnation=verdict.incarnation, generation=verdict.generation)


def _verdict_of(claim: MemberClaim, accuser: NodeId) -> Verdict:
    return Verdict(claim.node_id, claim.liveness, claim.generation, claim.incarnation, accuser)


def _differs(before: Member, after: Member) -> bool:
    return (before.liveness, before.address, before.name) != (after.liveness, after.address, after.name)
