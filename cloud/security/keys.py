"""API keys as values: made, hashed, matched. No files, no clocks.

A key is `psk_<id>_<secret>`: the id finds it, the secret is 256 random bits. Only a hash is kept. A slow password hash
(bcrypt, argon2) protects secrets that people choose, because those can be guessed; 256 random bits cannot, however fast
the hash, and a slow one would cost each request milliseconds. So the hash is one BLAKE2b, compared in constant time.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from ...sdk.core.errors import FormatError, InputError

PREFIX = "psk"
SCOPES = ("predict", "metrics", "monitor", "label", "review", "admin")
"""What a key may do: ask models; read /metrics; read the dashboard and records; send labels; review; all that the desk offers."""
EVERY = "*"


@dataclass(frozen=True)
class Rate:
    """How much a key may ask. Rates per second over the whole server; `burst_s`: seconds' worth that may come at once."""

    requests_per_s: float | None = None
    rows_per_s: float | None = None
    burst_s: float = 1.0


@dataclass(frozen=True)
class Key:
    """What is kept of a key.

    Attributes:
        id: public, 12 characters; what `revoke` takes.
        name: who has it; stands in logs.
        hash: of the whole key as it is sent.
        scopes: of SCOPES.
        deployments: names it may ask, or EVERY.
        created, expires: Unix seconds; None: never.
        rate: limits of its own; None: the server's.
    """

    id: str
    name: str
    hash: str
    scopes: tuple[str, ...] = ("predict",)
    deployments: tuple[str, ...] = (EVERY,)
    created: float = 0.0
    expires: float | None = None
    rate: Rate | None = None

    def allows(self, deployment: str) -> bool:
        """Whether it may ask this deployment."""
        return EVERY in self.deployments or deployment in self.deployments

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        data = {"id": self.id, "name": self.name, "hash": self.hash, "scopes": list(self.scopes), "deployments": list(self.deployments),
                "created": self.created, "expires": self.expires}  # fmt: skip
        return {**data, "rate": vars(self.rate)} if self.rate else data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Key:
        """The opposite. Raises FormatError."""
        try:
            rate = Rate(**data["rate"]) if data.get("rate") else None
            key = cls(str(data["id"]), str(data["name"]), str(data["hash"]), tuple(data["scopes"]), tuple(data["deployments"]),
                      float(data["created"]), None if data["expires"] is None else float(data["expires"]), rate)  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"A key in the file cannot be read: {error!r}") from error
        check(key.name, key.scopes, key.deployments)
        return key


def new(name: str, scopes: Iterable[str] = ("predict",), deployments: Iterable[str] = (EVERY,), *, now: float,
        expires: float | None = None, rate: Rate | None = None) -> tuple[Key, str]:  # fmt: skip
    """A fresh key and its secret text, which nothing keeps. Raises InputError for a scope that there is not."""
    check(name, tuple(scopes), tuple(deployments))
    number = secrets.token_hex(6)
    text = f"{PREFIX}_{number}_{secrets.token_urlsafe(32)}"
    return Key(number, name, hashed(text), tuple(scopes), tuple(deployments), now, expires, rate), text


def hashed(text: str) -> str:
    """What is kept of a key's text."""
    return blake2b(text.encode("utf-8", "replace"), digest_size=32, person=b"portside.key.1").hexdigest()


def match(keys: Mapping[str, Key], text: str) -> Key | None:
    """The key with this text. `keys`: by id."""
    _, _, rest = text.partition("_")
    key = keys.get(rest[:12])
    return key if key is not None and hmac.compare_digest(key.hash, hashed(text)) else None




def check(name: str, scopes: tuple[str, ...], deployments: tuple[str, ...]) -> None:
    """Raise InputError unless these can be meant."""
    if not name or len(name) > 64 or not name.isprintable():
        raise InputError("The name of a key is 1 to 64 printable characters", field="name", got=repr(name[:70]))
    if not scopes or not set(scopes) <= set(SCOPES):
        raise InputError("There is no such scope", field="scopes", got=", ".join(scopes) or "none", expected=", ".join(SCOPES))
    if not deployments:
        raise InputError("A key is for at least one deployment", field="deployments", expected=f"names, or {EVERY!r}")
