"""Recipes as data: what a file holds is what runs."""

from __future__ import annotations

import json

import pytest

import portside as ps
from portside.compress.recipe import recipe_of
from portside.sdk.core import errors

TEXT = """
[[pass]]
kind = "quantize"
precision = "int8-static"
calibration = "percentile"
percentile = 99.9
keep = ["main/Gemm_2"]

[gates]
max_drop = 0.005
"""


def test_a_file_and_the_objects_are_the_same(tmp_path):
    (tmp_path / "recipe.toml").write_text(TEXT)
    found = ps.Recipe.from_file(tmp_path / "recipe.toml")
    assert found == ps.Recipe([ps.Quantize("int8-static", "percentile", 99.9, keep=("main/Gemm_2",))], ps.Budget(max_drop=0.005))
    assert ps.Recipe.from_dict(found.to_dict()) == found
    assert recipe_of(tmp_path / "recipe.toml") == found


def test_json_holds_the_same(tmp_path):
    (tmp_path / "recipe.toml").write_text(TEXT)
    recipe = ps.Recipe.from_file(tmp_path / "recipe.toml")
    (tmp_path / "recipe.json").write_text(json.dumps(recipe.to_dict()))
    assert recipe_of(str(tmp_path / "recipe.json")) == recipe


@pytest.mark.parametrize("text", [
    "{", "[]", '{"pass": 3}', '{"pass": [3]}', '{"pass": [{"kind": "qat", "kind": "qat"}]}', '{"pass": []}', '{"pass": [{"kind": [1]}]}',
    *(f'{{"pass": [{{"kind": "quantize", "precision": "float16"}}], "gates": {held}}}' for held in ("[]", "3", "null")),
    '{"pass": [{"kind": "distil", "student": "sklearn.tree:DecisionTreeClassifier", "options": "ab"}]}',
])  # fmt: skip
def test_json_that_is_no_recipe_is_refused(tmp_path, text):
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(errors.InputError):
        recipe_of(tmp_path / "recipe.json")


def test_a_class_or_one_pass_is_a_recipe():
    assert recipe_of("float16") == recipe_of(ps.Quantize("float16")) == ps.Recipe([ps.Quantize("float16")])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "needs a pass"), ({"pass": [{"kind": "melt"}]}, "no such pass"), ({"passes": []}, "no such part"),
        ({"pass": [{"kind": "quantize"}]}, "option"), ({"pass": [{"kind": "quantize", "precision": "int3"}]}, "precision"),
        ({"pass": [{"kind": "quantize", "precision": "float16", "colour": 1}]}, "colour"),
        ({"pass": [{"kind": "quantize", "precision": "int8-static", "calibration": "guess"}]}, "calibration"),
        ({"pass": [{"kind": "quantize", "precision": "float16"}], "gates": {"max_loss": 1}}, "no limit 'max_loss'"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused_where_it_is_read(data, message):
    with pytest.raises(errors.InputError, match=message):
        ps.Recipe.from_dict(data)


@pytest.mark.parametrize("text", ["[[pass]", "\x00", "pass = 3"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path, text):
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(errors.InputError):
        ps.Recipe.from_file(tmp_path / "recipe.toml")
    with pytest.raises(errors.InputError, match="neither"):
        recipe_of(str(tmp_path / "absent.toml"))
