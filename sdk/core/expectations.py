"""Expectations: a user's own tests of a model, as data. They travel with the package and are run on it and on its ancestor.

- `Perturbation`: noise of a given size changes at most a share of the answers.
- `Invariance`: a change that must not matter (another category, a scale, a mirror image) changes at most a share.
- `Direction`: raising a field does not lower an output, but for a share of the rows.

    >>> held = Invariance("sex", swap=("f", "m"), at_most=0.005)
    >>> from_dict(held.to_dict()) == held, str(held)
    (True, 'invariance: swap f and m in sex')

Source: Ribeiro, Wu, Guestrin and Singh (2020), "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, ClassVar, TypeAlias, cast

from .canonical import canonical_json, read_object
from .errors import FormatError, InputError

FILE = "contract/expectations.json"
Function: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Inputs by wire field -> the same rows, changed."""
OPERATIONS = ("add", "scale", "replace", "noise", "swap", "flip")


@dataclass(frozen=True)
class Perturbation:
    """Noise that must not matter.

    Attributes:
        size: standard deviation of the Gaussian noise, in the field's own unit (a pixel of a uint8 image: 0 to 255).
        fields: wire fields that get noise; none: every field of real numbers and every uint8 image.
        at_most: share of rows whose answer may change.
        seed: of the noise.
    """

    kind: ClassVar[str] = "perturbation"
    size: float
    fields: tuple[str, ...] = ()
    at_most: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", (self.fields,) if isinstance(self.fields, str) else tuple(self.fields))
        _number("size", self.size, low=0)
        _number("at_most", self.at_most, low=0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return _to_dict(self)

    def __str__(self) -> str:
        return f"perturbation: noise of {self.size:g} on {', '.join(self.fields) or 'every number'}"


@dataclass(frozen=True)
class Invariance:
    """A change that must not matter: one operation on a field, or a function of one's own.

    Attributes:
        field: the wire field; none where `change` is given.
        add, scale: a number that is added, or by which the field is multiplied.
        replace: old value -> new value; values that are not named stay.
        noise: standard deviation of Gaussian noise.
        swap: two values that are exchanged.
        flip: axis of a picture or table that is mirrored, counted without the rows: 1 is left to right of (height, width, 3).
        change: inputs -> inputs, in Python; it is not stored with a package.
        at_most: share of the changed rows whose answer may change.
    """

    kind: ClassVar[str] = "invariance"
    field: str | None = None
    add: float | None = None
    scale: float | None = None
    replace: Mapping[Any, Any] | None = None
    noise: float | None = None
    swap: tuple[Any, Any] | None = None
    flip: int | None = None
    change: Function | None = None
    at_most: float = 0.01

    def __post_init__(self) -> None:
        given = [name for name in (*OPERATIONS, "change") if getattr(self, name) is not None]
        if len(given) != 1 or (self.field is None) != (given == ["change"]):
            raise InputError("An invariance is one change of one field, or a function", got=", ".join(given) or "none",
                             expected=f"a field with one of {', '.join(OPERATIONS)}; or change=function")  # fmt: skip
        if self.swap is not None:
            object.__setattr__(self, "swap", tuple(self.swap))
            if len(self.swap) != 2:  # type: ignore[reportUnnecessaryComparison]  # a list from JSON
                raise InputError("A swap exchanges two values", got=len(self.swap))
        if self.change is not None and not callable(self.change):  # type: ignore[reportUnnecessaryIsInstance]
            raise InputError("change= of an invariance is not a function", got=repr(self.change)[:80])
        if self.replace is not None and not isinstance(self.replace, Mapping):  # type: ignore[reportUnnecessaryIsInstance]
            raise InputError("replace= of an invariance is not a mapping", got=repr(self.replace)[:80], expected="{old value: new value}")
        if not isinstance(self.swap, Hashable) or not all(isinstance(held, Hashable) for held in self.swap or ()):
            raise InputError("A swap exchanges two single values", got=repr(self.swap)[:80])
        _whole("flip", self.flip)
        for name in ("add", "scale", "noise", "at_most"):
            _number(name, getattr(self, name), low=0 if name in ("noise", "at_most") else None)

    @property
    def operation(self) -> tuple[str, Any]:
        """The declared operation and its value; ("change", function) for a function."""
        return next((name, getattr(self, name)) for name in (*OPERATIONS, "change") if getattr(self, name) is not None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready. Raises InputError for a function."""
        if self.change is not None:
            raise InputError("An expectation that is a function cannot be stored", got=str(self),
                             expected=f"a field with one of {', '.join(OPERATIONS)}", fix="Pass it to audit instead.")  # fmt: skip
        held = _to_dict(self)
        return held | ({"replace": [list(pair) for pair in self.replace.items()]} if self.replace is not None else {})

    def __str__(self) -> str:
        name, held = self.operation
        if name == "change":
            return f"invariance: {getattr(held, '__name__', 'a function')}"
        if name == "swap":
            return f"invariance: swap {held[0]} and {held[1]} in {self.field}"
        what = ", ".join(f"{old} by {new}" for old, new in held.items()) if name == "replace" else f"{held:g}"
        return f"invariance: {name} {what} in {self.field}"


@dataclass(frozen=True)
class Direction:
    """Raising a field must not lower an output.

    Attributes:
        field: wire field of numbers.
        output: an output of numbers, one per row, or `column` says which.
        by: what is added to the field.
        column: which of several numbers per row, e.g. 1 of (rows, 2) probabilities.
        falls: the other way: raising the field must not raise the output.
        at_most: share of rows that may go the wrong way.
    """

    kind: ClassVar[str] = "direction"
    field: str
    output: str
    by: float = 1.0
    column: int | None = None
    falls: bool = False
    at_most: float = 0.01

    def __post_init__(self) -> None:
        _number("by", self.by)
        _whole("column", self.column)
        _number("at_most", self.at_most, low=0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return _to_dict(self)

    def __str__(self) -> str:
        column = "" if self.column is None else f"[{self.column}]"
        return f"direction: {self.field} + {self.by:g} does not {'raise' if self.falls else 'lower'} {self.output}{column}"


Expectation: TypeAlias = Perturbation | Invariance | Direction
_KINDS: Mapping[str, type[Expectation]] = {held.kind: held for held in (Perturbation, Invariance, Direction)}


def from_dict(data: Mapping[str, Any]) -> Expectation:
    """Parse what `to_dict` wrote. Raises FormatError."""
    held = dict(data)
    kind = _KINDS.get(str(held.pop("kind", None)))
    if kind is None:
        raise FormatError("An expectation has an unknown kind", got=data.get("kind"), expected=", ".join(_KINDS))
    if unknown := sorted(set(held) - {one.name for one in fields(kind)} | ({"change"} & set(held))):
        raise FormatError("An expectation has a field that does not exist", got=unknown[0])
    try:
        if "replace" in held:
            held["replace"] = dict(held["replace"])
        return kind(**held)
    except (TypeError, ValueError, InputError) as error:
        raise FormatError(f"An expectation is malformed: {error}", got=str(dict(data))[:200]) from error


def to_bytes(expectations: Sequence[Expectation]) -> bytes:
    """The file that travels. Raises InputError for a function and for values that JSON cannot hold."""
    held = {"expectations": [one.to_dict() for one in expectations]}
    try:
        canonical_json(held)
    except (TypeError, ValueError) as error:
        raise InputError(f"An expectation holds a value that cannot be stored: {error}", fix="Use plain numbers and texts.") from error
    return json.dumps(held, indent=1, sort_keys=True, ensure_ascii=False).encode()


def from_bytes(text: bytes) -> tuple[Expectation, ...]:
    """Parse what `to_bytes` wrote. Raises FormatError."""
    held: Any = read_object(text, FILE).get("expectations")
    if not isinstance(held, list) or not all(isinstance(one, Mapping) for one in cast("list[object]", held)):
        raise FormatError(f"{FILE} holds no list of expectations", got=str(held)[:200])
    return tuple(from_dict(one) for one in cast("list[Mapping[str, Any]]", held))


def check(expectations: object) -> tuple[Expectation, ...]:
    """A user's expectations. Raises InputError for anything else."""
    if not isinstance(expectations, list | tuple):
        raise InputError("expectations= is not a list", got=repr(expectations)[:80])
    for one in cast("Sequence[object]", expectations):
        if not isinstance(one, Perturbation | Invariance | Direction):
            raise InputError("This is not an expectation", got=repr(one)[:80], expected="Perturbation, Invariance or Direction")
    return tuple(cast("Sequence[Expectation]", expectations))


def directed(expectations: Sequence[Expectation]) -> list[str]:
    """The outputs that expectations name."""
    return [held.output for held in expectations if isinstance(held, Direction)]


def _to_dict(held: Expectation) -> dict[str, Any]:
    """Kind, and the fields that are not left at None."""
    values = {one.name: getattr(held, one.name) for one in fields(held) if getattr(held, one.name) is not None}
    return {"kind": held.kind, **{name: list(cast("Any", value)) if isinstance(value, tuple) else value for name, value in values.items()}}


def _whole(name: str, held: object) -> None:
    if held is not None and (type(held) is not int or held < 0):
        raise InputError("An expectation has a place that is none", field=name, got=repr(held), expected="0, 1, 2, ...")


def _number(name: str, held: object, low: float | None = None) -> None:
    if held is None:
        return
    if isinstance(held, bool) or not isinstance(held, int | float) or not isfinite(held) or (low is not None and held < low):
        raise InputError("An expectation has a number that is none", field=name, got=repr(held),
                         expected="a finite number" + (f" of {low:g} or more" if low is not None else ""))  # fmt: skip
