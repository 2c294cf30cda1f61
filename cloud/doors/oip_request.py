"""An inference request of the Open Inference Protocol v2, read: from a body to the wire fields of the champion's codec.

The body is JSON, or JSON followed by the raw bytes of tensors; then the header `Inference-Header-Content-Length` says
where the JSON ends. What a field may hold is judged behind this file by the same codec and door as every other request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson

from ...sdk.core.codec.step import WireField
from ...sdk.core.errors import InputError
from ...sdk.core.refusal import nearest, refusal, shown
from .oip_tensors import DATATYPES, Buffer, read_binary, read_json, read_shape
from .wire import Wire, check_entity, check_event_ms

STATEFUL = ("sequence_id", "sequence_start", "sequence_end")
"""Parameters that would ask the server to remember: refused, because an answer without the memory would be a wrong one."""
_UNREAD = ("shared_memory_region", "classification")


@dataclass(frozen=True)
class Inference:
    """A request, read.

    Attributes:
        wire: wire field -> batch.
        wanted: (output, whether as binary data), in the order asked for.
        id: to be sent back.
        entity, event_ms: see Record.
    """

    wire: Mapping[str, Any]
    wanted: tuple[tuple[str, bool], ...]
    id: str | None
    entity: str | None
    event_ms: int | None


class RequestReader:
    """Reads requests for one model; what does not change between them is worked out once."""

    def __init__(self, wire: Wire) -> None:
        self._fields = wire.fields
        ranks = {spec.name: len(spec.shape) for spec in wire.signature.inputs}
        self._columns = {name for name, held in wire.fields.items() if held.type == "text" or ranks.get(name, 1) == 1}
        self._outputs = tuple(spec.name for spec in wire.signature.outputs)
        self._all = {binary: tuple((name, binary) for name in self._outputs) for binary in (False, True)}

    def read(self, body: Buffer, header_length: int | None = None) -> Inference:
        """Parse a body whose first `header_length` bytes are JSON; None: all of it.

        Raises:
            orjson.JSONDecodeError: not JSON.
            InputError: not a request, or a tensor that is not what its own description says; names the field.
        """
        if header_length is not None and header_length > len(body):
            raise InputError("The JSON is said to be longer than the body", field="inference-header-content-length",
                             got=header_length, expected=f"at most {len(body)}")  # fmt: skip
        said = _object(orjson.loads(body if header_length is None else memoryview(body)[:header_length]), "body")
        parameters = _object(said.get("parameters") or {}, "parameters")
        for name in STATEFUL:
            if parameters.get(name):
                raise InputError("Sequences are not kept by this server", field=f"parameters.{name}", got=shown(parameters[name]),
                                 fix="Send the state output of the last answer as the state input of this request.")  # fmt: skip
        wire = self._tensors(said.get("inputs"), body, len(body) if header_length is None else header_length)
        entity, event_ms = check_entity(parameters.get("entity")), check_event_ms(parameters.get("event_ms"))
        return Inference(wire, self._wanted(said.get("outputs"), parameters), _identity(said.get("id")), entity, event_ms)

    def _tensors(self, inputs: Any, body: Buffer, offset: int) -> dict[str, Any]:
        if not isinstance(inputs, list):
            raise InputError("inputs is a list of tensors", field="inputs", got=shown(inputs))
        wire: dict[str, Any] = {}
        for held in cast("list[Any]", inputs):
            name, datatype, shape = self._described(held, wire)
            size = _binary_size(name, held)
            if size is None:
                values = read_json(name, datatype, shape, held.get("data"))
            else:
                if offset + size > len(body):
                    raise refusal("its binary data is cut short", name, got=f"{len(body) - offset} bytes", expected=f"{size} bytes")
                values = read_binary(name, datatype, shape, body, offset, size)
                offset += size
            wire[name] = _texts(self._fields[name], values) if datatype == "BYTES" and size is not None else values
        if offset != len(body):
            raise InputError("There are bytes after the last tensor", field="body", got=f"{len(body) - offset} bytes more",
                             expected="binary data whose sizes are told by binary_data_size, in the order of inputs")  # fmt: skip
        return wire

    def _described(self, held: Any, before: Mapping[str, Any]) -> tuple[str, str, tuple[int, ...]]:
        """(name, datatype, shape) of one input. Raises InputError."""
        name = _object(held, "inputs").get("name")
        if not isinstance(name, str):
            raise InputError("An input has no name", field="inputs", got=shown(name))
        if name not in self._fields:
            raise refusal("there is no such input", name[:60], expected=", ".join(self._fields), fix=nearest(name[:60], self._fields))
        if name in before:
            raise refusal("this input is given twice", name)
        datatype, shape = held.get("datatype"), read_shape(name, held.get("shape"))
        if not isinstance(datatype, str) or datatype not in DATATYPES:
            raise refusal("this is not a datatype that is taken", name, got=shown(datatype), expected=", ".join(DATATYPES))
        if name in self._columns and len(shape) == 2 and shape[1] == 1:
            shape = shape[:1]  # a column of a table, as clients write one: (rows, 1)
        return name, datatype, shape

    def _wanted(self, outputs: Any, parameters: Mapping[str, Any]) -> tuple[tuple[str, bool], ...]:
        """Which outputs, and which of them as binary data. Raises InputError."""
        binary = parameters.get("binary_data_output") is True
        if not outputs:
            return self._all[binary]
        if not isinstance(outputs, list):
            raise InputError("outputs is a list of objects with a name", field="outputs", got=shown(outputs))
        return tuple(self._output(held, binary) for held in cast("list[Any]", outputs))

    def _output(self, held: Any, binary: bool) -> tuple[str, bool]:
        name, options = _object(held, "outputs").get("name"), _parameters(held, "outputs")
        if name not in self._outputs:
            raise InputError("There is no such output", field="outputs", got=shown(name), expected=", ".join(self._outputs))
        return name, options.get("binary_data", binary) is True


def _binary_size(name: str, held: Mapping[str, Any]) -> int | None:
    """The bytes of an input behind the JSON; None: its data is in the JSON. Raises InputError."""
    options = held.get("parameters")
    if options is None:
        return None
    options = _parameters(held, name)
    size = options.get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise refusal("binary_data_size is a number of bytes", name, got=shown(size))
    if size is not None and "data" in held:
        raise refusal("this input has both data and binary_data_size", name)
    return size


def _texts(wire: WireField, values: Any) -> Any:
    """Elements of BYTES as the codec takes them: files stay bytes, everything else is UTF-8 text."""
    if wire.type == "image":
        return values
    if isinstance(values, list):
        return [_texts(wire, value) for value in cast("list[Any]", values)]
    try:
        return values.decode()
    except UnicodeDecodeError as error:
        raise refusal("an element is not UTF-8 text", wire.name, got=shown(values)) from error


def _parameters(held: Mapping[str, Any], field: str) -> dict[str, Any]:
    """The parameters of a tensor. Raises InputError for one whose meaning this server cannot honour."""
    options = _object(held.get("parameters") or {}, field)
    for name in _UNREAD:
        if options.get(name):
            raise InputError(f"{name} is not supported", field=field, got=shown(options[name]), expected="data, or binary_data_size")
    return options


def _object(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError("This is not a JSON object", field=field, got=shown(value),
                         expected='{"inputs": [{"name", "shape", "datatype", "data"}]}')  # fmt: skip
    return cast("dict[str, Any]", value)


def _identity(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise InputError("id is text", field="id", got=shown(value))

