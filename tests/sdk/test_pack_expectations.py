"""Expectations travel: in the package's digest, in its artifacts, into the audit that nobody told of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import portside as ps
from portside.runtimes.expectations import stored
from portside.sdk.core.errors import FormatError, InputError
from portside.sdk.core.expectations import FILE
from portside.sdk.core.package import write

X = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
Y = (X @ np.array([2.0, 1.0, 0.0]) > 0).astype(int)
MODEL = LogisticRegression().fit(X, Y)
EXPECTED = [ps.Perturbation(1e-6), ps.Direction("x", "probabilities", by=0.5, column=1), ps.Invariance("x", scale=1.0001, at_most=0.02)]


def pack(folder: Path, **changes) -> ps.Package:
    return ps.pack(
        MODEL, **{"name": "credit", "examples": {"x": X[:100]}, "labels": Y[:100], "expectations": EXPECTED, "out": folder, **changes}
    )


def test_expectations_travel_and_are_asked(tmp_path: Path) -> None:
    package = pack(tmp_path / "with")
    assert stored(package) == tuple(EXPECTED)
    assert FILE in package.content.files
    artifact = ps.compile(package, out=tmp_path / "artifact")
    assert stored(artifact) == tuple(EXPECTED)
    data = ps.Data({"x": X}, Y)
    found = ps.audit(artifact, package, data)
    assert [held.name for held in found.expectations] == [str(held) for held in EXPECTED]
    assert found, str(found)
    assert ps.audit(artifact, package, data, expectations=()).expectations == ()


def test_a_package_whose_expectations_are_damaged_is_not_audited(tmp_path: Path) -> None:
    package = pack(tmp_path / "with")
    files = {name: package.path / name for name in package.content.files}
    broken = write(replace(package.content, files={}), {**files, FILE: json.dumps({"expectations": [{"kind": "hope"}]}).encode()},
                   tmp_path / "broken")  # fmt: skip
    with pytest.raises(FormatError, match="hope"):
        ps.audit(broken, package, ps.Data({"x": X}))


@pytest.mark.parametrize(
    ("wrong", "error", "word"),
    [
        (["a is fine"], InputError, "not an expectation"), ("a", InputError, "not a list"),
        ([ps.Invariance("d", scale=2)], InputError, "d"), ([ps.Perturbation(1, fields=("x", "d"))], InputError, "d"),
        ([ps.Direction("x", "nothing")], FormatError, "nothing"), ([ps.Invariance(change=dict)], InputError, "cannot be stored"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_travel_is_refused_and_nothing_is_written(wrong, error, word: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=word):
        pack(tmp_path / "made", expectations=wrong)
    assert list(tmp_path.iterdir()) == []
