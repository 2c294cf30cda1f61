"""What `pack` was called with, checked before any work: a slip in an argument is one clear error, not half an hour later a strange one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from .core.codec.step import is_missing
from .core.data import Data
from .core.errors import FormatError, InputError
from .core.expectations import FILE, Expectation, Perturbation, check, to_bytes
from .core.folder import check_free
from .core.measures import LIMITS
from .core.signature import KINDS, NUMPY, Array, Signature
from .store_reference import check_name

_INT32 = np.iinfo(np.int32)


def check_places(name: object, out: Path | str | None) -> None:
    """Raise StoreError where no store takes the name, or the folder is taken; FormatError for a name that is not text."""
    if not isinstance(name, str):
        raise FormatError("The name of a package is not text", got=repr(name)[:80], fix='Say name="cell-inspector".')
    check_name(name)
    if out is not None:
        check_free(Path(out))


def check_types(featurize: object, predict: object, signature: object, evidence: object, **mappings: object) -> None:
    """Raise InputError where an argument of `pack` has another type than its documentation says."""
    for what, held in (("featurize", featurize), ("predict", predict)):
        if held is not None and not callable(held):
            raise _wrong(what, held, "a function")
    for what, held, kind in (("signature", signature, Signature), ("evidence", evidence, Data)):
        if held is not None and not isinstance(held, kind):
            raise _wrong(what, held, f"portside.{'signature(...)' if kind is Signature else 'Data(...)'}")
    for what, held in mappings.items():
        if held is not None and not _named(held):
            raise _wrong(what, held, "a mapping with names as keys")


def check_parts(codec: Mapping[str, Any], image: Mapping[str, Any], dynamic: Mapping[str, Any], state: Mapping[str, Any],
                tolerances: Mapping[str, Any]) -> None:  # fmt: skip
    """Raise InputError for an entry of one of these mappings that has another form than `pack` documents."""
    _entries("codec", codec, lambda step: all(hasattr(step, name) for name in ("kind", "encode", "options")), "a step of portside.codec")
    _entries("image", image, lambda held: hasattr(held, "max"), "portside.Image(max=(height, width))")
    _entries("dynamic", dynamic, _axes, '{axis: dimension name}, e.g. {1: "sequence"}')
    _entries("state", state, lambda pair: isinstance(pair, tuple) and len(cast("tuple[Any, ...]", pair)) == 2,
             "(name of the input, initial value)")  # fmt: skip
    _entries("tolerances", tolerances, _limits, "{limit: a number of 0 or more}")


def check_kinds(kinds: Mapping[str, str], tolerances: Mapping[str, Mapping[str, float]]) -> None:
    """Raise FormatError for a kind or a limit that does not exist."""
    for name, kind in kinds.items():
        if kind not in KINDS:
            raise FormatError(f"Output {name!r} is given an unknown kind", got=kind, expected=", ".join(KINDS))
    known = sorted({limit for limits in LIMITS.values() for limit in limits})
    for name, limits in tolerances.items():
        if unknown := sorted(set(limits) - set(known)):
            raise FormatError(f"Output {name!r} is given an unknown tolerance", got=unknown[0], expected=", ".join(known))


def check_examples(typed: Mapping[str, Any]) -> None:
    """Raise InputError for typed examples that no program can hold: integers beyond int32, rows of different shapes."""
    if typed and not any(isinstance(values, list) or np.ndim(values) for values in typed.values()):
        raise InputError("The examples are single values", field=next(iter(typed)), expected="an array whose first axis counts rows")
    for name, values in typed.items():
        held = cast("Array", values) if isinstance(values, np.ndarray) else None
        if held is None:
            continue
        if held.dtype.kind in "iu" and held.size and (held.max() > _INT32.max or held.min() < _INT32.min):
            raise InputError("An example does not fit the program's int32", field=name, got=int(max(held.max(), held.min(), key=abs)),
                             expected=f"{_INT32.min} to {_INT32.max}", fix="Give identifiers as categories or text.")  # fmt: skip
        if held.dtype == NUMPY["string"]:
            _check_cells(name, held)


def check_columns(wire: Mapping[str, Any], typed: Mapping[str, Any], **named: Mapping[str, Any] | None) -> None:
    """Raise InputError where `dynamic`, `image`, `signature`... name an input that the examples do not have."""
    known = {**wire, **typed}
    for what, names in named.items():
        if unknown := [name for name in names or () if name not in known]:
            raise InputError(f"{what}= names an input that is not there", field=unknown[0], got=unknown[0],
                             expected=", ".join(wire))  # fmt: skip


def check_outputs(signature: Signature, **named: Iterable[str]) -> None:
    """Raise FormatError where `kinds` or `tolerances` name an output that the program does not have."""
    known = [spec.name for spec in signature.outputs]
    for what, names in named.items():
        if unknown := [name for name in names if name not in known]:
            raise FormatError(f"{what}= names an output that is not there", got=unknown[0], expected=", ".join(known))


def with_names(signature: Signature, outward: Mapping[str, tuple[str, ...]]) -> Signature:
    """The signature with names for the codes of these outputs. Raises FormatError for an output that is not integer."""
    for name, values in outward.items():
        if signature.output(name).dtype not in ("i8", "u8", "i32", "i64"):
            raise FormatError(
                f"Output {name!r} is given names and does not hold codes", got=signature.output(name).dtype,
                expected="an integer output: 0 is the first name", fix="Let predict return labels, e.g. logits.argmax(-1).",
            )  # fmt: skip
        signature = signature.edit(name, categories=values)
    return signature


def check_rows(rows: int, labels: Any, slices: Mapping[str, Any]) -> None:
    """Raise InputError unless labels and slices have one value per example."""
    if isinstance(labels, Mapping):
        raise _wrong("labels", cast("object", labels), "one value per example")
    columns = {f"slices[{name!r}]": groups for name, groups in slices.items()} | ({} if labels is None else {"labels": labels})
    for what, held in columns.items():
        shape = np.shape(held)
        if not shape or shape[0] != rows:
            raise InputError(f"{what} does not have one value per example", got=shape[0] if shape else repr(held)[:80], expected=rows)
        if what != "labels" and len(shape) > 1:
            raise InputError(f"{what} is not one group per example", got=f"shape {shape}", expected=f"({rows},)")


def check_evidence(evidence: Data | None, wire: Mapping[str, Any]) -> None:
    """Raise InputError unless held-out rows have the columns that the examples have."""
    if evidence is not None and (wrong := sorted(set(evidence.inputs) ^ set(wire))):
        raise InputError("The evidence does not have the columns of the examples", field=wrong[0], got=", ".join(evidence.inputs),
                         expected=", ".join(wire))  # fmt: skip


def expectation_files(expectations: Sequence[Expectation]) -> dict[str, bytes]:
    """The file that expectations travel in, if there are any. Raises InputError for ones that cannot: functions."""
    held = check(expectations)
    return {FILE: to_bytes(held)} if held else {}


def check_expected(expectations: Sequence[Expectation], wire: Mapping[str, Any]) -> None:
    """Raise InputError where an expectation is about a field that the examples do not have."""
    for held in expectations:
        for name in held.fields if isinstance(held, Perturbation) else (held.field,):
            if name not in wire:
                raise InputError("An expectation names a field that is not there", field=name, got=str(held), expected=", ".join(wire))


def _check_cells(name: str, held: Array) -> None:
    if all(is_missing(cell) for cell in held.ravel().tolist()):
        raise InputError("No example of this input has a value", field=name, got=repr(held.ravel()[:1].tolist()))
    for row, cell in enumerate(held.reshape(len(held), -1) if held.ndim else [[held.item()]]):
        if odd := [value for value in cell if not (isinstance(value, str | bytes) or is_missing(value))]:
            raise InputError("The examples are neither numbers nor text", field=name, row=row, got=repr(odd[0])[:80],
                             expected="an array of numbers, or texts", fix="Give all rows one shape and type.")  # fmt: skip


def _entries(what: str, held: Mapping[str, Any], test: Callable[[Any], bool], expected: str) -> None:
    for name, value in held.items():
        if not test(value):
            raise _wrong(f"{what}[{name!r}]", value, expected)


def _axes(held: Any) -> bool:
    return isinstance(held, Mapping) and all(type(axis) is int and isinstance(dim, str) and dim for axis, dim in _items(held))


def _limits(held: Any) -> bool:
    return isinstance(held, Mapping) and all(type(value) in (int, float) and value >= 0 for _, value in _items(held))


def _items(held: Any) -> Iterable[tuple[Any, Any]]:
    return cast("Mapping[Any, Any]", held).items()


def _named(held: object) -> bool:
    return isinstance(held, Mapping) and all(isinstance(name, str) for name, _ in _items(held))


def _wrong(what: str, held: object, expected: str) -> InputError:
    return InputError(f"{what}= is not what pack takes there", got=repr(held)[:80], expected=expected)
