"""Mutual TLS from the cluster key: handshakes in memory, no socket."""

import ssl

import pytest

from swarmlet.model.ids import NodeId
from swarmlet.security.keyring import KeyRing
from swarmlet.security.keys import ClusterKey
from swarmlet.security.peer_tls import PeerCredentials, peer_node_id, vouching_key

ALICE, BOB = NodeId("a" * 16), NodeId("b" * 16)
KEY, FOREIGN_KEY = ClusterKey(b"k" * 32), ClusterKey(b"f" * 32)


def credentials(*keys: ClusterKey, who: NodeId = ALICE) -> PeerCredentials:
    return PeerCredentials(KeyRing(keys), who)


class Handshake:
    """Two TLS ends whose bytes are carried by hand."""

    def __init__(self, client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client_context.wrap_bio(to_client, to_server)
        self.server = server_context.wrap_bio(to_server, to_client, server_side=True)

    def run(self) -> None:
        pending = [self.client, self.server]
        for _ in range(10):
            for end in list(pending):
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                pending.remove(end)
            if not pending:
                return
        raise AssertionError("the handshake did not end")


def test_two_members_learn_each_others_node_ids() -> None:
    alice, bob = credentials(KEY, who=ALICE), credentials(KEY, who=BOB)

    handshake = Handshake(alice.client_context, bob.server_context)
    handshake.run()

    assert peer_node_id(handshake.client) == BOB
    assert peer_node_id(handshake.server) == ALICE
    assert handshake.client.version() == "TLSv1.3"


def test_a_client_with_a_foreign_key_and_a_server_with_one_are_refused() -> None:
    member, foreigner = credentials(KEY, who=ALICE), credentials(FOREIGN_KEY, who=BOB)

    with pytest.raises(ssl.SSLCertVerificationError):
        Handshake(member.client_context, foreigner.server_context).run()

    foreigner.client_context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ssl.SSLCertVerificationError):
        Handshake(foreigner.client_context, member.server_context).run()


def test_a_client_without_a_certificate_is_refused() -> None:
    anonymous = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anonymous.check_hostname = False
    anonymous.verify_mode = ssl.CERT_NONE

    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        Handshake(anonymous, credentials(KEY).server_context).run()


def test_tls_below_1_3_is_refused() -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises(ssl.SSLError):
        Handshake(old, credentials(KEY).server_context).run()


OLD, NEW = KEY, ClusterKey(b"n" * 32)


@pytest.mark.parametrize(
    ("one", "other"),
    [((OLD,), (OLD, NEW)), ((OLD, NEW), (NEW, OLD)), ((NEW, OLD), (NEW,)), ((OLD,), (NEW, OLD))],
    ids=["being installed", "being used", "being removed", "away while it was used"],
)
def test_no_step_of_a_rotation_parts_two_members(one: tuple[ClusterKey, ...], other: tuple[ClusterKey, ...]) -> None:
    alice, bob = credentials(*one, who=ALICE), credentials(*other, who=BOB)

    for client, server in ((alice, bob), (bob, alice)):
        handshake = Handshake(client.client_context, server.server_context)
        handshake.run()

        assert peer_node_id(handshake.client) == server.node_id
        assert vouching_key(handshake.client) == (one if server is alice else other)[0].id


def test_a_removed_key_opens_no_connection_in_either_direction() -> None:
    member, away = credentials(NEW, who=ALICE), credentials(OLD, who=BOB)

    for client, server in ((member, away), (away, member)):
        with pytest.raises(ssl.SSLCertVerificationError):
            Handshake(client.client_context, server.server_context).run()


def test_renewed_credentials_hold_for_the_next_connection() -> None:
    alice, bob = credentials(OLD, who=ALICE), credentials(NEW, who=BOB)

    alice.renew(KeyRing((NEW,)))

    handshake = Handshake(alice.client_context, bob.server_context)
    handshake.run()
    assert vouching_key(handshake.server) == NEW.id
