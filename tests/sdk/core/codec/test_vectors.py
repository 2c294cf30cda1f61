"""The published vectors: every implementation passes them, this one first."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.codec.resize import taps
from portside.sdk.core.errors import InputError

FOLDER = next(parent for parent in Path(__file__).parents if parent.name == "tests") / "vectors" / "codec"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json") if path.stem != "resize_weights")


def tensor(data: dict[str, Any]) -> np.ndarray:
    if data["dtype"] == "u8":
        return np.frombuffer(base64.b64decode(data["base64"]), np.uint8).reshape(data["shape"])
    values = [np.nan if value is None else float(value) for value in data["data"]]
    return np.array(values, {"i32": np.int32, "f64": np.float64}[data["dtype"]]).reshape(data["shape"])


def check(codec: Codec, case: dict[str, Any], tolerance: int) -> None:
    if "refused" in case:
        with pytest.raises(InputError) as caught:
            codec.encode(case["wire"])
        assert {"field": caught.value.field, "row": caught.value.row} == case["refused"]
        return
    typed = codec.encode(case["wire"])
    assert list(typed) == list(case["typed"])
    for name, expected in case["typed"].items():
        pairs = zip(typed[name], expected, strict=True) if isinstance(expected, list) else [(typed[name], expected)]
        for got, wanted in pairs:
            assert got.shape == tuple(wanted["shape"]) and got.dtype == tensor(wanted).dtype
            np.testing.assert_allclose(got.astype(float), tensor(wanted).astype(float), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_vectors(name: str):
    data = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    codec = Codec.from_steps(data["steps"], lambda path: base64.b64decode(data["files"][path]))
    assert data["cases"] and list(codec.steps) == data["steps"]
    for case in data["cases"]:
        check(codec, case, data["tolerance"])


def test_every_kind_has_vectors():
    kinds = {json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["steps"][0]["kind"] for name in NAMES}
    assert kinds == {"image", "categories", "number", "wordpiece", "bpe"}


def test_resize_weights():
    for entry in json.loads((FOLDER / "resize_weights.json").read_text(encoding="utf-8")):
        assert [[first, weights.tolist()] for first, weights in taps(entry["size"], entry["out"])] == entry["taps"]
