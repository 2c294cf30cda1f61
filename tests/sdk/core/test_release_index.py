"""An index says exactly which bytes a release is, or is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from portside.sdk.core.errors import FormatError
from portside.sdk.core.release import ReleasePart
from portside.sdk.core.release_index import ChunkedFile, ReleaseIndex, check_whole, platform_of

D, A, B = "sha256:" + "0" * 64, "a" * 64, "b" * 64
INDEX = ReleaseIndex("line/inspector", "tflite", "tflite", 3, D, D, D,
                     (ChunkedFile("artifact.json", 10, A, (A,)), ChunkedFile("engine/m.bin", 5000, B, (B, A)),
                      ChunkedFile("contract/empty", 0, A, ())), 4990, 2)  # fmt: skip


def test_it_comes_back_from_its_bytes() -> None:
    assert ReleaseIndex.from_bytes(INDEX.to_bytes()) == INDEX
    assert ReleaseIndex.from_bytes(replace(INDEX, rolls_back_to=None).to_bytes()).rolls_back_to is None
    assert b"rolls_back_to" not in replace(INDEX, rolls_back_to=None).to_bytes()
    assert INDEX.path == "releases/line/inspector/tflite/3.index.json"
    assert (INDEX.size_bytes, INDEX.chunks()) == (5010, {A: 10, B: 4990})
    check_whole(json.loads(INDEX.to_bytes()))


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2}, {"sequence": 0}, {"sequence": 3.0}, {"sequence": True}, {"sequence": "3"}, {"sequence": 1 << 31},
        {"rolls_back_to": 3}, {"rolls_back_to": 0}, {"release": "x"}, {"platform": "../x"}, {"platform": "TFLite"}, {"name": 3},
        {"chunk_bytes": 10}, {"chunk_bytes": 1 << 30}, {"files": []}, {"files": {}}, {"files": None}, {"files": ["x"]},
    ],
)  # fmt: skip
def test_fields_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        ReleaseIndex.from_bytes(json.dumps({**INDEX.to_dict(), **change}).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"path": "../up"}, {"path": "/etc/passwd"}, {"path": "a\\b"}, {"path": ""}, {"path": "a/../b"},
        {"path": 3}, {"size": -1}, {"size": 10.0}, {"size": 5000}, {"sha256": "x"}, {"sha256": A.upper()},
        {"chunks": A}, {"chunks": [3]}, {"chunks": []},
        {"chunks": ["../" + A[3:]]}, {"path": "ENGINE/m.bin"}, {"path": "engine"}, {"path": "engine/m.bin"},
    ],
)  # fmt: skip
def test_files_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    data = INDEX.to_dict()
    data["files"][0] = {**data["files"][0], **change}
    with pytest.raises(FormatError):
        ReleaseIndex.from_bytes(json.dumps(data).encode())


def test_a_chunk_has_one_size() -> None:
    two = replace(INDEX, files=(ChunkedFile("a", 10, A, (A,)), ChunkedFile("b", 11, A, (A,))))
    with pytest.raises(FormatError, match="two sizes"):
        two.chunks()


def test_platforms_by_name() -> None:
    assert platform_of(ReleasePart("tflite", "any", D, "passed", 1)) == "tflite"
    assert platform_of(ReleasePart("tensorrt", "cuda/sm_90", D, "passed", 1)) == "tensorrt.cuda-sm_90"


@pytest.mark.parametrize("value", [{"a": [1, {"b": 0.5}]}, 1.0, (2.0,)])
def test_whole_numbers_only(value: Any) -> None:
    check_whole({"a": [1, "x", None, True]})
    with pytest.raises(FormatError, match="not whole"):
        check_whole(value)
