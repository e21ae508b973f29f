"""A server that wants to lead: it first asks whether it would be elected, then stands (§5.2; thesis §9.6).

A pre-candidate has forgotten its leader. If it went on to count itself as hearing one, two servers that have both
lost it would refuse each other for ever.
"""

from swarmlet.model.ids import NodeId
from swarmlet.raft.effects import Role
from swarmlet.raft.messages import Message, PreVoteRequest, PreVoteResponse, VoteRequest, VoteResponse
from swarmlet.raft.quorum import VoteResult
from swarmlet.raft.server import Lead, Server, StartElection, StepDown, Transition


class Candidate:
    def __init__(self, server: Server, election: StartElection) -> None:
        assert server.may_be_needed, "only voters campaign, and who was one until lately"
        self._server = server
        self._pre_vote = election.pre_vote
        self._votes: dict[NodeId, bool] = {}
        server.leader_id = None
        server.restart_election_timer()
        if self._pre_vote:
            self._ask_whether()
        else:
            self._stand(election.by_transfer)

    @property
    def role(self) -> Role:
        return Role.PRE_CANDIDATE if self._pre_vote else Role.CANDIDATE

    def tick(self) -> Transition | None:
        server = self._server
        if server.now < server.election_deadline:
            return None
        return StartElection(pre_vote=True) if server.may_campaign else StepDown(server.term, None)

    def receive(self, sender: NodeId, message: Message) -> Transition | None:
        """Messages of the server's own term, and granted pre-votes for the next one."""
        match message:
            case PreVoteResponse(term, granted) if self._pre_vote:
                # A refusal says the refuser's term; a grant that is not for the next term is from an earlier try.
                if not granted or term == self._server.term + 1:
                    return self._count(sender, granted)
            case VoteResponse(granted=granted) if not self._pre_vote:
                return self._count(sender, granted)
        return None

    def finish(self) -> Transition | None:
        """A lone voter has won its pre-vote without asking anybody."""
        return self._verdict() if self._pre_vote else None

    def _ask_whether(self) -> None:
        server = self._server
        self._votes[server.node_id] = True
        request = PreVoteRequest(server.term + 1, server.log.last_index, server.log.last_term)
        for voter in self._other_voters():
            server.outbox.send(voter, request)

    def _stand(self, by_transfer: bool) -> None:
        """Its own vote, too, counts only once it is on disk: it goes the same way as the others."""
        server = self._server
        server.enter_term(server.term + 1, server.node_id)
        request = VoteRequest(server.term, server.log.last_index, server.log.last_term, by_transfer)
        for voter in self._other_voters():
            server.outbox.send_when_persisted(voter, request)
        server.outbox.send_when_persisted(server.node_id, VoteResponse(server.term, granted=True))

    def _other_voters(self) -> list[NodeId]:
        return sorted(self._server.quorum.voters - {self._server.node_id})

    def _count(self, sender: NodeId, granted: bool) -> Transition | None:
        self._votes.setdefault(sender, granted)
        return self._verdict()

    def _verdict(self) -> Transition | None:
        match self._server.quorum.vote_result(self._votes):
            case VoteResult.WON:
                return StartElection(pre_vote=False) if self._pre_vote else Lead()
            case VoteResult.LOST:
                return StepDown(self._server.term, None)
            case VoteResult.PENDING:
                return None
