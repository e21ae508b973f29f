"""Voters that look after themselves, or that people have chosen: real nodes on loopback."""

import asyncio
from pathlib import Path

from drivers_builders import Nodes, nodes, until

from swarmlet.controllers import voter_list
from swarmlet.controllers.voters import VoterSettings
from swarmlet.drivers.log_positions import LogPositionCalls
from swarmlet.model.ids import NodeId

SOON = VoterSettings(dead_after_s=0.3)


def voters(made: Nodes) -> frozenset[NodeId]:
    """As all nodes know them; none while they differ or a change is under way."""
    known = {node.consensus.raft.membership for node in made}
    (membership, *others) = known
    return frozenset() if others or membership.is_joint else membership.voters


async def choose(made: Nodes, *names: str) -> None:
    consensus = (await made.led()).consensus
    observed = made.by_name[names[0]].membership.observed()
    change = voter_list.choose(consensus.replica.state, observed, consensus.raft.membership.voters, names)
    assert (await consensus.submit(change)).succeeded


async def test_a_list_moves_all_votes_and_the_leadership_and_is_kept_by_the_next_leader(tmp_path: Path) -> None:
    async with nodes(tmp_path, count=4) as made:
        await choose(made, "b", "d")
        wanted = frozenset(made.by_name[name].id for name in "bd")
        await until(lambda: voters(made) == wanted)

        # The former leader leads until the change is committed.
        await until(lambda: made.leader is not None and made.leader.id in wanted)
        leader = await made.led()
        assert leader.id in wanted
        leader.consensus.transfer_leadership()
        await until(lambda: made.leader not in (None, leader))
        assert voters(made) == wanted

        consensus = (await made.led()).consensus
        await consensus.submit(voter_list.release(consensus.replica.state))
        await until(lambda: len(voters(made)) == 3)


async def test_a_leader_that_dies_loses_its_vote_to_the_learner(tmp_path: Path) -> None:
    async with nodes(tmp_path, count=4, voter_settings=SOON) as made:
        await until(lambda: len(voters(made)) == 3)
        dead = await made.led()

        await made.stop(made.name_of(dead))

        await until(lambda: voters(made) == frozenset(node.id for node in made))


async def test_any_peer_says_how_far_the_logs_are(tmp_path: Path) -> None:
    async with nodes(tmp_path) as made:
        calls = {node.id: LogPositionCalls(node.consensus, node.network) for node in made}
        leader = await made.led()
        await until(lambda: len(voters(made)) == 3)
        before = leader.consensus.raft.last_index

        async with asyncio.timeout(10):
            positions = await calls[made.follower().id].ask()

        assert positions is not None
        assert before <= positions.last_index <= leader.consensus.raft.last_index
        assert set(positions.of) == set(calls) and all(each.answers for each in positions.of.values())
