"""Every error that Portside raises on purpose, as one short tree.

A message says what happened, what was got, what was expected, and what to do next. Foreign errors are wrapped where
they enter (`raise EngineError(...) from error`), so that callers only ever need to know this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class PortsideError(Exception):
    """Base of all errors raised on purpose.

    Args:
        what: one sentence, what happened.
        got: what was found, if that helps.
        expected: what would have been right.
        fix: what to do next: a command, an argument, a line to change.
    """

    def __init__(self, what: str, *, got: object = None, expected: object = None, fix: str | None = None) -> None:
        self.what, self.got, self.expected, self.fix = what, got, expected, fix
        super().__init__(self._message())

    def _message(self) -> str:
        parts = [self.what.rstrip(".")]
        if self.got is not None:
            parts.append(f"got {self.got}")
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        text = "; ".join(parts) + "."
        return f"{text} {self.fix}" if self.fix else text

    def to_dict(self) -> dict[str, object]:
        """The error as JSON-ready data, for `--json` and HTTP bodies."""
        fields = {"error": type(self).__name__, "what": self.what, "got": self.got, "expected": self.expected}
        return {key: _plain(value) for key, value in {**fields, "fix": self.fix}.items() if value is not None}


class InputError(PortsideError):
    """Data that does not fit the signature or the codec: names the field, and the row where there is one."""

    def __init__(self, what: str, *, field: str | None = None, row: int | None = None, **rest: object) -> None:
        self.field, self.row = field, row
        super().__init__(what, **rest)  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, object]:
        """As the base, with `field` and `row`."""
        where = {key: value for key, value in {"field": self.field, "row": self.row}.items() if value is not None}
        return {**super().to_dict(), **where}


class FormatError(PortsideError):
    """A manifest, deployment, recipe or file that is malformed, of an unknown version, or names what is not there."""


class IntegrityError(PortsideError):
    """Bytes that are not the bytes that were promised: a digest, a size or a signature does not match."""


class TrustError(PortsideError):
    """Code from a package would have to run and the caller has not said `trust=True`, or a policy forbids it."""


@dataclass(frozen=True)
class SourceLine:
    """The user's line at fault: file, 1-based line number, its text."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class TraceError(PortsideError):
    """A function or model cannot become a program, or traces silently wrong; `where` is the user's line."""

    def __init__(self, what: str, *, where: SourceLine | None = None, **rest: object) -> None:
        self.where = where
        super().__init__(f"{what.rstrip('.')} at {where}" if where else what, **rest)  # type: ignore[arg-type]


class ContractError(PortsideError):
    """A program or artifact does not behave like its source; `report` is the verification that says where."""

    def __init__(self, what: str, *, report: object = None, **rest: object) -> None:
        self.report = report
        super().__init__(what, **rest)  # type: ignore[arg-type]


class StoreError(PortsideError):
    """A store or registry cannot do what was asked: unknown reference, conflict, no space left, half a layout."""


class MissingExtraError(PortsideError):
    """An optional dependency is not installed; the message names the pip command, or `fix` where pip does not bring it."""

    def __init__(self, what: str, *, extra: str, fix: str | None = None, **rest: object) -> None:
        self.extra = extra
        super().__init__(what, fix=fix or f"Run: pip install 'portside[{extra}]'", **rest)  # type: ignore[arg-type]


class UnsupportedError(PortsideError):
    """A target cannot hold or run this package; names the operator, dtype or stage and the way out."""


class EngineError(PortsideError):
    """A session failed, was cancelled, ran out of time or lost its worker; `reason` is one of `REASONS`."""

    REASONS = ("failed", "cancelled", "deadline", "crashed", "closed", "busy", "non-finite")

    def __init__(self, what: str, *, reason: str = "failed", **rest: object) -> None:
        self.reason = reason
        super().__init__(what, **rest)  # type: ignore[arg-type]


def _plain(value: object) -> object:
    """`value` as JSON holds it everywhere: mappings and sequences stay, everything else unknown becomes text."""
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return str(value)  # JSON has no limit, but those who write and read it have
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}  # type: ignore[misc]
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]  # type: ignore[misc]
    return str(value)
