"""evaluate: metrics with intervals, slices worst first, paired differences, and labels of every form."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from portside.runtimes import samples
from portside.runtimes.base import CompileOptions, runtime
from portside.runtimes.evaluate import differences, evaluate
from portside.runtimes.quality import Task, measure, task_of
from portside.sdk.core.contract import Rule
from portside.sdk.core.data import Data
from portside.sdk.core.errors import InputError
from portside.sdk.core.signature import Signature, TensorSpec

RANDOM = np.random.default_rng(0)


def data_of(sample: samples.Sample, rows: int) -> Data:
    inputs = sample.inputs(rows)
    wrong = np.where(np.arange(rows) < rows // 2, np.arange(rows) % 4 == 0, np.arange(rows) % 20 == 0)
    labels = (sample.truth(inputs)["label"] + wrong) % 3
    half = np.where(np.arange(rows) < rows // 2, "first", "second")
    return Data(inputs, labels=labels, slices={"half": half, "tiny": np.arange(rows) < 5})


def test_metrics_are_overall_and_per_slice_worst_first(mixed) -> None:
    sample, package = mixed
    data = data_of(sample, 400)
    found = evaluate(package, data)
    assert (found.output, found.rows, found.name) == ("label", 400, "mixed")
    assert found.metrics["accuracy"].value == pytest.approx(0.85)
    assert found.metrics["accuracy"].low < 0.85 < found.metrics["accuracy"].high
    assert next(iter(found.slices)) == "half=first"
    assert found.slices["half=first"]["accuracy"].value == pytest.approx(0.75)
    assert (found.slices["tiny=True"], list(found.slices)[-1]) == (None, "tiny=True")
    assert "not enough data" in str(found)


def test_a_package_differs_in_nothing_from_itself(mixed, tmp_path) -> None:
    sample, package = mixed
    artifact = runtime("onnx-cpu").compile(package, CompileOptions(), tmp_path / "artifact")
    found = evaluate(package, data_of(sample, 200), against=artifact)
    assert found.against == package.digest
    assert {key: (held.low, held.value, held.high) for key, held in found.difference.items()} == {
        "accuracy": (0, 0, 0), "balanced accuracy": (0, 0, 0),
    }  # fmt: skip
    assert (found.flips.value, found.slice_difference["tiny=True"]) == (0, None)


def test_evaluations_are_json_and_pages(mixed, tmp_path) -> None:
    sample, package = mixed
    found = evaluate(package, data_of(sample, 100), against=package)
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["quality"]["slices"]["tiny=True"] == "not enough data"
    text = found.to_html(tmp_path / "quality.html").read_text()
    assert all(word in text for word in ("accuracy", "half=first", "answers that differ"))
    assert "<script" not in text


def test_labels_are_needed_and_must_fit(mixed) -> None:
    sample, package = mixed
    with pytest.raises(InputError, match="no labels"):
        evaluate(package, Data(sample.inputs(40)))
    with pytest.raises(InputError, match="fit no output"):
        evaluate(package, Data(sample.inputs(40), labels=np.array(["a"] * 40)))


def binary(rows: int, name: str = "score") -> tuple[Data, list[dict[str, np.ndarray]], dict[str, Rule]]:
    truth = RANDOM.integers(0, 2, rows)
    score = np.clip(truth * 0.3 + RANDOM.random(rows) * 0.7, 0, 1).astype(np.float32)
    label = (score > 0.5).astype(np.int64)
    held = np.where(label == 1, score, 1 - score) if name == "confidence" else score
    outputs = {"label": label, name: np.stack([1 - score, score], 1) if name == "probabilities" else held}
    batches = [{key: value[start : start + 64] for key, value in outputs.items()} for start in range(0, rows, 64)]
    return Data({"x": np.zeros(rows)}, labels=truth), batches, {"label": Rule("decision"), name: Rule("score")}


@pytest.mark.parametrize("name", ["score", "probabilities", "confidence"])
def test_two_classes_give_auc_and_calibration_from_any_score(name: str) -> None:
    data, batches, rules = binary(300, name)
    found = measure(data, batches, rules).metrics
    score = np.concatenate([batch[name] for batch in batches])
    label = np.concatenate([batch["label"] for batch in batches])
    positive = score[:, 1] if name == "probabilities" else np.where(label == 1, score, 1 - score) if name == "confidence" else score
    assert found["auc"].value == pytest.approx(sklearn_metrics.roc_auc_score(data.labels, positive))
    assert found["balanced accuracy"].value == pytest.approx(sklearn_metrics.balanced_accuracy_score(data.labels, label))
    assert found["accuracy"].value == pytest.approx(sklearn_metrics.accuracy_score(data.labels, label))
    assert 0 <= found["ece"].value <= 1


def test_numbers_give_errors_with_intervals() -> None:
    truth = RANDOM.normal(size=200)
    answer = (truth + RANDOM.normal(size=200) * 0.1).astype(np.float32)
    found = measure(Data({"x": truth}, labels=truth), [{"value": answer[:, None]}], {"value": Rule("value")}).metrics
    assert found["mae"].value == pytest.approx(sklearn_metrics.mean_absolute_error(truth, answer))
    assert found["rmse"].value == pytest.approx(sklearn_metrics.root_mean_squared_error(truth, answer))
    assert found["r2"].value == pytest.approx(sklearn_metrics.r2_score(truth, answer), abs=1e-6)
    assert all(held.low <= held.value <= held.high for held in found.values())


def test_names_meet_codes() -> None:
    signature = Signature((), (TensorSpec("label", "i64", ("batch",), categories=("good", "bad")),))
    answers = [{"label": np.array(["good", "bad", "bad", None], dtype=object)}]
    by_code = task_of(Data({"x": np.zeros(4)}, labels=[0, 1, 0, 1]), answers, {"label": Rule("decision")}, signature)
    by_name = task_of(Data({"x": np.zeros(4)}, labels=["good", "bad", "good", "bad"]), answers, {"label": Rule("decision")}, signature)
    assert by_code.per_row.tolist() == by_name.per_row.tolist() == [1, 1, 0, 0]


def test_labels_that_fit_nothing_measure_nothing() -> None:
    rules = {"label": Rule("decision")}
    assert task_of(Data({"x": np.zeros(4)}, labels=np.zeros((4, 2))), [{"label": np.zeros(4, int)}], rules) is None
    assert task_of(Data({"x": np.zeros(4)}, labels=[0, 1, 0, 1]), [{"label": np.zeros((4, 3), int)}], rules) is None
    assert task_of(Data({"x": np.zeros(4)}, labels=[0, 1, 0, 1]), [{"label": np.zeros(3, int)}], rules) is None


def test_a_better_package_has_a_positive_paired_difference() -> None:
    truth = RANDOM.integers(0, 2, 500)
    good = np.where(RANDOM.random(500) < 0.05, 1 - truth, truth)
    poor = np.where(RANDOM.random(500) < 0.15, 1 - truth, truth)
    found = differences(Task("classification", "y", truth, good), Task("classification", "y", truth, poor))
    assert found["accuracy"].low > 0
    assert found["accuracy"].value == pytest.approx((good == truth).mean() - (poor == truth).mean())
