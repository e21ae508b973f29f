"""Mutual TLS from the cluster key: handshakes in memory, no socket."""

import ssl

import pytest

from swarmlet.model.ids import NodeId
from swarmlet.security.keys import ClusterKey
from swarmlet.security.peer_tls import PeerCredentials, peer_node_id

ALICE, BOB = NodeId("a" * 16), NodeId("b" * 16)
KEY, FOREIGN_KEY = ClusterKey(b"k" * 32), ClusterKey(b"f" * 32)


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
    alice, bob = PeerCredentials.create(KEY, ALICE), PeerCredentials.create(KEY, BOB)

    handshake = Handshake(alice.client_context, bob.server_context)
    handshake.run()

    assert peer_node_id(handshake.client) == BOB
    assert peer_node_id(handshake.server) == ALICE
    assert handshake.client.version() == "TLSv1.3"


def test_a_client_with_a_foreign_key_and_a_server_with_one_are_refused() -> None:
    member, foreigner = PeerCredentials.create(KEY, ALICE), PeerCredentials.create(FOREIGN_KEY, BOB)

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
        Handshake(anonymous, PeerCredentials.create(KEY, ALICE).server_context).run()


def test_tls_below_1_3_is_refused() -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises(ssl.SSLError):
        Handshake(old, PeerCredentials.create(KEY, ALICE).server_context).run()
