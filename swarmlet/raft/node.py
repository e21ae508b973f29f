"""The core's one door: events in, effects out.

`Raft` keeps the role that the server is in, and the two rules that hold in every role (§5.1): who hears of a later
term enters it as a follower, and what comes from an earlier term is answered with the current one or not at all.
What a role does is in `follower`, `candidate` and `leader`; what a server is, in `server`.
Source: Ongaro and Ousterhout, Raft (extended version), cited as §; Ongaro's dissertation, cited as thesis §.
"""

from collections.abc import Iterable, Mapping
from random import Random

from swarmlet.model.ids import NodeId
from swarmlet.raft import voting
from swarmlet.raft.candidate import Candidate
from swarmlet.raft.durable import Entry, LostTail, Membership, RestoredState
from swarmlet.raft.effects import Effect, ProposalRefused, ReadRefused, Refusal, Role, RoleChanged
from swarmlet.raft.events import (
    Compact,
    DiskFailed,
    Event,
    LeaderUnreachable,
    MessageReceived,
    PersistDone,
    Propose,
    ProposeMembership,
    ReadRequest,
    Tick,
    TransferLeadership,
)
from swarmlet.raft.follower import Follower
from swarmlet.raft.leader import Leader
from swarmlet.raft.messages import (
    AppendEntries,
    CommitAdvanced,
    Heartbeat,
    InstallSnapshot,
    Message,
    PreVoteRequest,
    PreVoteResponse,
    StaleTerm,
    VoteRequest,
    VoteResponse,
)
from swarmlet.raft.progress import PeerProgress
from swarmlet.raft.server import Lead, Server, StartElection, StepDown, Transition
from swarmlet.raft.settings import RaftSettings


class Raft:
    """One server. Deterministic: the same events at the same times, with an equal generator, do the same."""

    def __init__(
        self, node_id: NodeId, settings: RaftSettings, restored: RestoredState, rng: Random, now: float
    ) -> None:
        self._server = Server(node_id, settings, restored, rng, now)
        self._role: Follower | Candidate | Leader = Follower(self._server, None)
        self._told = RoleChanged(self.role, self.term, self.leader_id)

    # What others ask

    @property
    def node_id(self) -> NodeId:
        return self._server.node_id

    @property
    def role(self) -> Role:
        return self._role.role

    @property
    def term(self) -> int:
        return self._server.term

    @property
    def leader_id(self) -> NodeId | None:
        return self._server.leader_id

    @property
    def commit_index(self) -> int:
        return self._server.commit_index

    @property
    def applied_index(self) -> int:
        """The last index handed to the state machine."""
        return self._server.applied_index

    @property
    def last_index(self) -> int:
        return self._server.log.last_index

    @property
    def membership(self) -> Membership:
        """As of the last membership entry in the log, committed or not."""
        return self._server.membership

    @property
    def lost_tail(self) -> LostTail | None:
        """What this server acknowledged and lost; it has no say in elections until it has caught up."""
        return self._server.lost_tail

    @property
    def disk_is_stalled(self) -> bool:
        """A write has been under way for so long that this server neither leads nor campaigns."""
        return self._server.disk_is_stalled

    def applied_entries(self, after: int) -> tuple[Entry, ...] | None:
        """What was handed to the state machine after an index; None where that is compacted in part."""
        log = self._server.log
        return log.slice(after + 1, self.applied_index) if after >= log.base_index else None

    def progress(self) -> Mapping[NodeId, PeerProgress]:
        """How far the other members are, as their leader knows it; empty on any other server."""
        return self._role.progress() if isinstance(self._role, Leader) else {}

    # Events

    def step(self, event: Event, now: float) -> list[Effect]:
        return self.step_all((event,), now)

    def step_all(self, events: Iterable[Event], now: float) -> list[Effect]:
        """Several events as one step: what they write goes to disk together, what they send goes out together."""
        server = self._server
        server.advance_clock(now)
        for event in events:
            self._handle(event)
        self._follow_up()
        server.apply_committed()
        return server.outbox.flush(self._role_change(), server.now)

    def _handle(self, event: Event) -> None:
        match event:
            case MessageReceived(sender, message):
                self._receive(sender, message)
            case PersistDone(sequence):
                self._server.take_persisted(sequence)
            case Tick():
                self._become(self._role.tick())
            case DiskFailed():
                if isinstance(self._role, Leader):
                    self._become(self._role.abdicate())
            case LeaderUnreachable(leader_id):
                self._server.doubt_leader(leader_id)
            case Propose() | ProposeMembership() | ReadRequest() | TransferLeadership():
                self._ask(event)
            case Compact(index, data):
                self._server.compact(index, data)

    def _ask(self, event: Propose | ProposeMembership | ReadRequest | TransferLeadership) -> None:
        """What only a leader can do."""
        outbox, role = self._server.outbox, self._role
        match event:
            case Propose(request, data) if isinstance(role, Leader):
                role.propose(request, data)
            case ProposeMembership(request, change) if isinstance(role, Leader):
                role.propose_membership(request, change)
            case ReadRequest(request) if isinstance(role, Leader):
                role.read(request)
            case TransferLeadership(target) if isinstance(role, Leader):
                role.hand_over(target)
            case Propose(request=request) | ProposeMembership(request=request):
                outbox.answer(ProposalRefused(request, Refusal.NOT_LEADER, self.leader_id))
            case ReadRequest(request):
                outbox.answer(ReadRefused(request, Refusal.NOT_LEADER, self.leader_id))

    def _follow_up(self) -> None:
        """Until nothing changes any more: an election may be won, and a term begun, within one step."""
        while True:
            for message in self._server.outbox.take_own():
                self._receive(self.node_id, message)
            transition = self._role.finish()
            if transition is None:
                return
            self._become(transition)

    # Messages

    def _receive(self, sender: NodeId, message: Message) -> None:
        match message:
            case PreVoteRequest():
                voting.answer_pre_vote(self._server, self.role is Role.LEADER, sender, message)
                return
            case PreVoteResponse(granted=True):
                # Its term is the one asked for, which nobody is in yet.
                self._become(self._role.receive(sender, message))
                return
            case VoteRequest(by_transfer=False) if message.term > self.term and self._sticks_to_leader:
                return
        if message.term < self.term:
            self._answer_stale(sender, message)
            return
        from_leader = isinstance(message, AppendEntries | Heartbeat | CommitAdvanced | InstallSnapshot)
        if message.term > self.term or (from_leader and isinstance(self._role, Candidate)):
            self._become(StepDown(message.term, sender if from_leader else None))
        if isinstance(message, VoteRequest):
            voting.answer_vote(self._server, sender, message)
        else:
            self._become(self._role.receive(sender, message))

    @property
    def _sticks_to_leader(self) -> bool:
        return voting.sticks_to_leader(self._server, self.role is Role.LEADER)

    def _answer_stale(self, sender: NodeId, message: Message) -> None:
        match message:
            case VoteRequest():
                self._server.outbox.send(sender, VoteResponse(self.term, granted=False))
            case AppendEntries() | Heartbeat() | CommitAdvanced() | InstallSnapshot():
                self._server.outbox.send(sender, StaleTerm(self.term))

    # Roles

    def _become(self, transition: Transition | None) -> None:
        if transition is None:
            return
        server, before = self._server, self._role
        match transition:
            case StepDown(term, leader_id):
                if term > server.term:
                    server.enter_term(term)
                if isinstance(before, Leader):
                    server.restart_election_timer()
                self._role = Follower(server, leader_id)
            case StartElection():
                self._role = Candidate(server, transition)
            case Lead():
                self._role = Leader(server)
        if isinstance(before, Leader):
            before.resign()

    def _role_change(self) -> RoleChanged | None:
        current = RoleChanged(self.role, self.term, self.leader_id)
        if current == self._told:
            return None
        self._told = current
        return current
