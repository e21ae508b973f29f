"""A small HTTP client for the API: several addresses tried in turn, TCP or a Unix socket, problems as errors.

What did not reach a peer, or was certainly not done there, goes to the next address. Where that is uncertain (no
answer came, or a leader may have done it) it depends: most requests may be done twice, and also go on to the next. What
must not be done twice is sent by `request_once`, which says then that the outcome is unknown, and what shows it.
"""

import http.client
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ValidationError

from swarmlet.api.schema import REVISION_HEADER, Problem
from swarmlet.cli.addresses import ADDRESS_VARIABLE, NoPeer, connection_to
from swarmlet.errors import SwarmletError

TOKEN_VARIABLE = "SWARMLET_TOKEN"
DEFAULT_ADDRESSES = ("unix:///var/lib/swarmlet/api.sock", "127.0.0.1:8420")
PART_BYTES = 256 * 1024
FOREIGN_TEXT_MAX = 200
"""Characters shown of an error that is no problem document: it may be a whole web page."""
JSON_HEADERS = {"Content-Type": "application/json"}
TIMEOUT_S = 15.0
"""Longer than a peer takes to say that there is no leader."""

ModelT = TypeVar("ModelT", bound=BaseModel)
Query = Mapping[str, str | int | None]
"""None leaves a name out."""


class ApiError(SwarmletError):
    """The peer refused, in its own words."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class OutcomeUnknown(SwarmletError):
    """It may have been done or not, and must not be done twice."""

    def __init__(self, address: str, why: str, shown_by: str) -> None:
        super().__init__(f"{address}: {why}; it may have been done or not: see '{shown_by}' before you do it again")
        self.shown_by = shown_by


class BrokenOff(SwarmletError):
    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"the answer of {address} broke off ({why}): try again")
        self.address = address


class NotAPeer(SwarmletError):
    def __init__(self, what: str, address: str = "") -> None:
        where = f" at {address}" if address else ""
        super().__init__(
            f"what answers{where} is no peer of this version ({what}): set {ADDRESS_VARIABLE} to a peer's address"
        )


class BadToken(SwarmletError):
    def __init__(self) -> None:
        super().__init__(
            f"{TOKEN_VARIABLE} holds what can be no token: set it to the one word that is in the peer's api.token_file"
        )


class NotText(SwarmletError):
    def __init__(self) -> None:
        super().__init__("what is to be sent is no text: write names and values in UTF-8")


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    revision: int
    """The store revision that the peer answered from, 0 where it named none."""
    address: str

    def parse(self, kind: type[ModelT]) -> ModelT:
        return parsed(kind, self.body, self.address)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    query: Query = field(default_factory=dict)
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    shown_by: str | None = None
    """The command that shows what became of it, where it must not be done twice."""

    @property
    def target(self) -> str:
        wanted = {name: value for name, value in self.query.items() if value is not None}
        return f"{self.path}?{urlencode(wanted, errors='surrogateescape')}" if wanted else self.path


def path_to(*parts: str) -> str:
    """Of the parts of a path under /v1, as they are: whatever is in a name, it stays one part."""
    return "/v1/" + "/".join(quote(part, safe="", errors="surrogateescape") for part in parts)


def parsed(kind: type[ModelT], text: str | bytes, address: str = "") -> ModelT:
    """Raises `NotAPeer`."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise NotAPeer(f"{place}: {fault['msg']}" if place else fault["msg"], address) from error


class Client:
    def __init__(self, addresses: tuple[str, ...], token: str | None) -> None:
        """Raises `NoPeer` and `BadToken` for what can be none."""
        for address in addresses:
            connection_to(address, None)
        if token is not None and (not (token.isascii() and token.isprintable()) or " " in token):
            raise BadToken
        self._addresses = addresses
        self._token = token

    @classmethod
    def from_environment(cls) -> "Client":
        given = tuple(part.strip() for part in os.environ.get(ADDRESS_VARIABLE, "").split(",") if part.strip())
        # What this user may not even look for is not there; `Path.exists` would raise.
        usable = tuple(
            at
            for at in DEFAULT_ADDRESSES
            if not at.startswith("unix:") or os.access(at.removeprefix("unix://"), os.F_OK)
        )
        return cls(given or usable, os.environ.get(TOKEN_VARIABLE))

    def get(self, path: str, kind: type[ModelT], **query: str | int | None) -> ModelT:
        return self.request("GET", path, query=query).parse(kind)

    def request(
        self,
        method: str,
        path: str,
        body: BaseModel | None = None,
        query: Query | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """For what may be done twice. `content` is sent as it is, in place of a `body` in JSON."""
        sent = headers or {}
        if body is not None:
            content, sent = _json(body), {**JSON_HEADERS, **sent}
        return self._whole(_Request(method, path, query or {}, content, sent))

    def request_once(
        self, method: str, path: str, body: BaseModel | None = None, query: Query | None = None, *, shown_by: str
    ) -> Answer:
        """For what must not be done twice. Raises `OutcomeUnknown`, which names the command that shows the outcome."""
        content, sent = (None, {}) if body is None else (_json(body), JSON_HEADERS)
        return self._whole(_Request(method, path, query or {}, content, sent, shown_by))

    def lines(self, path: str, content_type: str, timeout_s: float | None, **query: str | int | None) -> Iterator[str]:
        """A streamed answer, line by line, without the line ends. None waits for ever between two lines."""
        with self._open(_Request("GET", path, query), timeout_s) as (address, response):
            if response.headers.get_content_type() != content_type:
                raise NotAPeer(f"it sends {response.headers.get_content_type()}", address)
            begun = b""
            for part in _parts(address, response):
                *whole, begun = (begun + part).split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace")
            if begun:
                yield begun.decode(errors="replace")

    def parts(self, path: str, **query: str | int | None) -> Iterator[bytes]:
        """A large answer, as it arrives."""
        with self._open(_Request("GET", path, query), TIMEOUT_S) as (address, response):
            yield from _parts(address, response)

    def _whole(self, request: _Request) -> Answer:
        try:
            with self._open(request, TIMEOUT_S) as (address, response):
                revision = response.headers.get(REVISION_HEADER, "0")
                if not (revision.isascii() and revision.isdigit()):
                    raise NotAPeer(f"{REVISION_HEADER}: {revision}", address)
                return Answer(b"".join(_parts(address, response)), int(revision), address)
        except BrokenOff as error:
            if request.shown_by is None:
                raise
            raise OutcomeUnknown(error.address, "its answer broke off", request.shown_by) from error

    @contextmanager
    def _open(self, request: _Request, timeout_s: float | None) -> Iterator[tuple[str, http.client.HTTPResponse]]:
        """The answer, and whose it is. Raises `ApiError`, `NoPeer`, `OutcomeUnknown`."""
        failures: list[str] = []
        unavailable: ApiError | None = None
        for address in self._addresses:
            connection = connection_to(address, timeout_s)
            try:
                try:
                    connection.connect()
                except OSError as error:
                    failures.append(f"{address}: {_why(error)}")
                    continue
                try:
                    response = self._send(connection, request)
                except (OSError, http.client.HTTPException) as error:
                    if request.shown_by is not None:
                        raise OutcomeUnknown(address, _why(error), request.shown_by) from error
                    failures.append(f"{address}: {_why(error)}")
                    continue
                if response.status < 400:
                    yield address, response
                    return
                problem = _problem(address, response)
                if response.status != 503:
                    raise ApiError(problem)
                if request.shown_by is not None and not problem.nothing_done:
                    raise OutcomeUnknown(address, problem.detail, request.shown_by)
                # Another peer may know a leader that this one does not.
                unavailable = ApiError(problem)
            finally:
                connection.close()
        raise unavailable or NoPeer(failures)

    def _send(self, connection: http.client.HTTPConnection, request: _Request) -> http.client.HTTPResponse:
        sent = {"Accept": "application/json", **request.headers}
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        connection.request(request.method, request.target, body=request.content, headers=sent)
        return connection.getresponse()


def _json(body: BaseModel) -> bytes:
    """Raises `NotText`."""
    try:
        return body.model_dump_json().encode()
    except ValueError as error:
        raise NotText from error


def _parts(address: str, response: http.client.HTTPResponse) -> Iterator[bytes]:
    """A body to its end. Raises `BrokenOff` where that does not come: what was there so far is not all."""
    try:
        while part := response.read1(PART_BYTES):
            yield part
    except (OSError, http.client.HTTPException) as error:
        raise BrokenOff(address, _why(error)) from error
    if response.length:
        raise BrokenOff(address, f"{response.length} bytes are missing")


def _problem(address: str, response: http.client.HTTPResponse) -> Problem:
    """The peer's own, or one made of whatever came in its place. Raises `BrokenOff`."""
    text = b"".join(_parts(address, response)).decode(errors="replace")
    try:
        return Problem.model_validate_json(text)
    except ValidationError:
        told = " ".join(text.split())[:FOREIGN_TEXT_MAX] or response.reason
        whose = f"status {response.status} from {address}, not in a peer's words"
        detail = f"{told} ({whose}: if it is none, set {ADDRESS_VARIABLE} to a peer's address)"
        return Problem(title=response.reason, status=response.status, detail=detail)


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
