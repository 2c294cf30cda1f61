"""The card says what the package says, says what it does not say, and cannot be broken by a name."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace

import pytest

from portside.sdk.card import card, limits, read_contract
from portside.sdk.core.errors import IntegrityError
from portside.sdk.core.manifest import Stage
from portside.sdk.core.package import Package, annotate
from portside.sdk.core.signature import Signature, TensorSpec

Make = Callable[..., Package]
FULL = {
    "owner": "ana", "licence": "MIT", "version": 3, "description": "Finds cracks.", "tags": ["solar"],
    "created": "2026-01-02T03:04:05+00:00",
    "metrics": {"accuracy": {"value": 0.9123, "low": 0.9, "high": 0.92, "rows": 525}, "size": 3},
    "git": {"commit": "abc123", "dirty": True}, "environment": {"python": "3.11.9", "numpy": "2.4.6"},
}  # fmt: skip


def test_a_card_says_what_the_package_says(make: Make) -> None:
    parent = "sha256:" + "1" * 64
    text = card(make(notes=FULL, parents=(parent,), recipe=({"pass": "prune"},), evidence="sha256:" + "2" * 64))
    for said in (
        'license: "MIT"', 'tags: ["portside", "solar"]', "# cell:3", "Finds cracks.", "- owner: ana",
        "| in | `x` | f32 | (batch, 3) | mm | range 0 to 1, outside: flag |",
        "| out | `label` | i64 | (batch) |  | kind decision; one of no, yes; unknown: flag |",
        "`h_out` of one call is `h` of the next", "| `main` | graph | `program/00-main.onnx` | every target |",
        "3 golden rows in 1 calls. Licence of the inputs: MIT.", "| `label` | decision | defaults |",
        "| accuracy | 0.9123 [0.9, 0.92] on 525 rows |", "The contract holds 3 rows", "The model is stateful",
        f"derived from `{parent}`", "made by `prune`", "git `abc123`, with uncommitted changes", "python 3.11.9, numpy 2.4.6",
    ):  # fmt: skip
        assert said in text, said
    assert "No evidence" not in text


def test_a_card_says_what_is_missing(make: Make) -> None:
    stage = Stage("host", "clean", "host/00-clean.py", ("x",), ("label",), "clean", ("onnx-cpu",), "line 3: numpy")
    package = make(notes={}, stages=(stage,))
    text = card(package)
    for said in ("No evidence set", "No licence of the model", "trust=True", "`clean` runs only on onnx-cpu: line 3: numpy",
                 "None are attached", "first of its line"):  # fmt: skip
        assert said in text, said
    assert limits(package, None)[0].startswith("There is no contract")


def test_the_code_of_a_card_is_python(make: Make) -> None:
    odd = 'a"b`c\n|</td>'
    signature = Signature((TensorSpec(odd, "f32", ("batch",)),), (TensorSpec(odd, "f32", ("batch",), unit="|"),))
    package = make(signature=signature, stages=())
    package = annotate(package, name=odd, owner="<script>alert(1)</script>\n# Owned")
    text = card(package)
    code = text.split("```python\n")[1].split("\n```")[0]
    opened = ast.parse(code).body[1]
    assert isinstance(opened, ast.Assign) and isinstance(opened.value, ast.Call)
    assert ast.literal_eval(opened.value.args[0]) == f"{odd}@{package.digest}"
    assert "<script" not in text and "\n# Owned" not in text
    assert text.count("```") == 2


def test_wire_fields_stand_for_the_tensors_that_are_made_from_them(make: Make) -> None:
    step = {"kind": "image", "field": "photo", "produces": ["x"], "options": {}}
    assert 'predict({"photo": ...})' in card(make(codec=(step,)))
    assert 'predict({"x": ...})' in card(make("plain"))  # `h` is state, which callers never send


def test_a_changed_contract_is_not_shown(make: Make) -> None:
    package = make()
    contract = read_contract(package)
    assert contract is not None and contract.rows == 3
    (package.path / "contract/contract.json").write_bytes(b"{}")
    with pytest.raises(IntegrityError):
        card(package)


def test_the_card_stays_the_same_while_nothing_changes(make: Make) -> None:
    package = make(notes=FULL)
    assert card(package) == card(replace(package, trusted=True))
