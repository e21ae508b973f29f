"""A cluster's keys change while it runs, and nobody is lost by it."""

from pathlib import Path

import pytest
from drivers_builders import until
from keyring_builders import Node, some_nodes

from swarmlet.drivers.keyring import FETCH, STATE, TAKE, unpack_state
from swarmlet.security.keyring import KeyRing, RingMalformed, RingRefused, load_ring
from swarmlet.security.keys import ClusterKey
from swarmlet.transport import PeerUnavailable, RemoteError

OLD, LATE, FOREIGN = (ClusterKey(letter * 32) for letter in (b"o", b"l", b"f"))
RING = KeyRing((OLD,))


async def test_a_rotation_reaches_every_node_and_its_file_and_no_node_is_missed_meanwhile(tmp_path: Path) -> None:
    async with some_nodes(tmp_path, RING, "a", "b", "c") as nodes:
        a, b, c = nodes

        new, _ = await a.rotation.install()
        await b.rotation.use(new)
        found = await c.rotation.remove(OLD.id, force=False)
        await until(lambda: all(node.network.counters.connected for node in nodes))
        received = [node.datagrams.counters.received for node in nodes]
        await until(lambda: all(n.datagrams.counters.received > r + 3 for n, r in zip(nodes, received, strict=True)))

        assert [(each.name, each.keys, each.problem) for each in found] == [(n.name, (new,), "") for n in nodes]
        assert all(load_ring(node.key_file) == node.keyring.ring for node in nodes)
        assert {node.keyring.ring.version for node in nodes} == {3}
        assert all(node.sees_alive() == {"a", "b", "c"} for node in nodes)
        assert [node.membership.counters.suspicions for node in nodes] == [0, 0, 0]


async def test_a_node_that_knows_only_the_key_before_is_brought_up_to_date(tmp_path: Path) -> None:
    async with some_nodes(tmp_path, RING, "a", "b") as (a, b):
        new, _ = await a.rotation.install()
        await a.rotation.use(new)
        back = Node("c", RING, tmp_path)

        async with back.running(a.address):
            await until(lambda: back.keyring.ring == a.keyring.ring)
            await until(lambda: all(node.sees_alive() == {"a", "b", "c"} for node in (a, b, back)))

            assert load_ring(back.key_file).primary.id == new


async def test_a_node_whose_key_was_removed_stays_out_and_says_what_to_do(tmp_path: Path) -> None:
    async with some_nodes(tmp_path, KeyRing((LATE,), 3), "a", "b") as (a, b):
        away = Node("c", RING, tmp_path)

        async with away.running(a.address):
            await until(lambda: away.network.foreign_peer() is not None)

            assert "copy the key file" in str(away.network.foreign_peer())
            assert a.sees_alive() == b.sees_alive() == {"a", "b"}
            with pytest.raises(PeerUnavailable):
                await away.network.call(a.address, FETCH, b"", 3.0)
            assert a.network.counters.inbound.strangers > 0


async def test_connections_that_a_removed_key_vouched_for_are_ended(tmp_path: Path) -> None:
    async with some_nodes(tmp_path, RING, "a", "b") as (a, b):
        new, _ = await a.rotation.install()
        await a.rotation.use(new)
        intruder = Node("i", RING, tmp_path)
        async with intruder.network:
            state = await intruder.network.call(a.address, STATE, b"", 3.0)
            assert unpack_state(state)[1][0] == new
            assert intruder.network.counters.connected == 1

            await b.rotation.remove(OLD.id, force=True)

            await until(lambda: intruder.network.counters.connected == 0)
            with pytest.raises(PeerUnavailable):
                await intruder.network.call(a.address, STATE, b"", 3.0)


async def test_no_key_is_used_that_a_live_node_lacks_nor_removed_while_one_seals_with_it(tmp_path: Path) -> None:
    async with some_nodes(tmp_path, RING, "a", "b") as (a, b):
        await a.keyring.take(a.keyring.ring.with_key(LATE))

        with pytest.raises(RingRefused, match="b has not got this key"):
            await a.rotation.use(LATE.id)
        await a.keyring.take(a.keyring.ring.with_primary(LATE.id))
        with pytest.raises(RingRefused, match="b still seals with this key"):
            await a.rotation.remove(OLD.id, force=True)

        assert b.keyring.ring == RING


async def test_a_key_is_not_removed_while_a_node_is_away_unless_that_is_known(tmp_path: Path) -> None:
    async with some_nodes(tmp_path, RING, "a", "b") as (a, b):
        new, _ = await a.rotation.install()
        await a.rotation.use(new)
        b.membership.leave()
        await until(lambda: a.sees_alive() == {"a"})

        with pytest.raises(RingRefused, match=r"b is away.*--force"):
            await a.rotation.remove(OLD.id, force=False)
        found = await a.rotation.remove(OLD.id, force=True)

        assert [(each.name, each.away) for each in found] == [("a", False), ("b", True)]
        assert a.keyring.ring.ids == (new,)


async def test_an_earlier_ring_and_what_is_no_ring_are_refused_by_every_node(tmp_path: Path) -> None:
    later = KeyRing((OLD, LATE), 5)
    async with some_nodes(tmp_path, later, "a", "b") as (a, b):
        for body, code in ((KeyRing((FOREIGN,), 4).pack(), "RingRefused"), (b"\xc1", "RingMalformed")):
            with pytest.raises(RemoteError) as raised:
                await a.network.call(b.id, TAKE, body, 3.0)
            assert raised.value.code == code

        await a.network.call(b.id, TAKE, later.pack(), 3.0)
        assert b.keyring.ring == later


async def test_a_node_that_cant_keep_a_ring_does_not_use_it_and_is_named(tmp_path: Path) -> None:
    async with some_nodes(tmp_path, RING, "a", "b") as (a, b):
        b.key_file.unlink()
        b.key_file.mkdir()

        _, found = await a.rotation.install()

        assert [each.problem == "" for each in found] == [True, False]
        assert f"{b.key_file}: can't be replaced" in found[1].problem
        assert b.keyring.ring == RING


@pytest.mark.parametrize("packed", [b"", b"\xc1", b"\x90", b"\x92\x01\x90", b"\x92\xa1x\x91\xa1y", b"\x92\x01\x91\x02"])
def test_a_state_from_elsewhere_is_a_state_or_refused(packed: bytes) -> None:
    with pytest.raises(RingMalformed):
        unpack_state(packed)
