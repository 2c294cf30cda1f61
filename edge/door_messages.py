"""Requests and replies of the local doors as values: a head parsed strictly, a reply as bytes. Knows no sockets.

HTTP/1.1 as small clients speak it: origin-form targets, bodies of a stated length. What is left out is refused, not guessed:
chunked bodies (411), folded headers, two lengths, line ends that are not CRLF (400).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import NamedTuple

from ..sdk.core.errors import InputError, PortsideError
from .wire_json import dumps

MAX_HEADERS = 64
TEXT, JSON = "text/plain; charset=utf-8", "application/json"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_line = re.compile(rb"([A-Z]{1,16}) (/[\x21-\x7e]*) HTTP/1\.([01])")
_header = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_length = re.compile(r"[0-9]{1,15}")
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Refused(Exception):
    """A request that is refused.

    Attributes:
        status: of HTTP.
        error: what the body says.
        headers: more of them.
        close: what follows on the connection cannot be trusted.
    """

    def __init__(self, status: int, error: PortsideError, headers: Iterable[tuple[str, str]] = (), close: bool = False) -> None:
        self.status, self.error, self.headers, self.close = status, error, tuple(headers), close
        super().__init__(str(error))


class Head(NamedTuple):
    """Of a request.

    Attributes:
        path: without the query.
        headers: names in lower case.
        length: bytes of the body.
        stays: the connection is to stay open.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    length: int
    stays: bool


class Request(NamedTuple):
    """A head with its whole body."""

    head: Head
    body: bytes | bytearray = b""


class Reply(NamedTuple):
    """Status, body, content type, more headers; `close`: the connection ends after it."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False

    def to_bytes(self, stays: bool = True, bodiless: bool = False) -> bytes:
        """As it goes out. stays: the caller wants to keep the connection; bodiless: the answer to HEAD."""
        closing = () if stays and not self.close else (("connection", "close"),)
        told = (("content-type", self.content_type), ("content-length", str(len(self.body))), *_SECURITY, *self.headers, *closing)
        lines = "".join(f"{name}: {_one_line(value)}\r\n" for name, value in told)
        opening = f"HTTP/1.1 {self.status} {_REASONS.get(self.status, '')}\r\n"
        return f"{opening}{lines}\r\n".encode("latin-1", "replace") + (b"" if bodiless else self.body)


_SECURITY = (("x-content-type-options", "nosniff"), ("cache-control", "no-store"))
"""On every answer: it is what its type says, and nobody keeps it."""


def refusal_reply(refused: Refused) -> Reply:
    """The refusal in the one format that there is."""
    return Reply(refused.status, dumps(refused.error.to_dict()), headers=refused.headers, close=refused.close)


def head_of(raw: bytes) -> Head:
    """Parse a head, without the empty line that ends it. Raises Refused, which closes."""
    lines = raw.split(b"\r\n")
    opening = _line.fullmatch(lines[0])
    if opening is None:
        raise _bad("The request line is not one of HTTP/1.1", lines[0][:60].decode("latin-1"), "METHOD /path HTTP/1.1")
    if len(lines) - 1 > MAX_HEADERS:
        raise Refused(431, InputError("There are too many headers", field="head", expected=f"at most {MAX_HEADERS}"), close=True)
    headers = _headers(lines[1:])
    if opening[3] == b"1" and "host" not in headers:
        raise _bad("The request has no host", None, "a Host header")
    stays = opening[3] == b"1" and "close" not in headers.get("connection", "").lower()
    path = opening[2].split(b"?", 1)[0].decode("latin-1")
    return Head(opening[1].decode(), path, headers, _body_length(headers), stays)


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers = dict[str, str]()
    for line in lines:
        found = _header.fullmatch(line)
        if found is None:
            raise _bad("A header cannot be parsed", line[:60].decode("latin-1"), "name: value")
        name = found[1].decode().lower()
        if name in headers and name in _ONCE:
            raise _bad("A header that stands once stands twice", name, None)
        headers[name] = found[2].decode("latin-1")
    return headers


_ONCE = frozenset({"host", "content-length", "transfer-encoding", "content-type", "origin", "expect"})


def _body_length(headers: Mapping[str, str]) -> int:
    """How long the body is. Raises Refused: a body whose end two readers may see differently is not read at all."""
    if "transfer-encoding" in headers:
        error = InputError("Bodies come here with their length", field="transfer-encoding", got=headers["transfer-encoding"][:40],
                           expected="a Content-Length header")  # fmt: skip
        raise Refused(411, error, close=True)
    said = headers.get("content-length", "0")
    if _length.fullmatch(said) is None:
        raise _bad("The length of the body is not one", said[:40], "digits")
    return int(said)


def _bad(what: str, got: str | None, expected: str | None) -> Refused:
    return Refused(400, InputError(what, field="head", got=got, expected=expected), close=True)


def _one_line(value: str) -> str:
    """A header's value that cannot split the answer in two."""
    return value.replace("\r", " ").replace("\n", " ")
