"""How a server answers those who want to lead. The same in every role.

Rules:
- A vote goes to a log that is at least as up to date as the voter's own (§5.4.1), once a term, on disk first.
- A server that hears a leader helps nobody to depose it, whatever term they are in (thesis §4.2.3); a leader hears
  itself for as long as a quorum answers it. An election that the leader itself asked for is the exception.
- A server whose disk lost what it had acknowledged votes for nobody until it has caught up (`Server.lost_tail`).
- Who has just started may have heard a leader a moment before it stopped, and sticks to it.
- Who asks need not be in the voter's membership, nor the voter in its own: either may be behind (thesis §4.1).
"""

from swarmlet.model.ids import NodeId
from swarmlet.raft.messages import PreVoteRequest, PreVoteResponse, VoteRequest, VoteResponse
from swarmlet.raft.server import Server


def answer_pre_vote(server: Server, leads: bool, sender: NodeId, asked: PreVoteRequest) -> None:
    """Changes nothing here: only says how a vote would go."""
    granted = (
        asked.term > server.term
        and server.lost_tail is None
        and not sticks_to_leader(server, leads)
        and server.log.is_behind(asked.last_index, asked.last_term)
    )
    term = asked.term if granted else server.term
    server.outbox.send(sender, PreVoteResponse(term, granted))


def answer_vote(server: Server, sender: NodeId, asked: VoteRequest) -> None:
    """For a request in the server's own term."""
    free = server.voted_for == sender or (server.voted_for is None and server.leader_id is None)
    sticks = server.hears_leader and not asked.by_transfer
    granted = (
        free and not sticks and server.lost_tail is None and server.log.is_behind(asked.last_index, asked.last_term)
    )
    if granted:
        server.vote_for(sender)
        server.restart_election_timer()
    server.outbox.send_when_persisted(sender, VoteResponse(server.term, granted))


def sticks_to_leader(server: Server, leads: bool) -> bool:
    return leads or server.hears_leader
