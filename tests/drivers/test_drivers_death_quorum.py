"""Voters tell the leader whom they hold for gone, over their streams; on real nodes."""

from pathlib import Path

from drivers_builders import nodes, until

from swarmlet.drivers.death_quorum import GONE
from swarmlet.drivers.id_lists import packed_ids
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import NodeStatus

X = NodeId("x" * 16)
OPINION = packed_ids([X])


async def test_the_leader_goes_by_what_a_majority_of_voters_told_it(tmp_path: Path) -> None:
    async with nodes(tmp_path, 4) as made:
        leader = await made.led()
        voters = leader.consensus.raft.membership.voters
        followers = [node for node in made if node is not leader and node.id in voters]
        learner = next(node for node in made if node.id not in voters)

        for teller in (learner, followers[0]):
            assert teller.network.notify(leader.id, GONE, OPINION)
        await until(lambda: followers[0].id in leader.deaths._opinions)
        assert leader.deaths.confirmed() == set(), "a learner and one of three voters"

        assert followers[1].network.notify(leader.id, GONE, OPINION)
        await until(lambda: leader.deaths.confirmed() == {X})
        assert learner.id not in leader.deaths._opinions

        assert followers[1].network.notify(leader.id, GONE, packed_ids([]))
        await until(lambda: leader.deaths.confirmed() == set())
        assert followers[1].network.notify(leader.id, GONE, b"\xc1")
        await until(lambda: leader.deaths.malformed == 1)


async def test_a_node_that_is_gone_for_all_is_down_and_one_that_is_alone_says_so_and_declares_nobody_down(
    tmp_path: Path,
) -> None:
    async with nodes(tmp_path) as made:
        leader = await made.led()
        first, second = (node for node in made if node is not leader)

        def status(id_: NodeId) -> NodeStatus | None:
            found = leader.consensus.replica.state.nodes.get(id_)
            return found.value.status if found else None

        await until(lambda: {status(node.id) for node in made} == {NodeStatus.UP})
        await made.stop(made.name_of(first))
        await until(lambda: status(first.id) is NodeStatus.DOWN)
        assert leader.deaths.problems() == []

        await made.stop(made.name_of(second))
        await until(lambda: any("alone: 1 of 3 voters" in each for each in leader.deaths.problems()))
        assert second.id not in leader.deaths.confirmed()
        assert status(second.id) is NodeStatus.UP
