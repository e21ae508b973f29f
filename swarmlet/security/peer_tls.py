"""Mutual TLS between agents, from the cluster's keys alone: no certificate is ever copied to a host.

Rules:
- Each key of the ring derives a certificate authority, so every member holds the same authorities and nobody else has
  them. An agent shows a leaf of the primary key's authority, signed in memory, and accepts leaves of all of them.
- The primary's authority is also shown as signed by the ring's second one, which is the primary before it: a peer
  that was away while the primary changed still recognises this agent (and is given the ring then). One such
  signature only: of several OpenSSL follows the first and never tries the others.
- A leaf names its node in a URI (`swarmlet:node:ID`). What a peer is, is what its leaf says; never its address.
- TLS 1.3 only; both sides must show a leaf of these authorities, and no other authority is trusted.
- When the ring changes, new connections use it at once. Those that were made before stay, until the key that
  vouched for their peer is removed.
- Validity is wide (hosts with a wrong clock must still be able to join): whoever could steal a leaf's key from
  an agent's memory could as well take the cluster key, so an expiry date would protect nothing.

Decision records 0002 and 0037.
"""

import datetime
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.security.keyring import KeyRing
from swarmlet.security.keys import ClusterKey, KeyId

NODE_URI_PREFIX = "swarmlet:node:"
VALID_FROM = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
VALID_UNTIL = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)
AUTHORITY_NAME_PREFIX = "swarmlet cluster key "


class UnknownPeer(SwarmletError):
    """The other side of a connection shows no certificate that names a node."""


class PeerCredentials:
    """What one agent shows its peers and demands of them. Read the contexts for each connection: they are renewed."""

    def __init__(self, ring: KeyRing, node_id: NodeId) -> None:
        self.node_id = node_id
        self.renew(ring)

    def renew(self, ring: KeyRing) -> None:
        """Show and accept what this ring says, from the next connection on. Takes a few milliseconds."""
        primary, *others = authorities = [_Authority(key) for key in ring.keys]
        leaf_key = Ed25519PrivateKey.generate()
        chain = b"".join(
            [
                _pem(_leaf_certificate(self.node_id, leaf_key, primary)),
                *(_pem(primary.signed_by(other)) for other in others[:1]),
                leaf_key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                ),
            ]
        )
        trusted = b"".join(_pem(authority.signed_by(authority)) for authority in authorities).decode()
        self.server_context = _context(ssl.PROTOCOL_TLS_SERVER, chain, trusted)
        self.client_context = _context(ssl.PROTOCOL_TLS_CLIENT, chain, trusted)


class _Authority:
    """What a cluster key signs certificates with; equal on every node."""

    def __init__(self, key: ClusterKey) -> None:
        self.private_key = Ed25519PrivateKey.from_private_bytes(key.derive("peer-ca"))
        self.public_key = self.private_key.public_key()
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, AUTHORITY_NAME_PREFIX + key.id)])

    def signed_by(self, issuer: "_Authority") -> x509.Certificate:
        """Equal on every node: nothing in it is random, and Ed25519 signatures are deterministic."""
        return (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer.name)
            .public_key(self.public_key)
            .serial_number(1)
            .not_valid_before(VALID_FROM)
            .not_valid_after(VALID_UNTIL)
            .add_extension(x509.BasicConstraints(ca=True, path_length=int(issuer is self)), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key), critical=False)
            .sign(issuer.private_key, None)
        )


def peer_node_id(connection: ssl.SSLObject | ssl.SSLSocket) -> NodeId:
    """Which node is at the other end, by its verified certificate. Raises `UnknownPeer`."""
    certificate = connection.getpeercert() or {}
    names = certificate.get("subjectAltName", ())
    for kind, value in names if isinstance(names, tuple) else ():
        if kind == "URI" and str(value).startswith(NODE_URI_PREFIX):
            return NodeId(str(value).removeprefix(NODE_URI_PREFIX))
    raise UnknownPeer("the peer's certificate names no node")


def vouching_key(connection: ssl.SSLObject | ssl.SSLSocket) -> KeyId | None:
    """Whose authority signed the certificate of the other end; None where it shows none of ours."""
    certificate = connection.getpeercert(binary_form=True)
    if certificate is None:
        return None
    for attribute in x509.load_der_x509_certificate(certificate).issuer.get_attributes_for_oid(NameOID.COMMON_NAME):
        if str(attribute.value).startswith(AUTHORITY_NAME_PREFIX):
            return KeyId(str(attribute.value).removeprefix(AUTHORITY_NAME_PREFIX))
    return None


def _context(protocol: int, chain_pem: bytes, trusted_pem: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # Node ids are compared by whoever dials; host names and addresses play no part.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=trusted_pem)
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        # Connections are never resumed, so tickets would be two useless messages per connection.
        context.num_tickets = 0
    _load_chain(context, chain_pem)
    return context


def _load_chain(context: ssl.SSLContext, chain_pem: bytes) -> None:
    """OpenSSL's binding reads chains from files only; an anonymous one in memory keeps the key off the disk."""
    descriptor = os.memfd_create("leaf")
    try:
        os.write(descriptor, chain_pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _leaf_certificate(node_id: NodeId, leaf_key: Ed25519PrivateKey, authority: _Authority) -> x509.Certificate:
    both_sides = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    authority_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node_id)]))
        .issuer_name(authority.name)
        .public_key(leaf_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_UNTIL)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both_sides), critical=False)
        .add_extension(x509.SubjectAlternativeName([_node_uri(node_id)]), critical=False)
        .add_extension(authority_id, critical=False)
        .sign(authority.private_key, None)
    )


def _node_uri(node_id: NodeId) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(NODE_URI_PREFIX + node_id)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
