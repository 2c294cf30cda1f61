"""Writes tests/vectors/door.json: what every port of the door must admit, flag and refuse. The Python door decides.

Run: python tests/vectors/make_door_vectors.py

A value is JSON as a caller sends it, or {"tensor": {"dtype", "shape", "data"}}, or {"images": [tensor, ...]}. Non-finite numbers
and the integers of i64 are text, because JSON has neither.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from portside.sdk.core.door import Door
from portside.sdk.core.errors import InputError
from portside.sdk.core.signature import NUMPY, Signature, StatePair, TensorSpec, dtype_of

OUT = Path(__file__).parent / "door.json"
COLOURS = ("red", "green", "blue")
NAN, INF = "NaN", "Infinity"


def tensor(dtype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    """A tensor as the vectors write it."""
    return {"tensor": {"dtype": dtype, "shape": shape, "data": data}}


def images(*shapes: tuple[int, ...], fill: int = 7) -> dict[str, Any]:
    """Images of these shapes."""
    return {"images": [{"dtype": "u8", "shape": list(shape), "data": [fill] * math.prod(shape)} for shape in shapes]}


def one(dtype: Any, *shape: int | str, **rest: Any) -> Signature:
    """A signature of one input `x`."""
    return Signature((TensorSpec("x", dtype, ("batch", *shape), **rest),), ())


AGE = {"range": (0.0, 120.0)}
TWO = Signature((TensorSpec("x", "f32", ("batch", 2)), TensorSpec("y", "i32", ("batch",))), ())
SPARE = Signature((
    TensorSpec("x", "f32", ("batch",)), TensorSpec("n", "i32", ("batch",), required=False, default=4),
    TensorSpec("c", "i32", ("batch",), required=False, default="blue", categories=COLOURS),
    TensorSpec("m", "f32", ("batch", 2), required=False, missing=True),
    TensorSpec("k", "i32", ("batch",), required=False, missing=True, categories=COLOURS),
    TensorSpec("b", "bool", ("batch",), required=False, default=True),
), ())  # fmt: skip
NO_DEFAULT = Signature((TensorSpec("x", "f32", ("batch",)), TensorSpec("n", "i32", ("batch",), required=False)), ())
STATE = Signature((TensorSpec("x", "f32", ("batch",)), TensorSpec("h", "f32", ("batch", 2))), (),
                  (StatePair("h2", "h", ("batch", 2)),))  # fmt: skip
SEQUENCE = Signature((TensorSpec("ids", "i32", ("batch", "length")), TensorSpec("mask", "i32", ("batch", "length"))), ())
SECOND = Signature((TensorSpec("x", "f32", (2, "batch"), batch_axis=1, range=(0.0, 1.0)),), ())
SHARED = Signature((TensorSpec("x", "f32", (2,), batch_axis=None, range=(0.0, 1.0)),), ())
PHOTO = Signature((TensorSpec("photo", "u8", ("batch", "height", "width", 3), canvas=(4, 5)),), ())
PHOTO_X = Signature((*PHOTO.inputs, TensorSpec("x", "f32", ("batch",))), ())
CODES = one("i32", categories=COLOURS)

CASES: list[tuple[str, Signature, dict[str, Any]]] = [
    ("floats as they are", one("f32"), {"x": tensor("f32", [2], [1.5, -2])}),
    ("a list of integers fits floats", one("f32"), {"x": [1, 2]}),
    ("doubles are rounded to nearest", one("f32"), {"x": [0.1, 1e-50]}),
    ("a double tensor is narrowed", one("f64"), {"x": tensor("f64", [2], [0.1, 16777217])}),
    ("a double that no float holds", one("f64"), {"x": tensor("f64", [2], [1, 1e39])}),
    ("the last double that rounds to a float", one("f64"), {"x": [3.4028235677973362e38]}),
    ("a half that no half holds", one("f16"), {"x": [1, 70000]}),
    ("the last number that rounds to a half", one("f16"), {"x": [65519.9]}),
    ("null is NaN for floats that may be missing", one("f32", missing=True), {"x": [1, None]}),
    ("null is refused where nothing may be missing", one("f32"), {"x": [1, None]}),
    ("NaN is refused where nothing may be missing", one("f32"), {"x": tensor("f32", [3], [1, 2, NAN])}),
    ("NaN passes where it may be missing", one("f32", missing=True, **AGE), {"x": tensor("f32", [2], [NAN, 4])}),
    ("NaN and out of range together", one("f32", missing=True, **AGE), {"x": tensor("f32", [3], [NAN, 4, 130])}),
    ("an infinity is flagged without a range", one("f32"), {"x": tensor("f32", [2], [1, INF])}),
    ("an infinity is refused without a range", one("f32", on_range="reject"), {"x": tensor("f32", [2], [1, "-Infinity"])}),
    ("an infinity is not clamped without a range", one("f32", on_range="clamp"), {"x": tensor("f32", [2], [1, INF])}),
    ("a range is flagged by default", one("f32", **AGE), {"x": [41, 130, -1]}),
    ("a range is refused", one("f32", on_range="reject", **AGE), {"x": [41, 130]}),
    ("a range is clamped", one("f32", on_range="clamp", **AGE), {"x": [41, 130, -1]}),
    ("clamping keeps NaN", one("f32", on_range="clamp", missing=True, **AGE), {"x": tensor("f32", [3], [NAN, 130, 3])}),
    ("the limits themselves are inside", one("f32", on_range="reject", **AGE), {"x": [0, 120]}),
    ("limits are rounded as the data are", one("f32", on_range="reject", range=(0.1, 0.7)), {"x": [0.1, 0.7]}),
    ("limits of integers are rounded inward", one("i32", on_range="reject", range=(0.5, 3.5)), {"x": [1, 3]}),
    ("an integer below such a limit", one("i32", on_range="reject", range=(0.5, 3.5)), {"x": [1, 0]}),
    ("integers are clamped", one("i32", on_range="clamp", range=(0, 9)), {"x": [10, -3, 5]}),
    ("bytes are clamped", one("u8", on_range="clamp", range=(0, 9)), {"x": tensor("u8", [3], [10, 3, 255])}),
    ("the first of a row's values is flagged, rows in order", one("f32", 2, **AGE), {"x": [[1, 2], [130, 140], [3, -5]]}),
    ("integers as they are", one("i32"), {"x": tensor("i32", [2], [1, -2])}),
    ("whole floats fit integers", one("i32"), {"x": [1.0, 2]}),
    ("a fraction does not fit an integer", one("i32"), {"x": [1, 2.5]}),
    ("a fraction in a tensor does not", one("i32"), {"x": tensor("f32", [2], [1, 0.5])}),
    ("NaN does not fit an integer", one("i32"), {"x": tensor("f32", [2], [1, NAN])}),
    ("an integer too large for the rim", one("i64"), {"x": tensor("i64", [2], ["1", "2147483648"])}),
    ("an i64 that fits", one("i64"), {"x": tensor("i64", [2], ["-2147483648", "2147483647"])}),
    ("an integer too large in a list", one("i32"), {"x": [1, 3000000000]}),
    ("i8 has limits of its own", one("i8"), {"x": [127, -129]}),
    ("i8 from i32", one("i8"), {"x": tensor("i32", [2], [127, -128])}),
    ("u8 is never negative", one("u8"), {"x": [0, -1]}),
    ("u8 from i32, second row wrong", one("u8", 2), {"x": tensor("i32", [2, 2], [0, 255, 256, 1])}),
    ("null is refused for integers", one("i32"), {"x": [1, None]}),
    ("booleans as they are", one("bool"), {"x": [True, False]}),
    ("a number is no boolean", one("bool"), {"x": [True, 1]}),
    ("a tensor of bytes is no boolean", one("bool"), {"x": tensor("u8", [2], [1, 0])}),
    ("a boolean is no number", one("f32"), {"x": [1, True]}),
    ("a tensor of booleans is no number", one("i32"), {"x": tensor("bool", [2], [1, 0])}),
    ("text is no number", one("f32"), {"x": [1, "2"]}),
    ("codes as they are", CODES, {"x": [0, 2]}),
    ("an unknown code is flagged", CODES, {"x": [0, 3, -7]}),
    ("the unknown code itself is flagged", CODES, {"x": [-2]}),
    ("an unknown code is refused", one("i32", categories=COLOURS, on_unknown="reject"), {"x": [0, 5]}),
    ("a missing code passes", one("i32", categories=COLOURS, missing=True), {"x": [0, -1]}),
    ("null is the missing code", one("i32", categories=COLOURS, missing=True), {"x": [0, None]}),
    ("a missing code is refused", CODES, {"x": [0, -1]}),
    ("null is refused among codes", CODES, {"x": [1, None]}),
    ("NaN is the missing code", one("i32", categories=COLOURS, missing=True), {"x": tensor("f32", [2], [NAN, 1])}),
    ("a name is not a code", CODES, {"x": ["red"]}),
    ("codes of bytes", one("u8", categories=COLOURS), {"x": tensor("u8", [3], [0, 1, 9])}),
    ("missing and unknown codes together", one("i32", categories=COLOURS, missing=True), {"x": [-1, 9, 0]}),
    ("a missing input", TWO, {"x": [[1, 2]]}),
    ("an input that is not there", TWO, {"x": [[1, 2]], "y": [1], "z": [1]}),
    ("one batch for all inputs", TWO, {"x": [[1, 2], [3, 4]], "y": [1]}),
    ("two inputs", TWO, {"y": [1, 2], "x": [[1, 2], [3, 4]]}),
    ("a fixed dimension is fixed", TWO, {"x": [[1, 2, 3]], "y": [1]}),
    ("one row without its batch", TWO, {"x": [1, 2], "y": [1]}),
    ("an empty batch", TWO, {"x": tensor("f32", [0, 2], []), "y": []}),
    ("ragged lists", TWO, {"x": [[1, 2], [3]], "y": [1, 2]}),
    ("a single number has no batch", one("f32"), {"x": 1}),
    ("a named dimension is one length in the request", SEQUENCE, {"ids": [[1, 2, 3]], "mask": [[1, 1]]}),
    ("a named dimension of any length", SEQUENCE, {"ids": [[1, 2, 3]], "mask": [[1, 1, 0]]}),
    ("an empty named dimension", SEQUENCE, {"ids": [[]], "mask": [[]]}),
    ("rows along another axis", SECOND, {"x": [[0.5, 0.5, 2], [0.5, 3, 0.5]]}),
    ("a shared input has no row", SHARED, {"x": [0.5, 2]}),
    ("defaults for what is absent", SPARE, {"x": [1, 2, 3]}),
    ("defaults give way to what is sent", SPARE, {"x": [1], "n": [9], "c": [0], "b": [False]}),
    ("absent without a default", NO_DEFAULT, {"x": [1]}),
    ("state is left to the session", STATE, {"x": [1]}),
    ("state that is given is checked", STATE, {"x": [1], "h": [[1, 2, 3]]}),
    ("images of different sizes", PHOTO, {"photo": images((2, 3, 3), (4, 5, 3))}),
    ("a batch of images", PHOTO, {"photo": tensor("u8", [2, 1, 2, 3], list(range(12)))}),
    ("an image that does not fit", PHOTO, {"photo": images((2, 3, 3), (5, 5, 3))}),
    ("an image of other channels", PHOTO, {"photo": images((2, 3, 4))}),
    ("a grey image", PHOTO, {"photo": images((2, 3))}),
    ("one image without its batch", PHOTO, {"photo": tensor("u8", [1, 2, 3], list(range(6)))}),
    ("as many images as rows", PHOTO_X, {"photo": images((2, 3, 3)), "x": [1, 2]}),
    ("images and rows", PHOTO_X, {"photo": images((2, 3, 3), (1, 1, 3)), "x": [1, 2]}),
    ("an image of no pixels", PHOTO, {"photo": images((0, 3, 3))}),
]  # fmt: skip


def given(value: Any) -> Any:
    """A value of the vectors as Python's door takes it."""
    if isinstance(value, dict):
        held = value.get("tensor")
        return _array(held) if held is not None else [_array(image) for image in value["images"]]
    return value


def _array(held: dict[str, Any]) -> np.ndarray[Any, Any]:
    numbers = [_number(held["dtype"], item) for item in held["data"]]
    return np.array(numbers, dtype=NUMPY[held["dtype"]]).reshape(held["shape"])


def _number(dtype: str, item: Any) -> Any:
    return int(item) if dtype == "i64" else float(item) if isinstance(item, str) else item


def written(value: Any) -> Any:
    """What the door returned, as the vectors write it."""
    if isinstance(value, list):
        return {"images": [written(image)["tensor"] for image in value]}
    array = np.asarray(value)
    return tensor(dtype_of(array), list(array.shape), [plain(item) for item in array.ravel().tolist()])


def plain(item: Any) -> Any:
    """A scalar as JSON: non-finite numbers as text."""
    if isinstance(item, float) and not math.isfinite(item):
        return NAN if math.isnan(item) else INF if item > 0 else f"-{INF}"
    return item


def verdict(signature: Signature, inputs: dict[str, Any]) -> dict[str, Any]:
    """What the Python door makes of it."""
    try:
        checked = Door(signature).check({name: given(value) for name, value in inputs.items()})
    except InputError as error:
        place = f"{error.field!r}" if error.row is None else f"{error.field!r}, row {error.row}"
        return {"refused": {"what": error.what.removeprefix(f"{place}: "), "field": error.field, "row": error.row}}
    flags = [{"field": flag.field, "row": flag.row, "why": flag.why, "value": plain(flag.value)} for flag in checked.flags]
    return {"values": {name: written(value) for name, value in checked.arrays.items()}, "flags": flags}


def vectors() -> dict[str, Any]:
    """All of them."""
    return {
        "about": "The door: a signature and inputs, and what comes of them. Notation: tests/vectors/make_door_vectors.py.",
        "version": 1,
        "cases": [
            {"name": name, "signature": signature.to_dict(), "inputs": inputs, "expect": verdict(signature, inputs)}
            for name, signature, inputs in CASES
        ],
    }


def main() -> None:
    """Write the file, one case per line, so that a change shows."""
    made = vectors()
    lines = ",\n  ".join(json.dumps(case, ensure_ascii=False, allow_nan=False) for case in made["cases"])
    head = f' "about": {json.dumps(made["about"])},\n "version": {made["version"]},\n "cases": [\n  '
    OUT.write_text("{\n" + head + lines + "\n ]\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
