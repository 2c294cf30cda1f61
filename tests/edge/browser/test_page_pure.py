"""Parts of the demo page that need no browser, in node: the safetensors reader, numbers as people read them, typed-in tensors."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

HERE = Path(__file__).parent
Ask = Callable[..., Any]


@pytest.fixture
def ask(node: str) -> Ask:
    """Ask `page_pure.mjs`."""

    def question(topic: str, held: Any = None) -> Any:
        asked = json.dumps({"topic": topic, "question": held})
        done = subprocess.run([node, str(HERE / "page_pure.mjs")], input=asked, capture_output=True, text=True, timeout=60,
                              env={**os.environ, "NODE_NO_WARNINGS": "1"})  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return question


def test_every_dtype_of_a_safetensors_file(ask: Ask, tmp_path: Path) -> None:
    tensors = {
        "f32": np.array([[1.5, -2.25]], np.float32), "f64": np.array([1 / 3]), "i64": np.array([2**40, -1]),
        "i32": np.array([[7], [-8]], np.int32), "u8": np.arange(6, dtype=np.uint8).reshape(1, 2, 3), "bool": np.array([True, False]),
        "i8": np.array([-128, 127], np.int8), "f16": np.array([1.0, -0.5, 65504, 6e-8, 0.333], np.float16),
        "none": np.zeros((0, 3), np.float32), "one": np.array(4.0, np.float32),
    }  # fmt: skip
    save_file(tensors, tmp_path / "t.safetensors", metadata={"made": "here"})
    read = ask("safetensors", {"path": str(tmp_path / "t.safetensors")})
    assert set(read) == set(tensors)
    for name, array in tensors.items():
        assert read[name]["shape"] == list(array.shape)
        np.testing.assert_array_equal(np.array(read[name]["data"], np.float64), array.astype(np.float64).ravel())


@pytest.mark.parametrize("broken", [b"", b"\x05", b"\xff" * 16, "cut"])
def test_a_broken_safetensors_file_is_refused(ask: Ask, tmp_path: Path, broken: bytes | str) -> None:
    path = tmp_path / "t.safetensors"
    save_file({"x": np.ones((4, 4), np.float32)}, path)
    path.write_bytes(path.read_bytes()[:-8] if isinstance(broken, str) else broken)
    assert ask("safetensors", {"path": str(path)})["refused"] == "FormatError"


@pytest.mark.parametrize(("axis", "row"), [(0, 1), (1, 2), (None, 0)])
def test_one_row_of_a_golden_tensor(ask: Ask, axis: int | None, row: int) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    taken = ask("row", {"dtype": "f32", "shape": [2, 3, 4], "data": array.ravel().tolist(), "axis": axis, "row": row})
    truth = array if axis is None else np.take(array, [row], axis)
    assert taken["shape"] == list(truth.shape)
    assert taken["data"] == truth.ravel().tolist()


@pytest.mark.parametrize(
    ("text", "shape", "value"),
    [
        ("[1, 2, 3]", [3], [1, 2, 3]),
        ("1, 2, 3", [3], [1, 2, 3]),
        ("1 2\n3\t4", [2, 2], [[1, 2], [3, 4]]),
        ("1;2;3;4", [2, 2], [[1, 2], [3, 4]]),
        ("[[1, null], [2, 3]]", [2, 2], [[1, "NaN"], [2, 3]]),
        ("-1e-3, +2", [2], [-0.001, 2]),
        ("1, 2", [3], [1, 2]),
        ("7", [], 7),
        ("", [2], None),
        ("[1, 2", [2], None),
        ("one, two", [2], None),
        ('{"a": 1}', [2], None),
    ],
)
def test_a_tensor_that_was_typed_in(ask: Ask, text: str, shape: list[int], value: Any) -> None:
    assert ask("parse", {"text": text, "shape": shape}) == value


def test_figures(ask: Ask) -> None:
    asked = {
        ("percent", 0.9321): "93.2 %", ("percent", 0.9999): "> 99.9 %", ("percent", 1): "100.0 %", ("percent", 0.0001): "< 0.1 %",
        ("percent", 0): "0.0 %", ("percent", 3.5): "3.5", ("bytes", 999): "999 B", ("bytes", 14699985): "14.7 MB",
        ("bytes", 121000): "121 kB", ("milliseconds", 0.01): "< 0.1 ms", ("milliseconds", 4.44): "4.4 ms",
        ("milliseconds", 129.3): "129 ms",
        ("figure", 2.98e-8): "2.98 × 10⁻⁸", ("figure", 12345.678): "12,350", ("figure", 3): "3", ("figure", None): "missing",
        ("shortest", float(np.float32(0.1))): 0.1, ("shortest", float(np.float32(1 / 3))): 0.33333334,
    }  # fmt: skip
    assert ask("figures", list(asked)) == list(asked.values())


def test_pictures_are_known_by_their_shape(ask: Ask) -> None:
    shapes = [[28, 28], [3, 48, 192], [300, 300, 3], [4], [2, 2], [8, 8, 5], ["h", "w"], [1, 16, 16]]
    found = ask("figures", [["layoutOf", shape] for shape in shapes])
    assert [None if layout is None else (layout["height"], layout["width"], layout["channels"], layout["first"]) for layout in found] == [
        (28, 28, 1, False), (48, 192, 3, True), (300, 300, 3, False), None, None, None, None, (16, 16, 1, True),
    ]  # fmt: skip


def test_the_ground_is_the_border(ask: Ask) -> None:
    picture = np.zeros((8, 8), np.uint8)
    picture[2:6, 2:6] = 255
    layout = {"height": 8, "width": 8, "channels": 1, "first": False}
    assert ask("figures", [["ground", picture.ravel().tolist(), layout], ["ground", (255 - picture).ravel().tolist(), layout]]) == [0, 255]


def test_only_the_latest_question_waits(ask: Ask) -> None:
    assert ask("latest") == [1, 4]
