"""A slip in what pack is given is one typed error that names it, before any work, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import portside as ps
from portside.sdk.core.errors import FormatError, InputError, PortsideError, StoreError

ROWS = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
NET = torch.nn.Linear(4, 3).eval()


def answer(model: Any, x: torch.Tensor) -> dict[str, torch.Tensor]:
    logits = model(x)
    return {"label": logits.argmax(-1), "score": logits.softmax(-1).amax(-1)}


def double(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def pack(folder: Path, model: Any = NET, **changes: Any) -> ps.Package:
    given = {"name": "net", "featurize": double, "predict": answer, "examples": {"x": ROWS}, "out": folder / "made" / "net", **changes}
    return ps.pack(model, **given)


SLIPS: dict[str, tuple[dict[str, Any], type[PortsideError], str]] = {
    "name of no store": ({"name": "../Upper Case"}, StoreError, "name"),
    "name that is no text": ({"name": None}, FormatError, "None"),
    "featurize": ({"featurize": 3}, InputError, "featurize"),
    "predict": ({"predict": "answer"}, InputError, "predict"),
    "signature": ({"signature": 3}, InputError, "signature"),
    "signature of other inputs": ({"signature": ps.signature({"other": ROWS})}, InputError, "other"),
    "evidence that is no Data": ({"evidence": ROWS}, InputError, "evidence"),
    "evidence of other columns": ({"evidence": ps.Data(inputs={"other": ROWS})}, InputError, "other"),
    "labels by name": ({"labels": {"label": np.zeros(40)}}, InputError, "labels"),
    "labels of another length": ({"labels": np.zeros(10)}, InputError, "labels"),
    "slices without names": ({"slices": ["a"] * 40}, InputError, "slices"),
    "slices of another length": ({"slices": {"site": ["a"] * 10}}, InputError, "site"),
    "slices with two axes": ({"slices": {"site": ROWS}}, InputError, "site"),
    "kind": ({"kinds": {"label": "guess"}}, FormatError, "guess"),
    "kind of no output": ({"kinds": {"other": "decision"}}, FormatError, "other"),
    "tolerance of no output": ({"tolerances": {"other": {"atol": 1.0}}}, FormatError, "other"),
    "tolerance of no kind": ({"tolerances": {"score": {"distance": 1.0}}}, FormatError, "distance"),
    "negative tolerance": ({"tolerances": {"score": {"atol": -1.0}}}, InputError, "score"),
    "tolerance that is no number": ({"tolerances": {"score": {"atol": float("nan")}}}, InputError, "score"),
    "dynamic of no input": ({"dynamic": {"other": {1: "columns"}}}, InputError, "other"),
    "dynamic without names": ({"dynamic": {"x": [1]}}, InputError, "dynamic"),
    "image of no input": ({"image": {"photo": ps.Image(max=(8, 8))}}, InputError, "photo"),
    "image without a size": ({"image": {"x": 3}}, InputError, "image"),
    "codec without a step": ({"codec": {"x": "Categories"}}, InputError, "codec"),
    "state without an input": ({"state": {"score": "x"}}, InputError, "state"),
    "objects": ({"examples": {"x": ROWS.astype(object)}}, InputError, "x"),
    "rows of different lengths": ({"examples": {"x": [[1.0, 2.0], [1.0]]}}, InputError, "x"),
    "text for a traced program": ({"examples": {"x": np.full((40, 4), "a")}}, InputError, "x"),
    "no examples": ({"examples": None}, InputError, "x"),
    "beyond int32": ({"examples": {"x": np.full((40, 4), 1 << 40)}}, InputError, "int32"),
    "an estimator that was not fitted": ({"model": LogisticRegression(), "featurize": None, "predict": None}, InputError, "fit"),
    "an ONNX file without a graph": ({"model": b"", "featurize": None, "predict": None}, FormatError, "ONNX"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_named_and_nothing_is_left(slip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTSIDE_HOME", str(tmp_path / "home"))
    changes, kind, named = SLIPS[slip]
    with pytest.raises(kind) as caught:
        pack(tmp_path, **changes)
    told = f"{caught.value} {getattr(caught.value, 'field', '')}"
    assert named in told
    assert not list(tmp_path.rglob("*"))


def test_a_folder_that_is_taken_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("notes")
    calls: list[int] = []

    def counted(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return x

    with pytest.raises(StoreError):
        pack(tmp_path, featurize=counted, out=tmp_path)
    assert not calls
    assert [item.name for item in tmp_path.iterdir()] == ["mine"]


def test_evidence_of_a_program_that_is_refused_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTSIDE_HOME", str(tmp_path / "home"))
    with pytest.raises(InputError):
        pack(tmp_path, evidence=ps.Data(inputs={"x": ROWS}), slices={"site": ["a"]})
    assert not (tmp_path / "home").exists()


def test_two_columns_of_one_name_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(InputError, match="two columns") as caught:
        ps.signature(pandas.DataFrame(ROWS, columns=["a", "b", "c", "a"]))
    assert caught.value.field == "a"
