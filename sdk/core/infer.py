"""A Signature from examples: dtypes, symbolic shapes, observed ranges, missing values, categories; and kinds of outputs.

    >>> signature({"age": np.array([31.0, 58.0, np.nan]), "colour": ["red", "blue", "red"]}).input("colour").categories
    ('blue', 'red')

What is inferred is a proposal: `signature(...).edit(name, ...)` changes it. Observed ranges flag, they never reject.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from .codec.category import Categories
from .codec.step import Step, is_missing, object_rows
from .refusal import refusal, shown
from .signature import Array, Kind, Signature, TensorSpec, dtype_of

MAX_CATEGORIES = 1000
"""Texts with more distinct values than this are no categories."""
EMBEDDING_WIDTH = 16


def columns(examples: Any) -> dict[str, Any]:
    """Examples by input name: a mapping as it is, the columns of a DataFrame, an array as input `x`."""
    if isinstance(examples, Mapping):
        return {str(name): _plain(values) for name, values in cast("Mapping[Any, Any]", examples).items()}
    if hasattr(examples, "columns") and hasattr(examples, "iloc"):
        _refuse_repeated([str(name) for name in examples.columns])
        return {str(name): _plain(examples[name]) for name in examples.columns}
    return {"x": _plain(examples)}


def _refuse_repeated(names: list[str]) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise refusal("two columns of the table have this name", repeated[0], got=", ".join(names)[:200], fix="Rename one of them.")


def signature(examples: Any, *, dynamic: Mapping[str, Mapping[int, str]] | None = None) -> Signature:
    """The inputs that examples show.

    Args:
        examples: a mapping of arrays or lists by name, a DataFrame, or one array (input `x`). Axis 0 counts rows.
        dynamic: input -> axis -> name, for further dimensions that may differ between requests.

    Raises:
        InputError: for a column whose type cannot be told, naming it.
    """
    axes = dynamic or {}
    found = tuple(_spec(name, values, dict(axes.get(name, {}))) for name, values in columns(examples).items())
    return Signature(found, ())


def steps(examples: Any) -> dict[str, Step]:
    """Codec steps for the columns of text: the categories they show, sorted. Everything else needs none, or a choice."""
    return {name: cast("Step", Categories(_categories(name, values))) for name, values in columns(examples).items() if _is_text(values)}


def outputs(answers: Mapping[str, Array], rows: int | None = None) -> tuple[TensorSpec, ...]:
    """Specs of outputs with the kind that decides how two answers are compared.

    Integers and booleans are decisions; floats in [0, 1] scores; rows of unit length and at least 16 wide embeddings;
    other floats values.

    Args:
        answers: output -> array, from reference calls.
        rows: rows of the call; an output whose first axis has another length has no batch axis.
    """
    return tuple(_output(name, np.asarray(array), rows) for name, array in answers.items())


def kind_of(array: Array) -> Kind:
    """The kind of an output, from its values."""
    if array.dtype.kind != "f":
        return "decision"
    values = array.astype(np.float64)
    if values.ndim == 2 and values.shape[1] >= EMBEDDING_WIDTH and _unit_rows(values):
        return "embedding"
    return "score" if values.size and bool(np.all((values >= 0) & (values <= 1))) else "value"


def _unit_rows(values: Array) -> bool:
    lengths = np.linalg.norm(values, axis=1)
    shares = values.min(initial=0.0) >= 0 and bool(np.all(np.abs(values.sum(axis=1) - 1) < 1e-3))  # confident probabilities
    return bool(len(values)) and bool(np.all(np.abs(lengths - 1) < 1e-3)) and not shares


def _output(name: str, array: Array, rows: int | None) -> TensorSpec:
    batched = array.ndim > 0 and rows in (None, array.shape[0])
    shape = ("batch", *array.shape[1:]) if batched else array.shape
    return TensorSpec(name, dtype_of(array), shape, 0 if batched else None, kind=kind_of(array))


def _spec(name: str, values: Any, axes: dict[int, str]) -> TensorSpec:
    if _is_text(values):
        missing = any(is_missing(value) for value in object_rows(name, values).ravel().tolist())
        return TensorSpec(name, "i32", _shape(np.shape(values), axes), categories=_categories(name, values), missing=missing)
    if isinstance(values, list):
        return _images(name, cast("list[Any]", values))
    array = _numbers(name, values)
    missing = array.dtype.kind == "f" and bool(np.isnan(array).any())
    return TensorSpec(name, dtype_of(array), _shape(array.shape, axes), range=_range(array), missing=missing)


def _shape(shape: tuple[int, ...], axes: Mapping[int, str]) -> tuple[int | str, ...]:
    return tuple("batch" if axis == 0 else axes.get(axis, size) for axis, size in enumerate(shape))


def _range(array: Array) -> tuple[float, float] | None:
    """Observed limits: floats of up to 2 dimensions and columns of integers; not pixels, tokens, masks or feature maps."""
    if array.dtype.kind not in "iuf" or array.dtype == np.uint8 or array.ndim > (2 if array.dtype.kind == "f" else 1):
        return None
    held = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    return (float(held.min()), float(held.max())) if held.size else None


def _images(name: str, values: list[Any]) -> TensorSpec:
    arrays = [_pixels(name, value, row) for row, value in enumerate(values)]
    for row, array in enumerate(arrays):
        if array.ndim != 3 or array.dtype != np.uint8 or array.shape[2] != arrays[0].shape[2]:
            raise refusal("these examples are neither numbers, texts nor uint8 images (H, W, C)", name, row, got=shown(values[row]),
                          fix="For files of pictures say codec={...: ps.codec.Image()}.")  # fmt: skip
    return TensorSpec(name, "u8", ("batch", f"{name}_height", f"{name}_width", arrays[0].shape[2]))


def _pixels(name: str, value: Any, row: int) -> Array:
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise refusal("this example is not an array", name, row, got=shown(value)) from error


def _plain(values: Any) -> Any:
    """An array where numpy keeps what was given; a list where rows differ in shape, or are bytes or other objects."""
    held: Any = values.to_numpy() if hasattr(values, "to_numpy") else values
    if isinstance(held, np.ndarray):
        return held
    if isinstance(held, list | tuple):
        return _listed(list(cast("list[Any]", held)))
    return np.asarray(held) if hasattr(held, "__array__") else _listed([held])


def _listed(items: list[Any]) -> Any:
    if items and all(isinstance(item, np.ndarray) for item in items):
        alike = all(item.shape == items[0].shape and item.dtype == items[0].dtype for item in items)
        return np.stack(items) if alike else items
    if not all(isinstance(item, bool | int | float | str | list | tuple | np.generic) or is_missing(item) for item in items):
        return items  # bytes would lose their trailing zeros in an array, and pictures would fall apart into pixels
    try:
        cells = np.array(items, dtype=object)
        return np.array(items) if _numeric(cells) else cells
    except (ValueError, OverflowError):
        return items


def _numeric(cells: Array) -> bool:
    """Only numbers, or only booleans: numpy would turn [1, "a"] into texts and [1, True] into numbers."""
    held = cells.ravel().tolist()
    switches = [isinstance(cell, bool | np.bool_) for cell in held]
    return all(switches) or (not any(switches) and all(isinstance(cell, int | float | np.number) for cell in held))


def _is_text(values: Any) -> bool:
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "OU":
        return False
    present = [value for value in values.ravel().tolist() if not is_missing(value)]
    return bool(present) and all(isinstance(value, str) for value in present)


def _categories(name: str, values: Array) -> tuple[str, ...]:
    present = [value for value in values.ravel().tolist() if not is_missing(value)]
    found = sorted(set(present))
    if len(found) > MAX_CATEGORIES or (len(present) >= 20 and len(found) > len(present) / 2):
        raise refusal("these texts are not categories: nearly all differ", name, got=f"{len(found)} different in {len(present)} rows",
                      fix="Give codec={...} a tokenizer or ps.codec.Categories([...]) for this field.")  # fmt: skip
    return tuple(found)


def _numbers(name: str, array: Array) -> Array:
    if array.dtype.kind not in "OSUV":
        if array.ndim == 0:
            raise refusal("examples have a row axis", name, got="one number", expected="an array of shape (rows, ...)")
        dtype_of(array)
        return array
    cells = array.ravel().tolist()
    for row, cell in enumerate(cells):
        if isinstance(cell, bool) or not (is_missing(cell) or (isinstance(cell, int | float) and abs(cell) < math.inf)):
            raise refusal("the type of this column cannot be told", name, row, got=shown(cell),
                          fix="Give one type per column; for pictures and long texts say codec={...}.")  # fmt: skip
    return np.array([np.nan if is_missing(cell) else cell for cell in cells], np.float64).reshape(array.shape)
