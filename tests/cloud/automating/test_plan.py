"""The section held against the model: thresholds that hold for it, slices that there are, answers that there will be."""

from dataclasses import replace

import packages
import pytest

from portside.cloud.automating.fitting import Threshold
from portside.cloud.automating.plan import plan_of, slice_of
from portside.cloud.automating.thresholds import Fitted, keep_thresholds, read_thresholds, write_thresholds
from portside.cloud.deployment.automation import Automation
from portside.cloud.deployment.review import Review
from portside.sdk.core.errors import FormatError
from portside.sdk.core.signature import Signature, TensorSpec

PACKAGE = "sha256:1"
PARTIAL = {"level": "partial", "target_error": 0.05, "score": "either(score)"}


def found(value=0.9, **rest):
    return Threshold(value, "fitted" if value else "not enough data", **{"target_error": 0.05, "delta": 0.1, "people_error": 0.0,
                                                                        "rows": 500, **rest})  # fmt: skip


def fitted(slices=None, **rest):
    return Fitted(**{"deployment": "tester", "package": PACKAGE, "score": "either(score)", "output": "label", "fitted_ms": 5,
                     "slices": slices or {"": found()}, **rest})  # fmt: skip


def made(folder, settings=PARTIAL, review=None, default=True, **rest):
    return plan_of(Automation(**settings), review or Review(), packages.SIGNATURE, PACKAGE, folder, default, **rest)


def test_thresholds_of_the_file_are_in_the_dial(tmp_path):
    assert made(tmp_path).dial.threshold is None
    write_thresholds(tmp_path / "automation.json", fitted())
    plan = made(tmp_path)
    assert (plan.dial.threshold, plan.output, str(plan.score)) == (0.9, "label", "either(score)")
    assert read_thresholds(tmp_path / "automation.json") == fitted() == plan.fitted
    assert made(tmp_path, thresholds=False).dial.threshold is None


def test_a_slice_without_a_threshold_is_not_automated_by_that_of_the_others(tmp_path):
    settings = {**PARTIAL, "slices": {"label=bad": {}, "label=good": {"level": "full"}}}
    write_thresholds(tmp_path / "automation.json", fitted({"": found(), "label=bad": found(None)}))
    dial = made(tmp_path, settings).dial
    assert (dial.threshold, dial.of("label=bad").threshold, dial.of("label=good").level) == (0.9, None, "full")


@pytest.mark.parametrize(
    ("change", "what"), [({"package": "sha256:2"}, "another package"), ({"score": "score"}, "another score"), ({"output": "x"}, "output")]
)
def test_thresholds_of_something_else_are_refused(tmp_path, change, what):
    write_thresholds(tmp_path / "automation.json", fitted(**change))
    with pytest.raises(FormatError, match=what):
        made(tmp_path)


@pytest.mark.parametrize("weaker", [{"target_error": 0.06}, {"delta": 0.2}, {"people_error": 0.01}])
def test_thresholds_for_a_weaker_promise_are_refused(tmp_path, weaker):
    write_thresholds(tmp_path / "automation.json", fitted({"": replace(found(), **weaker)}))
    with pytest.raises(FormatError, match="weaker promise"):
        made(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"version": 2}', "\x00"])
def test_a_file_that_is_none(tmp_path, content):
    (tmp_path / "automation.json").write_text(content)
    with pytest.raises(FormatError, match="cannot be read"):
        made(tmp_path)


def test_a_default_while_waiting_needs_one(tmp_path):
    settings = {**PARTIAL, "while_waiting": "default"}
    assert made(tmp_path, settings).dial.while_waiting == "default"
    with pytest.raises(FormatError, match="needs a default"):
        made(tmp_path, settings, default=False)


def test_in_the_shadow_the_model_does_not_answer_after_the_deadline_either(tmp_path):
    made(tmp_path, {"level": "shadow"}, Review(deadline_s=5.0, on_expiry="none"))
    with pytest.raises(FormatError, match="deadline"):
        made(tmp_path, {"level": "shadow"}, Review(deadline_s=5.0))
    with pytest.raises(FormatError, match="there is not"):
        made(tmp_path, review=Review(output="nope"))


def test_levels_without_a_threshold_need_no_score(tmp_path):
    assert made(tmp_path, {"level": "assist"}).score is None
    with pytest.raises(FormatError, match="do not say"):
        made(tmp_path, {"level": "partial", "target_error": 0.1})


SPECS = Signature(
    (
        TensorSpec("cell", "i32", ("batch",), categories=("mono", "poly")),
        TensorSpec("plant", "i64", ("batch",)),
        TensorSpec("night", "bool", ("batch",)),
        TensorSpec("site", "string", ("batch",)),
        TensorSpec("heat", "f32", ("batch",)),
        TensorSpec("wide", "i32", ("batch", 2)),
    ),
    (),
)


@pytest.mark.parametrize(("name", "value"), [("cell=poly", 1), ("plant=-3", -3), ("night=true", True), ("site=a=b", "a=b")])
def test_slices_are_values_as_tensors_hold_them(name, value):
    held = slice_of(name, SPECS)
    assert (held.name, held.value, held.output) == (name, value, False)


@pytest.mark.parametrize("name", ["cell=thin", "nope=1", "heat=1", "wide=1", "plant=two", "night=maybe"])
def test_slices_that_there_are_not(name):
    with pytest.raises(FormatError):
        slice_of(name, SPECS)


def test_the_first_slice_that_fits_counts(tmp_path):
    settings = {**PARTIAL, "slices": {"label=bad": {}, "label=good": {}}}
    plan = made(tmp_path, settings)
    assert plan.names({}, {"label": [1, 0, 1]}, 3) == ["label=bad", "label=good", "label=bad"]
    assert plan.names({}, {}, 2) == [None, None]  # a model that was not asked has no label to be sliced by


def test_what_was_taken_up_stays_whatever_is_fitted_since(tmp_path):
    kept = keep_thresholds(tmp_path / "generation", fitted())
    write_thresholds(tmp_path / "automation.json", fitted({"": found(0.5)}))
    assert keep_thresholds(tmp_path / "generation", fitted()) == kept and read_thresholds(kept) == fitted()
    settings = {**PARTIAL, "thresholds": str(kept)}  # as a generation names it
    assert made(tmp_path, settings).dial.threshold == 0.9 and made(tmp_path).dial.threshold == 0.5
    assert read_thresholds(keep_thresholds(tmp_path / "generation", None)) is None
