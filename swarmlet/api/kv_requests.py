"""What a request to the key-value API asks for besides its key and value: who asks, and on which condition.

- `Swarmlet-Request: CLIENT:SEQUENCE` makes a retry harmless. A client numbers its writes upward and has one under
  way at a time; a repeated number is answered with what it brought, and an older one is refused.
- `If-Match: REVISION`, `If-None-Match: *` or `?revision=REVISION` (0: none) is the condition (RFC 9110, §13.1).
"""

from collections.abc import Mapping

from aiohttp import web

from swarmlet.api.query import whole_number
from swarmlet.errors import SwarmletError
from swarmlet.model.transaction import RequestId

REQUEST_HEADER = "Swarmlet-Request"
CLIENT_LENGTH_MAX = 100
CLIENT_PREFIX = "kv/"
"""Keeps the clients of this API apart from the agents' own, which the store remembers in the same table."""


class CompareFailed(SwarmletError):
    """The object is not at the revision that the write was meant for. Nothing was changed."""

    def __init__(self, key: str, wanted: int, present: int) -> None:
        meant = f"revision {wanted}" if wanted else "no such object"
        found = f"it is at revision {present}" if present else "it does not exist"
        super().__init__(f"{key}: the write is meant for {meant}, but {found}: read it and try again")
        self.key = key
        self.wanted = wanted
        self.present = present


class Superseded(SwarmletError):
    """A later request of the same client was applied already, so this one's own outcome is not remembered."""

    def __init__(self, request: str) -> None:
        super().__init__(
            f"request {request} is older than the client's last one: number requests upward, one at a time"
        )
        self.request = request


def request_id(headers: Mapping[str, str]) -> RequestId | None:
    """The client's own request id; None where it sends none (a repeated write then is another write)."""
    text = headers.get(REQUEST_HEADER)
    if text is None:
        return None
    client, _, sequence = text.rpartition(":")
    if not (0 < len(client) <= CLIENT_LENGTH_MAX and client.isascii() and client.isprintable()) or " " in client:
        raise web.HTTPBadRequest(
            text=f"{REQUEST_HEADER}: write CLIENT:SEQUENCE; a client is one word of 1 to {CLIENT_LENGTH_MAX} "
            "ASCII letters, digits and signs"
        )
    return RequestId(CLIENT_PREFIX + client, whole_number(sequence, f"{REQUEST_HEADER}: the sequence"))


def wanted_revision(headers: Mapping[str, str], query: Mapping[str, str]) -> int | None:
    """The revision at which the object has to be, 0 for none; None where the write is meant to happen anyhow."""
    given: list[int] = []
    if (text := headers.get("If-Match")) is not None:
        given.append(whole_number(text.strip('"'), "If-Match"))
    if (text := headers.get("If-None-Match")) is not None:
        if text != "*":
            raise web.HTTPBadRequest(text="If-None-Match: write *, for a key that must not exist yet")
        given.append(0)
    if (text := query.get("revision")) is not None:
        given.append(whole_number(text, "revision"))
    if len(given) > 1:
        raise web.HTTPBadRequest(text="give one condition: If-Match, If-None-Match or ?revision=")
    return given[0] if given else None


def page_size(query: Mapping[str, str], size_max: int) -> int:
    text = query.get("limit")
    if text is None:
        return size_max
    return min(max(whole_number(text, "limit"), 1), size_max)
