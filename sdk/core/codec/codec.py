"""The codec of a package: ordered steps from wire fields to typed tensors, and category names on the way out.

    >>> codec = Codec.of({"colour": Categories(["red", "blue"])})
    >>> codec.encode({"colour": ["blue", "green"], "size": np.ones((2, 3), np.float32)})["colour"].tolist()
    [1, -2]

The steps are data (`codec.steps`, in the manifest) and files (`codec.files`, below `codec/` in the package). Typed
inputs that no step produces pass through untouched, for the door to check.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from ..errors import EngineError, FormatError, InputError, MissingExtraError
from ..refusal import refusal
from ..signature import UNKNOWN_CODE, Array, Signature, TensorSpec
from .step import Step, Typed, WireField

KINDS: dict[str, tuple[str, str]] = {
    "image": (".image", "Image"), "categories": (".category", "Categories"), "number": (".number", "Number"),
    "wordpiece": (".wordpiece", "WordPiece"), "bpe": (".bpe", "BPE"),
}  # fmt: skip
"""Kind -> (module, class). Modules are imported when a package uses the kind: images need Pillow, nothing else does."""


@dataclass(frozen=True)
class _Bound:
    field: str
    produces: tuple[str, ...]
    step: Step
    files: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        data: dict[str, Any] = {"kind": self.step.kind, "field": self.field, "produces": list(self.produces)}
        data["options"] = self.step.options()
        return {**data, "files": dict(self.files)} if self.files else data


@dataclass(frozen=True)
class Codec:
    """An immutable list of steps; `Codec.of` builds one, `Codec.from_steps` reads one.

    Attributes:
        files: path below the package -> content: vocabularies and the like.
    """

    bound: tuple[_Bound, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes], repr=False)
    _read: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        made = [name for bound in self.bound for name in bound.produces]
        if len(set(made)) != len(made):
            raise FormatError("Two codec steps make the same typed input", got=sorted({n for n in made if made.count(n) > 1})[0])
        object.__setattr__(self, "_read", frozenset(bound.field for bound in self.bound))

    @classmethod
    def of(cls, fields: Mapping[str, Step]) -> Codec:
        """Steps by wire field, as a user writes them."""
        bound: list[_Bound] = []
        files: dict[str, bytes] = {}
        for place, (name, step) in enumerate(fields.items()):
            stem = f"codec/{place:02d}-{re.sub(r'[^A-Za-z0-9_-]', '_', name)[:40]}"
            paths = {role: f"{stem}.{role}.{extension}" for role, (extension, _) in step.files().items()}
            files.update({paths[role]: content for role, (_, content) in step.files().items()})
            bound.append(_Bound(name, step.names(name), step, paths))
        return cls(tuple(bound), files)

    @classmethod
    def from_steps(cls, steps: Iterable[Mapping[str, Any]], read: Callable[[str], bytes]) -> Codec:
        """Parse steps from a manifest; `read` returns the content of a path of the package.

        Raises FormatError for a malformed step or an unknown kind or option, MissingExtraError where a kind needs one.
        """
        bound: list[_Bound] = []
        files: dict[str, bytes] = {}
        for data in steps:
            paths = _paths(data)
            contents = {role: read(path) for role, path in paths.items()}
            files.update({paths[role]: content for role, content in contents.items()})
            bound.append(_parsed(data, paths, contents))
        return cls(tuple(bound), files)

    @property
    def steps(self) -> tuple[dict[str, Any], ...]:
        """The steps as JSON-ready data, for a manifest."""
        return tuple(bound.to_dict() for bound in self.bound)

    @property
    def fields(self) -> tuple[WireField, ...]:
        """The wire fields that steps read, in order; a field read twice is listed once."""
        found: dict[str, WireField] = {}
        for bound in self.bound:
            before = found.get(bound.field)
            inputs = (*(before.inputs if before else ()), *bound.produces)
            found[bound.field] = WireField(bound.field, bound.step.wire, bound.step.missing, inputs, getattr(bound.step, "values", None))
        return tuple(found.values())

    def wire_fields(self, signature: Signature) -> tuple[WireField, ...]:
        """Everything a caller may send: the fields of steps, and the typed inputs that pass through."""
        made = {name for bound in self.bound for name in bound.produces}
        through = (spec for spec in signature.inputs if spec.name not in made)
        return (*self.fields, *(WireField(spec.name, "tensor", spec.missing, (spec.name,), spec.categories) for spec in through))

    def annotate(self, signature: Signature) -> Signature:
        """The signature with what the steps know: the categories of the inputs they produce."""
        by_name = {name: bound.step for bound in self.bound for name in bound.produces}
        inputs = tuple(_annotated(spec, by_name.get(spec.name)) for spec in signature.inputs)
        return replace(signature, inputs=inputs)

    def encode(self, wire: Mapping[str, Any]) -> dict[str, Typed]:
        """Wire values to typed tensors.

        Every field holds a batch: a list, or an array whose first axis counts rows. A bare value (text, bytes, one
        number, None, one image) is a batch of one.

        Args:
            wire: field -> batch. A typed input given by its own name (already encoded) passes through.

        Returns:
            Typed input -> array; a list of arrays only for images of different sizes.

        Raises:
            InputError: naming the field and the row.
        """
        if not self.bound:
            return dict(wire)
        typed: dict[str, Typed] = {}
        rows: dict[str, int] = {}
        for bound in self.bound:
            if bound.field in wire:
                made = bound.step.encode(bound.field, wire[bound.field])
                rows[bound.field] = len(made[0])
                for name, value in zip(bound.produces, made):  # noqa: B905 - counted when the step was read, and this is the hot path
                    typed[name] = value
            elif not any(name in wire for name in bound.produces):
                raise refusal("this field is missing", bound.field, expected=", ".join(w.name for w in self.fields))
        _check_rows(rows)
        through = [name for name in wire if name not in self._read]
        if twice := [name for name in through if name in typed]:
            raise refusal("this input is given twice: as a wire field and as a typed tensor", min(twice))
        for name in through:
            typed[name] = wire[name]
        return typed

    def sent(self, name: str, row: int | None, wire: Mapping[str, Any]) -> Any:
        """What a caller sent behind one row of the typed input `name`, for messages and flags; None where that is not to be found."""
        held = wire.get(next((bound.field for bound in self.bound if name in bound.produces), name))
        if row is None or held is None or isinstance(held, str | bytes):
            return held
        try:
            return held[row]
        except (TypeError, KeyError, IndexError):  # a bare value, or a container that does not count rows by position
            return None

    def decode(self, outputs: Mapping[str, Array], signature: Signature) -> dict[str, Array]:
        """Integer outputs with categories leave as an object array of names, None for missing and unknown; the rest unchanged.

        Raises EngineError where the model answers a code that has no name.
        """
        named = {spec.name: spec.categories for spec in signature.outputs if spec.categories is not None}
        return {name: _names(name, array, named[name]) if name in named else array for name, array in outputs.items()}


def _annotated(spec: TensorSpec, step: Step | None) -> TensorSpec:
    return spec if step is None else step.annotate(spec)


def _paths(data: Mapping[str, Any]) -> dict[str, str]:
    """Role -> path of a step's files. Raises FormatError for a step whose parts are no objects: they come from others."""
    files, options = data.get("files", {}), data.get("options", {})
    if not isinstance(options, Mapping) or not isinstance(files, Mapping):
        raise FormatError("A codec step's options and files are objects", got=str(dict(data))[:200])
    paths = cast("Mapping[Any, Any]", files)
    if odd := [path for path in paths.values() if not isinstance(path, str)]:
        raise FormatError("A codec step names its files by path", got=repr(odd[0])[:200])
    return dict(paths)


def _parsed(data: Mapping[str, Any], paths: Mapping[str, str], contents: Mapping[str, bytes]) -> _Bound:
    kind, name = data.get("kind"), data.get("field")
    if not isinstance(name, str) or kind not in KINDS:
        raise FormatError("A codec step has an unknown kind or no field", got=dict(data), expected=", ".join(KINDS))
    step = step_class(cast("str", kind)).parse(data.get("options", {}), contents)
    produces = tuple(data.get("produces", step.names(name)))
    if len(produces) != len(step.names(name)):
        raise FormatError(f"The codec step for {name!r} names the wrong number of typed inputs", got=produces, expected=step.names(name))
    return _Bound(name, produces, step, paths)


def step_class(kind: str) -> type[Step]:
    """The class of a kind. Raises MissingExtraError."""
    module, name = KINDS[kind]
    try:
        return getattr(importlib.import_module(module, __package__), name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"Codec steps of kind {kind!r} need {error.name}", extra="image") from error


def _check_rows(rows: Mapping[str, int]) -> None:
    if len(set(rows.values())) > 1:
        got = ", ".join(f"{name}: {count}" for name, count in rows.items())
        raise InputError("The fields have different numbers of rows", field=min(rows, key=lambda name: rows[name]), got=got)
    for name, count in rows.items():
        if count == 0:
            raise refusal("there are no rows", name)


def _names(name: str, array: Array, categories: tuple[str, ...]) -> Array:
    if array.dtype.kind not in "iu":
        return array
    codes = array.astype(np.int64)
    if codes.size and (codes.min() < UNKNOWN_CODE or codes.max() >= len(categories)):
        wrong = codes[(codes < UNKNOWN_CODE) | (codes >= len(categories))]
        raise EngineError(f"Output {name!r} holds a code that has no name", got=int(wrong.flat[0]), expected=f"0 to {len(categories) - 1}")
    table = np.empty(len(categories) + 2, dtype=object)  # -1 and -2 index the two Nones at the end
    table[: len(categories)] = categories
    return table[codes]
