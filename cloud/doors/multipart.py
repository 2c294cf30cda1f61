"""multipart/form-data bodies to parts. The parser is python-multipart; limits and errors are ours."""

from __future__ import annotations

from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ...sdk.core.errors import FormatError
from ...sdk.core.wire import Part

MAX_PARTS = 10_000
_MAX_HEADER = 8192


class _Collector:
    """Callbacks of the parser."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.ended = False
        self._reset()

    def _reset(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value, self._data = bytearray(), bytearray(), bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._bound(self._field)

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._bound(self._value)

    def on_header_end(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def on_part_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name")
        if not name:
            raise FormatError("A part of the form has no name")
        filename = options.get(b"filename")
        shown = None if filename is None else filename.decode("utf-8", "replace")
        self.parts.append(Part(name.decode("utf-8", "replace"), shown, bytes(self._data)))
        if len(self.parts) > MAX_PARTS:
            raise FormatError("The form has too many parts", expected=f"at most {MAX_PARTS}")
        self._reset()

    def on_end(self) -> None:
        self.ended = True

    def _bound(self, held: bytearray) -> None:
        if len(held) > _MAX_HEADER or len(self._headers) > 16:
            raise FormatError("A part of the form has headers that are too long")


def parse(body: bytes, content_type: bytes) -> list[Part]:
    """The parts of a form. Raises FormatError for a body that is not one."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise FormatError("The content type of the form names no boundary")
    collector = _Collector()
    names = ("on_header_field", "on_header_value", "on_header_end", "on_part_data", "on_part_end", "on_end")
    callbacks: Any = {name: getattr(collector, name) for name in names}
    try:
        parser = MultipartParser(boundary, callbacks)
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise FormatError(f"The form cannot be parsed: {error}") from error
    if not collector.ended:
        raise FormatError("The form is cut short: its closing boundary is missing")
    return collector.parts
