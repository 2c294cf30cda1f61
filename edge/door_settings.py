"""Where the local doors listen, and what a caller may take of a device: as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ..sdk.core.errors import FormatError
from ..sdk.core.refusal import nearest

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class DoorSettings:
    """The doors.

    Attributes:
        port: of local HTTP; 0: a free one; None: no HTTP.
        host: an address of this machine.
        allow_remote: `host` may be one that others reach. There are no keys at these doors.
        names: host names besides localhost that callers may use; addresses are always taken.
        unix: the path of a Unix socket, for this user alone (mode 0600); None: none.
        max_body_bytes: larger bodies are refused (413).
        max_head_bytes: larger heads are refused (431).
        max_connections: at once; beyond it the one that rests longest is closed, else the new one is refused (503).
        max_predictions: at once; beyond it callers wait `wait_s`, then they are refused (429).
        head_s, body_s, write_s: how long a head, a body, an answer may take on the line.
        rest_s: how long a connection may rest between two requests.
    """

    port: int | None = 3001
    host: str = "127.0.0.1"
    allow_remote: bool = False
    names: tuple[str, ...] = ()
    unix: str | None = None
    max_body_bytes: int = 8 << 20
    max_head_bytes: int = 8 << 10
    max_connections: int = 16
    max_predictions: int = 2
    wait_s: float = 0.25
    head_s: float = 5.0
    body_s: float = 30.0
    write_s: float = 10.0
    rest_s: float = 60.0

    def __post_init__(self) -> None:
        """Raises FormatError."""
        if self.port is None and self.unix is None:
            raise FormatError("The doors listen nowhere", expected="a port, or the path of a Unix socket")
        if self.port is not None and not 0 <= self.port < 1 << 16:
            raise FormatError("The port is none", got=self.port, expected="0 to 65535")
        if not self.allow_remote and not is_local(self.host):
            raise FormatError("The doors would listen where others reach them, and ask nobody for a key", got=self.host,
                              expected="127.0.0.1", fix="allow_remote = true, where the network is yours.")  # fmt: skip
        for name in ("max_body_bytes", "max_head_bytes", "max_connections", "max_predictions", "head_s", "body_s", "write_s", "rest_s"):
            if not getattr(self, name) > 0:
                raise FormatError(f"{name} is not more than 0", got=getattr(self, name))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DoorSettings:
        """Parse; with `unix` and no `port` there is no HTTP.

        Raises FormatError, also for an unknown key: a bound with a typing error would bound nothing.
        """
        known = {item.name: item.type for item in fields(cls)}
        for key, value in data.items():
            if key not in known:
                raise FormatError("The doors have no such setting", got=key, expected=", ".join(known), fix=nearest(key, known))
            if not _fits(value, known[key]):
                raise FormatError(f"The setting {key!r} has the wrong type", got=type(value).__name__, expected=known[key])
        given: dict[str, Any] = {**({"port": None} if "unix" in data else {}), **data, "names": tuple(data.get("names", ()))}
        return cls(**given)

    def socket_path(self) -> Path | None:
        """Of the Unix socket."""
        return None if self.unix is None else Path(self.unix)


def is_local(host: str) -> bool:
    """Whether an address is one that only this machine reaches."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def host_fits(said: str, names: frozenset[str]) -> bool:
    """Whether a Host header names this machine: an address, localhost, or one of `names`.

    A page of somebody else whose name was made to point here (DNS rebinding) still says its own name.

    >>> [host_fits(said, frozenset({"cam-7"})) for said in ("127.0.0.1:3001", "[::1]", "cam-7:80", "evil.example")]
    [True, True, True, False]
    """
    bare = said[1:].partition("]")[0] if said.startswith("[") else said.rpartition(":")[0] if ":" in said else said
    name = bare.lower().rstrip(".")
    if name in LOCAL or name in names:
        return True
    try:
        return bool(ip_address(name))
    except ValueError:
        return False


def _fits(value: Any, said: Any) -> bool:
    """Whether a value of a TOML file is of the type that a field declares."""
    kinds: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,), "int | None": (int,),
                                          "str | None": (str,)}  # fmt: skip
    if said in kinds:
        return isinstance(value, kinds[said]) and (said == "bool" or not isinstance(value, bool))
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)  # type: ignore[misc]
