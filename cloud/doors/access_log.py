"""One line of JSON per request. Never a body, a query, a header's value or a secret."""

from __future__ import annotations

import random
import time
from ipaddress import ip_address
from typing import Any, Literal, TypeAlias

from .asgi import LEFT, WHO, Reply, Scope
from .json_lines import JsonLines

Access: TypeAlias = Literal["off", "errors", "sampled", "all"]
PROBES = ("/readyz", "/v2/health/ready")
"""Asked while the models are loaded: 503 is the answer then, not an error."""


class AccessLog:
    """Which requests are written down, and what of them.

    Args:
        lines: where the lines go.
        access: "errors": those that were refused or failed; "sampled": also this share of the others; "all".
        sample: the share.
    """

    def __init__(self, lines: JsonLines, access: Access, sample: float = 0.01) -> None:
        self._put = lines.put
        self._share = {"off": 0.0, "errors": 0.0, "sampled": sample, "all": 1.0}[access]

    def note(self, scope: Scope, number: bytes, reply: Reply | None, seconds: float) -> None:
        """The end of a request; `reply` is None where the client left."""
        status = LEFT if reply is None else reply.status
        failed = status >= 400 and not (status == 503 and scope["path"] in PROBES)
        if failed or self._share >= 1.0 or (self._share and random.random() < self._share):  # noqa: S311  no secret
            self._put((time.time(), scope, number, status, reply, seconds), _line)


def _line(entry: tuple[float, Scope, bytes, int, Reply | None, float]) -> dict[str, Any]:
    """What is written; called by the thread that writes."""
    moment, scope, number, status, reply, seconds = entry
    line = {
        "time": moment, "level": "error" if status >= 500 else "warning" if status >= 400 else "info", "event": "request",
        "id": number.decode("latin-1"), "method": scope["method"][:20], "path": scope["path"][:200], "status": status,
        "ms": round(seconds * 1e3, 3), "bytes": 0 if reply is None else len(reply.body),
        "client": _client(scope), "key": scope.get(WHO, ""), "error": "" if reply is None else reply.error,
    }  # fmt: skip
    if reply is not None and reply.answer is not None:
        receipt = reply.answer.receipt
        line |= {"model": receipt.model, "reason": receipt.reason, "record": receipt.record}
    return {name: value for name, value in line.items() if value != ""}


def _client(scope: Scope) -> str:
    """The caller's address: the one that a proxy on this machine saw last, where there is one."""
    peer = scope.get("client")
    address = peer[0] if peer else ""
    if address not in ("127.0.0.1", "::1", ""):
        return address
    said = next((value for name, value in reversed(scope.get("headers", ())) if name == b"x-forwarded-for"), b"")
    try:
        return str(ip_address(said.rsplit(b",", 1)[-1].strip().decode("latin-1")))
    except ValueError:
        return address
