"""Small made packages for the tests of packages, stores and cards: nothing in them is ever run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import portside.sdk.core.package as package_module
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, PROFILE, WEIGHTS, Annotations, Content, Stage
from portside.sdk.core.package import Package
from portside.sdk.core.signature import Signature, StatePair, TensorSpec

Make = Callable[..., Package]


def content(**changes: Any) -> Content:
    signature = Signature(
        inputs=(TensorSpec("x", "f32", ("batch", 3), unit="mm", range=(0.0, 1.0)), TensorSpec("h", "f32", (1, 2), batch_axis=None)),
        outputs=(TensorSpec("label", "i64", ("batch",), categories=("no", "yes"), kind="decision"), TensorSpec("h_out", "f32", (1, 2))),
        state=(StatePair("h_out", "h", (1, 2)),),
    )
    stages = (Stage("graph", "main", "program/00-main.onnx", ("x", "h"), ("label", "h_out")),)
    known = {"signature": signature, "stages": stages, "files": {}, "boundaries": {"features": ("x",)}}
    return Content(**{**known, **changes})


def contract() -> Contract:
    inputs = {"x": np.eye(3, dtype=np.float32)}
    firm = {"label": np.array([True, True, False])}
    case = Case(inputs, {"label": np.array([0, 1, 1])}, firm, ("random",) * 3, {"site": ("a", "a", "b")})
    return Contract((case,), {"label": Rule("decision")}, licence="MIT", shareable=True)


def files(weights: bytes = b"weights") -> dict[str, bytes]:
    head, cases = contract().to_bytes()
    return {
        "program/00-main.onnx": b"a graph", WEIGHTS: weights, "codec/words.txt": b"a\nb\n", "host/00-clean.py": b"def clean(x): return x\n",
        CONTRACT: head, CONTRACT_TENSORS: cases, PROFILE: b"{}", "training/config.json": b"{}",
    }  # fmt: skip


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """make(folder="p", name="cell", weights=b"...", notes={...}, note_files={...}, **content changes) -> Package."""

    def write(folder: str | Path = "p", name: str = "cell", weights: bytes = b"weights", notes: Mapping[str, Any] | None = None,
              note_files: Mapping[str, bytes] | None = None, **changes: Any) -> Package:  # fmt: skip
        noted = {"annotations/report.html": b"<p>fine</p>"} if note_files is None else note_files
        annotations = Annotations(name, {"owner": "ana"} if notes is None else notes)
        return package_module.write(content(**changes), files(weights), tmp_path / folder, annotations, noted)

    return write
