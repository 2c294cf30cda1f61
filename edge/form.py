"""multipart/form-data bodies to parts, for forms of the size a device takes: the body is there whole, so it is split, not streamed."""

from __future__ import annotations

import re

from ..sdk.core.errors import FormatError
from ..sdk.core.wire import Part

MAX_PARTS, MAX_HEAD_BYTES = 1000, 4096
_boundary = re.compile(r";\s*boundary=(?:\"([^\"\r\n]{1,70})\"|([^\s\";,]{1,70}))", re.IGNORECASE)
_name = re.compile(r";\s*name=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\";]+))", re.IGNORECASE)
_filename = re.compile(r";\s*filename=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\";]+))", re.IGNORECASE)


def parts(body: bytes | bytearray, content_type: str) -> list[Part]:
    """The parts of a form. Raises FormatError for a body that is not one."""
    found = _boundary.search(content_type)
    if found is None:
        raise FormatError("The content type of the form names no boundary")
    mark = b"\r\n--" + (found[1] or found[2]).encode("latin-1", "replace")
    pieces = (b"\r\n" + bytes(body)).split(mark, MAX_PARTS + 2)
    if len(pieces) > MAX_PARTS + 2:
        raise FormatError("The form has too many parts", expected=f"at most {MAX_PARTS}")
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise FormatError("The form is cut short: its closing boundary is missing")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    if not piece.startswith(b"\r\n"):
        raise FormatError("The form cannot be parsed: a boundary does not end its line")
    head, ended, data = piece[2:].partition(b"\r\n\r\n")
    if not ended:
        raise FormatError("The form cannot be parsed: a part has no end of its headers")
    if len(head) > MAX_HEAD_BYTES:
        raise FormatError("A part of the form has headers that are too long")
    lines = head.decode("utf-8", "replace").split("\r\n")
    said = next((line for line in lines if line.lower().startswith("content-disposition:")), "")
    name, filename = _option(_name, said), _option(_filename, said)
    if not name:
        raise FormatError("A part of the form has no name")
    return Part(name, filename, data)


def _option(pattern: re.Pattern[str], said: str) -> str | None:
    """The value of an option, quoted or not."""
    found = pattern.search(said)
    if found is None:
        return None
    return found[2] if found[1] is None else re.sub(r"\\(.)", r"\1", found[1])
