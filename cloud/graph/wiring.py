"""What a graph says against what its packages are: names, types and shapes of everything that goes from one to another.

Nothing is loaded here. Every fault is a FormatError that names the line of the file.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from ...sdk.core.errors import FormatError
from ...sdk.core.signature import TensorSpec
from . import references
from .fitting import ROWS, Part, RequestField, alike, check_link, constant_fits, joined, request_field, seen, text
from .merging import ROW
from .references import REQUEST, Comparison, Reference, Source

Place: TypeAlias = Callable[..., str]
class Wiring:
    """The links of a graph. Raises FormatError for the first that does not fit.

    Args:
        parts: by step, in the order of the file.
        answer: output -> sources, as text.
        place: names the line of a setting.

    Attributes:
        feeds: step -> field of its package -> where it comes from.
        fields: what callers send.
        outputs: what callers receive.
    """

    def __init__(self, parts: Mapping[str, Part], answer: Mapping[str, str], place: Place) -> None:
        self._parts, self._place = parts, place
        self._numbers = {name: number for number, name in enumerate(parts)}
        self.feeds = {name: self._feeds(name, part) for name, part in parts.items()}
        self.fields = self._request_fields()
        for name, part in parts.items():
            self._check_step(name, part)
        self.outputs = tuple(self._output(name, references.sources(said)) for name, said in answer.items())
        for said in answer.values():
            self._require(references.sources(said))

    def spec(self, reference: Reference, where: str) -> TensorSpec:
        """The tensor behind a reference, as it is seen there. Raises FormatError."""
        if reference.step == REQUEST:
            return self._request_spec(reference, where)
        part = self._parts.get(reference.step)
        if part is None:
            raise FormatError(f"{where}: there is no step {reference.step!r}", expected=", ".join(self._parts),
                              fix=_close(reference.step, self._parts))  # fmt: skip
        outputs = {spec.name: spec for spec in part.signature.outputs}
        if reference.name not in outputs:
            raise FormatError(f"{where}: the step {reference.step!r} has no output {reference.name!r}", expected=", ".join(outputs),
                              fix=_close(reference.name, outputs))  # fmt: skip
        return seen(outputs[reference.name], reference, where)

    def row_number(self, by: str, where: str) -> None:
        """Refuse what `top_k` cannot go by: not one number per row."""
        for source in references.sources(by):
            if not isinstance(source, Reference) or source.step == REQUEST:
                raise FormatError(f"{where}: top_k goes by outputs of steps", got=by)
            spec = self.spec(source, where)
            if spec.batch_axis is None or len(spec.shape) != 1 or spec.categories is not None or spec.dtype in ("string", "bool"):
                raise FormatError(f"{where}: top_k needs one number per row", got=f"{source}: {text(spec)}",
                                  fix="Take one element with [i], or max(...), min(...), mean(...).")  # fmt: skip

    def _feeds(self, name: str, part: Part) -> dict[str, Reference]:
        inputs, state = part.settings.inputs, {pair.input for pair in part.signature.state}
        for field in inputs:
            if field not in part.fields:
                where = self._place("step", self._numbers[name], "inputs")
                raise FormatError(f"{where}: the package of {name!r} has no field {field!r}", expected=", ".join(part.fields),
                                  fix=_close(field, part.fields))  # fmt: skip
        named = {field: references.reference(inputs[field]) for field in part.fields if field in inputs}
        return {field: named.get(field) or Reference(REQUEST, field) for field in part.fields if field in named or field not in state}

    def _request_fields(self) -> dict[str, RequestField]:
        found: dict[str, RequestField] = {}
        for name, part in self._parts.items():
            where = self._place("step", self._numbers[name], "inputs")
            for field, source in self.feeds[name].items():
                if source.step == REQUEST:
                    made = request_field(part, field, source.name)
                    found[source.name] = joined(found.get(source.name), made, f"{where}: the field {source.name!r} of the request")
        return found

    def _check_step(self, name: str, part: Part) -> None:
        number, step = self._numbers[name], part.settings
        where = self._place("step", number, "inputs")
        for field, source in self.feeds[name].items():
            if source.step != REQUEST:
                check_link(part, field, self.spec(source, where), f"{where}: {name}.{field} cannot take {source}")
            elif source.index is not None or source.over is not None:
                raise FormatError(f"{where}: a field of the request is taken whole", got=str(source))
        if step.when is not None:
            where = self._place("step", number, "when")
            for group in references.condition(step.when).any_of:
                for comparison in group:
                    self._check_comparison(comparison, where)
        if step.top_k is not None:
            self.row_number(step.top_k.by, self._place("step", number, "top_k"))

    def _check_comparison(self, comparison: Comparison, where: str) -> None:
        left, right = comparison.left, comparison.right
        if left.step == REQUEST:
            raise FormatError(f"{where}: a condition is about outputs of steps", got=str(left))
        spec = self.spec(left, where)
        if len(spec.shape) > (0 if spec.batch_axis is None else 1):
            raise FormatError(f"{where}: a condition needs one value per row", got=f"{left}: {text(spec)}",
                              fix="Take one element with [i], or max(...), min(...), mean(...).")  # fmt: skip
        if not constant_fits(spec, right):
            raise FormatError(f"{where}: {left} is never compared with this", got=repr(right), expected=text(spec))

    def _request_spec(self, reference: Reference, where: str) -> TensorSpec:
        field = self.fields.get(reference.name)
        if field is None and reference.name == ROW:
            return TensorSpec(ROW, "i64", (ROWS,))
        if field is None:
            raise FormatError(f"{where}: no step takes {reference.name!r} from the request", expected=", ".join(self.fields))
        if field.wire.type == "image" or reference.index is not None or reference.over is not None:
            raise FormatError(f"{where}: this cannot be given back", got=str(reference))
        if field.spec is not None:
            return replace(field.spec, kind=None)
        return TensorSpec(reference.name, "f64" if field.wire.type == "number" else "string", (ROWS,), missing=True)

    def _require(self, sources: tuple[Source, ...]) -> None:
        """A field that the answer gives back is one that every request has."""
        for source in sources:
            if isinstance(source, Reference) and source.step == REQUEST and (field := self.fields.get(source.name)) is not None:
                spec = None if field.spec is None else replace(field.spec, required=True)
                self.fields[source.name] = replace(field, spec=spec, required=True)

    def _output(self, name: str, sources: tuple[Source, ...]) -> TensorSpec:
        """One output of the answer, as its sources agree."""
        where = self._place("answer", name)
        specs = [self.spec(source, where) for source in sources if isinstance(source, Reference)]
        if not specs:
            raise FormatError(f"{where}: an output comes from a step or the request", got=repr(sources[0]))
        for spec, source in zip(specs[1:], sources[1:], strict=False):
            if not alike(spec, specs[0]):
                raise FormatError(f"{where}: {source} is not like {sources[0]}", got=text(spec), expected=text(specs[0]))
        if not isinstance(last := sources[-1], Reference) and (len(specs[0].shape) > 1 or not constant_fits(specs[0], last)):
            raise FormatError(f"{where}: this constant is no value of {sources[0]}", got=repr(last), expected=text(specs[0]))
        shape = tuple(ROWS if axis == specs[0].batch_axis else size for axis, size in enumerate(specs[0].shape))
        missing = any(spec.missing for spec in specs)
        return replace(specs[0], name=name, shape=shape, missing=missing, redact=any(spec.redact for spec in specs))


def _close(name: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else None
