"""What may go wrong between agents."""

from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address

Target = NodeId | Address


class CannotListen(SwarmletError):
    """The address in the configuration can't be bound; `reason` is the system's own words."""

    def __init__(self, listen: Address, reason: str) -> None:
        super().__init__(f"cannot listen on {listen}: {reason}")
        self.listen = listen
        self.reason = reason


class PeerUnavailable(SwarmletError):
    """The peer could not be reached, or the connection to it was lost. What was asked may or may not have happened."""

    def __init__(self, target: Target, reason: str) -> None:
        super().__init__(f"peer {target} is unavailable: {reason}")
        self.target = target
        self.reason = reason


class PeerRefused(PeerUnavailable):
    """Its host answers, but nobody listens on its port: the peer's process is gone, or not up yet."""


class ForeignPeer(PeerUnavailable):
    """Somebody answers there, but with a certificate that none of this node's cluster keys vouches for."""

    def __init__(self, target: Target, address: Address) -> None:
        super().__init__(
            target,
            f"{address} is not of this cluster: its certificate has another key. Or one of the two was away while the "
            "cluster's key was changed: then copy the key file of a node in the cluster to that one and restart it",
        )
        self.address = address


class PeerTimeout(SwarmletError):
    """The peer did not answer in time. What was asked may or may not have happened."""

    def __init__(self, target: Target, what: str, timeout_s: float) -> None:
        super().__init__(f"peer {target} did not answer {what} within {timeout_s:g} s")
        self.target = target
        self.what = what
        self.timeout_s = timeout_s


class RemoteError(SwarmletError):
    """The peer's handler refused. `code` is the class name of the error there."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message or code)
        self.code = code
        self.message = message


class FrameTooLarge(SwarmletError):
    """More than one frame may carry; it was not sent."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"a message of {size_bytes} bytes is over the limit of {limit_bytes}")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class ProtocolViolation(SwarmletError):
    """A peer sent what this version of the protocol does not allow. Its connection is closed."""
