"""`program.pt2` as a file: a zip of two members, the same bytes for the same program, read with every size bounded."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from ...sdk.core.errors import FormatError

PROGRAM, TENSORS = "program.json", "tensors.safetensors"
MOST_TEXT = 16 << 20
"""Bytes of the program's text, unpacked; an operator takes about one KiB."""
MOST_DIGITS = 20
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_METHOD = {PROGRAM: ZIP_DEFLATED, TENSORS: ZIP_STORED}


@dataclass(frozen=True)
class Archive:
    """What a `program.pt2` holds.

    Attributes:
        program: JSON data, which nobody has looked at yet.
        tensors: a safetensors file of the tensors that the package's weights do not have; empty where there are none.
    """

    program: Mapping[str, Any]
    tensors: bytes = b""

    def to_bytes(self) -> bytes:
        """As a file."""
        text = json.dumps(self.program, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
        held = BytesIO()
        with ZipFile(held, "w") as file:
            for name, data in ((PROGRAM, text), (TENSORS, self.tensors)):
                file.writestr(_member(name), data, compresslevel=6)
        return held.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Archive:
        """Of a file. Raises FormatError for anything that `to_bytes` cannot have written."""
        try:
            with ZipFile(BytesIO(data)) as file:
                members = _audited(file.infolist(), len(data))
                text, tensors = (_unpacked(file, members[name]) for name in (PROGRAM, TENSORS))
        except (BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, OSError, zlib.error) as error:
            raise FormatError(f"The traced program is not a zip that can be read: {error}") from error
        return cls(_parsed(text), tensors)


def _member(name: str) -> ZipInfo:
    """Without a time, and the same on every system."""
    info = ZipInfo(name, _LONG_AGO)
    info.compress_type, info.create_system, info.external_attr = _METHOD[name], 3, 0o644 << 16
    return info


def _audited(infos: Sequence[ZipInfo], length: int) -> dict[str, ZipInfo]:
    """The members by name, when they are these two, once each, and not larger than they can be."""
    names = [info.filename for info in infos]
    if sorted(names) != sorted(_METHOD):
        raise FormatError("The traced program has other members than it should", got=ascii(names)[:200], expected=", ".join(_METHOD))
    for info in infos:
        limit = MOST_TEXT if info.filename == PROGRAM else length
        if info.file_size > limit or info.compress_type != _METHOD[info.filename] or info.flag_bits & 1:
            raise FormatError(f"The member {info.filename!r} of the traced program is not what was written",
                              got=f"{info.file_size} bytes, method {info.compress_type}", expected=f"at most {limit} bytes")  # fmt: skip
    return {info.filename: info for info in infos}


def _unpacked(file: ZipFile, info: ZipInfo) -> bytes:
    """Never more than the member says it has; the zip's own checksum is compared at its end."""
    with file.open(info) as member:
        data = member.read(info.file_size)
        if len(data) != info.file_size or member.read(1):
            raise FormatError(f"The member {info.filename!r} of the traced program has another size than it says")
    return data


def _parsed(text: bytes) -> Mapping[str, Any]:
    try:
        data: Any = json.loads(text, parse_int=_integer, parse_constant=_refused, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"The traced program's text is not JSON: {str(error)[:200]}") from error
    if not isinstance(data, dict):
        raise FormatError("The traced program's text is not a JSON object", got=type(data).__name__)
    return data  # type: ignore[no-any-return]


def _integer(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text)


def _refused(text: str) -> Any:
    raise ValueError(f"the constant {text}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key that is there twice")
    return found
