"""Mutual TLS between agents, from the cluster key alone: no certificate is ever copied to a host.

Rules:
- The certificate authority's private key is derived from the cluster key, so every member holds the same
  authority and nobody else has it. It signs one leaf certificate per agent start, in memory.
- A leaf names its node in a URI (`swarmlet:node:ID`). What a peer is, is what its leaf says; never its address.
- TLS 1.3 only; both sides must show a leaf of this authority, and no other authority is trusted.
- Validity is wide (hosts with a wrong clock must still be able to join): whoever could steal a leaf's key from
  an agent's memory could as well take the cluster key, so an expiry date would protect nothing.
"""

import datetime
import os
import ssl
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.security.keys import ClusterKey

NODE_URI_PREFIX = "swarmlet:node:"
VALID_FROM = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
VALID_UNTIL = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)
AUTHORITY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swarmlet cluster")])


class UnknownPeer(SwarmletError):
    """The other side of a connection shows no certificate that names a node."""


@dataclass(frozen=True, slots=True)
class PeerCredentials:
    """What one agent shows its peers and demands of them."""

    node_id: NodeId
    server_context: ssl.SSLContext
    client_context: ssl.SSLContext

    @classmethod
    def create(cls, key: ClusterKey, node_id: NodeId) -> "PeerCredentials":
        authority_key = Ed25519PrivateKey.from_private_bytes(key.derive("peer-ca"))
        authority = _authority_certificate(authority_key)
        leaf_key = Ed25519PrivateKey.generate()
        leaf = _leaf_certificate(node_id, leaf_key, authority_key)
        chain = _pem(leaf) + leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        trusted = _pem(authority).decode()
        return cls(
            node_id=node_id,
            server_context=_context(ssl.PROTOCOL_TLS_SERVER, chain, trusted),
            client_context=_context(ssl.PROTOCOL_TLS_CLIENT, chain, trusted),
        )


def peer_node_id(connection: ssl.SSLObject | ssl.SSLSocket) -> NodeId:
    """Which node is at the other end, by its verified certificate. Raises `UnknownPeer`."""
    certificate = connection.getpeercert() or {}
    names = certificate.get("subjectAltName", ())
    for kind, value in names if isinstance(names, tuple) else ():
        if kind == "URI" and str(value).startswith(NODE_URI_PREFIX):
            return NodeId(str(value).removeprefix(NODE_URI_PREFIX))
    raise UnknownPeer("the peer's certificate names no node")


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


def _authority_certificate(authority_key: Ed25519PrivateKey) -> x509.Certificate:
    """Equal on every node: nothing in it is random, and Ed25519 signatures are deterministic."""
    return (
        x509.CertificateBuilder()
        .subject_name(AUTHORITY)
        .issuer_name(AUTHORITY)
        .public_key(authority_key.public_key())
        .serial_number(1)
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, None)
    )


def _leaf_certificate(
    node_id: NodeId, leaf_key: Ed25519PrivateKey, authority_key: Ed25519PrivateKey
) -> x509.Certificate:
    both_sides = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    authority_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node_id)]))
        .issuer_name(AUTHORITY)
        .public_key(leaf_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_UNTIL)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both_sides), critical=False)
        .add_extension(x509.SubjectAlternativeName([_node_uri(node_id)]), critical=False)
        .add_extension(authority_id, critical=False)
        .sign(authority_key, None)
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
