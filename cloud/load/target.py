"""Where a load goes: the address, and the requests as bytes, made once before the first is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import httpx

from ...sdk.core.errors import EngineError, InputError
from .bodies import KEY, Body, described, unreachable

ROOTS = ("", "/")


@dataclass(frozen=True)
class Target:
    """One address. `requests`: whole HTTP/1.1 requests, sent in turn; `made`: what the body is, for people."""

    url: str
    host: str
    port: int
    tls: bool
    requests: tuple[bytes, ...]
    made: str


def target(url: str, bodies: Sequence[Body] = (), headers: Mapping[str, str] | None = None) -> Target:
    """What to send where.

    Args:
        url: of the server, or of one route of it.
        bodies: what to post; none: made from what the server says of itself (OpenAPI, or Open Inference Protocol metadata).
        headers: more of them, e.g. an API key.

    Raises:
        InputError: no such URL, or no body can be made.
        EngineError: the server cannot be reached, or refuses the first request.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError("This is not the address of a server", field="url", got=url, expected="such as http://127.0.0.1:3000")
    more, path = dict(headers or {}), parts.path
    said = "given"
    if not bodies or path in ROOTS:
        path, made, said = described(f"{parts.scheme}://{parts.netloc}", "" if path in ROOTS else path, more, given=bool(bodies))
        bodies = bodies or [made]
    path += f"?{parts.query}" if parts.query else ""
    address = f"{parts.scheme}://{parts.netloc}{path}"
    requests = tuple(request(parts, path, body, more) for body in bodies)
    _probe(address, bodies[0], more, said)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Target(address, parts.hostname, port, parts.scheme == "https", requests, said)


def request(parts: SplitResult, path: str, body: Body, headers: Mapping[str, str]) -> bytes:
    """One POST as bytes. Raises InputError for a header that would break out of its line."""
    lines = {"host": parts.netloc.rpartition("@")[2], "content-type": body.content_type, "content-length": str(len(body.data)), **headers}
    if bad := [name for name, value in lines.items() if any(char in f"{name}{value}" for char in "\r\n\0")]:
        raise InputError("A header holds a line break", field="header", got=repr(bad[0]))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1", "replace") + body.data


def bodies_from(file: Path, content_type: str | None = None) -> list[Body]:
    """A body from a file, or one per line of a .jsonl file. Raises InputError."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"The body cannot be read: {error.strerror or error}", field="body", got=str(file)) from error
    json = file.suffix in (".json", ".jsonl")
    kind = content_type or ("application/json" if json else "application/octet-stream")
    found = [Body(line, kind) for line in data.splitlines() if line.strip()] if file.suffix == ".jsonl" else [Body(data, kind)]
    if not found or not found[0].data:
        raise InputError("The body is empty", field="body", got=str(file))
    return found


def _probe(url: str, body: Body, headers: Mapping[str, str], said: str) -> None:
    """One request ahead: a load of refused requests would measure refusals."""
    try:
        answer = httpx.post(url, content=body.data, headers={"content-type": body.content_type, **headers}, timeout=30, trust_env=False)
    except httpx.HTTPError as error:
        raise unreachable(url, error) from error
    if not answer.is_success and answer.status_code not in (429, 503):
        fix = "Give a body that it takes with --body FILE." if said != "given" else "Send it with curl to see what it wants."
        raise EngineError("The server refuses the request that the load would consist of", got=f"{answer.status_code} {answer.text[:300]}",
                          expected="200", fix=KEY if answer.status_code in (401, 403) else fix)  # fmt: skip
