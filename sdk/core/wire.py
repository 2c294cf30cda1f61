"""Between a parsed request and the codec's wire fields, and between outputs and JSON. Knows no HTTP and no JSON library.

Three forms of a request, each answered in its own form (docs/serving.md), at the doors of the cloud and of a device alike:

    {"inputs": {"x": [[1, 2], [3, 4]]}}      columns: field -> batch
    {"rows": [{"x": [1, 2]}, {"x": [3, 4]}]} rows: one object per row
    {"row": {"x": [1, 2]}}                   one row, as people write it

beside which "entity" (text) and "event_ms" (Unix milliseconds) may stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import numpy as np

from .codec.step import WireField
from .errors import InputError
from .refusal import refusal, shown
from .signature import Array, Signature

Form: TypeAlias = Literal["inputs", "rows", "row"]
FORMS: tuple[Form, ...] = ("inputs", "rows", "row")
BESIDE = ("entity", "event_ms")
MAX_EVENT_MS = 1 << 47


class Part(NamedTuple):
    """One part of a form: field name, file name where it is a file, content."""

    name: str
    filename: str | None
    data: bytes


class Asked(NamedTuple):
    """A request, read: columns by wire field, and how the answer is to be written."""

    wire: Mapping[str, Any]
    form: Form
    entity: str | None = None
    event_ms: int | None = None


class WireForms:
    """The wire of one package: which fields there are, and which of them are split by row.

    Args:
        fields: of the codec, as `Codec.wire_fields` gives them.
        signature: tensors in and out.
        parse: JSON text to values; raises ValueError.
        jsonable: an output as the JSON writer in use takes it.
    """

    def __init__(self, fields: Sequence[WireField], signature: Signature, parse: Callable[[str], Any],
                 jsonable: Callable[[Any], Any]) -> None:  # fmt: skip
        self.signature = signature
        self.fields: dict[str, WireField] = {wire.name: wire for wire in fields}
        axes = {spec.name: spec.batch_axis for spec in signature.inputs}
        self._axis = {name: axes[name] if wire.type == "tensor" else 0 for name, wire in self.fields.items()}
        self._parse, self._jsonable = parse, jsonable

    def read(self, said: Any, bare: bool = False) -> Asked:
        """A JSON body that is parsed; `bare`: the columns themselves, as BentoML's client sends them, or one key "inputs" with them.

        Raises InputError for another form; names the field.
        """
        if not isinstance(said, dict):
            raise InputError("The body is not a JSON object", field="body", got=shown(said), expected='{"inputs": {...}}')
        said = cast("dict[str, Any]", said)
        if bare:
            columns = said["inputs"] if set(said) == {"inputs"} and "inputs" not in self.fields else said
            return Asked(self._columns("inputs", columns), "inputs")
        if len(said) == 1 and type(columns := said.get("inputs")) is dict and columns.keys() <= self.fields.keys():
            return Asked(columns, "inputs")  # what most requests are
        forms: list[Form] = [form for form in FORMS if form in said]
        if len(forms) != 1:
            raise InputError("The body holds exactly one of inputs, rows, row", field="inputs", got=shown(", ".join(forms) or "none"),
                             fix='Send {"inputs": {field: batch}} or {"row": {field: value}}.')  # fmt: skip
        form = forms[0]
        if unknown := sorted(set(said) - {form, *BESIDE}):
            raise InputError("The body holds an unknown key", field=unknown[0][:60], expected=", ".join((form, *BESIDE)))
        return Asked(self._columns(form, said[form]), form, check_entity(said.get("entity")), check_event_ms(said.get("event_ms")))

    def read_parts(self, parts: Sequence[Part]) -> Asked:
        """Form parts: files and text by field. A field given once makes one row; given n times, n rows. Raises InputError."""
        gathered: dict[str, list[Any]] = {}
        for part in parts:
            known = part.name in self.fields or part.name in BESIDE
            gathered.setdefault(part.name, []).append(self._part(part) if known else part.data)
        beside = {name: gathered.pop(name)[0] for name in BESIDE if name in gathered}
        counts = {name: len(values) for name, values in gathered.items()}
        if len(set(counts.values())) > 1:
            raise refusal("the parts of the form have different numbers of rows", min(counts, key=lambda name: counts[name]), got=counts)
        rows = [{name: values[row] for name, values in gathered.items()} for row in range(max(counts.values(), default=0))]
        form: Form = "row" if len(rows) == 1 else "inputs"
        columns = self._columns("row", rows[0]) if len(rows) == 1 else self._columns("rows", rows)
        return Asked(columns, form, check_entity(beside.get("entity")), check_event_ms(beside.get("event_ms")))

    def write(self, outputs: Mapping[str, Array], form: Form) -> Any:
        """Outputs in the form of their request; NaN and infinity become null (JSON has neither)."""
        if form == "inputs":
            return {name: self._jsonable(array) for name, array in outputs.items()}
        axes = {spec.name: spec.batch_axis for spec in self.signature.outputs}
        rows = max((array.shape[cast("int", axes[name])] for name, array in outputs.items() if axes[name] is not None), default=1)
        written = [{name: self._jsonable(_row(array, axes[name], row)) for name, array in outputs.items()} for row in range(rows)]
        return written[0] if form == "row" else written

    def _columns(self, form: Form, said: Any) -> dict[str, Any]:
        """Columns by field, every name known. Raises InputError."""
        rows = said if form == "rows" else [said]
        if not isinstance(rows, list) or not rows:
            raise InputError("rows is a list with at least one object", field="rows", got=shown(rows))
        for place, row in enumerate(cast("list[Any]", rows)):
            number = place if form == "rows" else None
            if not isinstance(row, dict):
                raise InputError(f"{form} does not hold an object of fields", field=form, row=number, got=shown(row))
            self._check_names(cast("dict[str, Any]", row), number)
        if form == "inputs":
            return cast("dict[str, Any]", said)
        listed = cast("list[dict[str, Any]]", rows)
        names = dict.fromkeys(key for row in listed for key in row)
        return {name: self._column(name, [row.get(name, _ABSENT) for row in listed]) for name in names}

    def _check_names(self, row: Mapping[str, Any], place: int | None) -> None:
        for name in row:
            if name not in self.fields:
                raise refusal("there is no such field", name[:60], place, expected=", ".join(self.fields))

    def _column(self, name: str, values: list[Any]) -> Any:
        """One field's values of all rows as a batch, along its batch axis."""
        for row, value in enumerate(values):
            if value is _ABSENT:
                raise refusal("this field is missing in this row, although others have it", name, row)
        axis = self._axis[name]
        if axis == 0:
            return values
        if axis is None:
            if any(value != values[0] for value in values):
                raise refusal("this field is shared by all rows, so it cannot differ between them", name, fix='Use the "inputs" form.')
            return values[0]
        return _stacked(name, values, axis)

    def _part(self, part: Part) -> Any:
        """A part's value: the bytes of a file, text of text fields, JSON (or else text) of the others."""
        wire = self.fields.get(part.name)
        if wire is not None and wire.type == "image" and part.filename is not None:
            return part.data
        try:
            text = part.data.decode()
        except UnicodeDecodeError as error:
            raise refusal("this part is neither an image field nor UTF-8 text", part.name) from error
        if part.name == "entity" or (wire is not None and wire.type in ("text", "category", "image")):
            return text
        try:
            return self._parse(text)
        except ValueError as error:
            raise refusal("this part is not JSON", part.name, got=shown(text)) from error


class _Absent:
    pass


_ABSENT = _Absent()


def _stacked(name: str, values: list[Any], axis: int) -> Array:
    try:
        return np.stack([np.asarray(value) for value in values], axis=axis)
    except ValueError as error:
        raise refusal("the rows have different shapes", name) from error


def _row(array: Array, axis: int | None, row: int) -> Array:
    return array if axis is None else np.take(array, row, axis=axis)


def check_entity(value: Any) -> str | None:
    """`entity` as sent. Raises InputError."""
    if value is None or (isinstance(value, str) and 0 < len(value) <= 256 and "\0" not in value):
        return value
    raise InputError("entity is text of 1 to 256 characters, none of them NUL", field="entity", got=shown(value))


def check_event_ms(value: Any) -> int | None:
    """`event_ms` as sent. Raises InputError."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_EVENT_MS):
        return value
    raise InputError("event_ms is a time in Unix milliseconds", field="event_ms", got=shown(value))
