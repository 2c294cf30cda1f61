"""audit: nothing is lost against oneself; what is lost is found, per slice, with its rows; what the data cannot say is said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from portside.runtimes.audit import audit
from portside.runtimes.base import CompileOptions, runtime
from portside.runtimes.changes import Labelled
from portside.runtimes.gates import judged
from portside.runtimes.quality import Task
from portside.runtimes.samples import graph_model, node
from portside.sdk.core.budget import Budget
from portside.sdk.core.contract import Case, Rule
from portside.sdk.core.data import Data
from portside.sdk.core.errors import InputError
from portside.sdk.core.signature import Signature, TensorSpec

ROWS = 3200
X = np.random.default_rng(1).random((ROWS, 2)).astype(np.float32)
TRUTH = (X.sum(1) > 1).astype(np.int64)
SITE = np.where(X[:, 0] > 0.5, "right", "left")
RANK = {"failed": 0, "not enough data": 1, "passed": 2}
SIGNATURE = Signature(
    (TensorSpec("x", "f32", ("batch", 2)),),
    (TensorSpec("label", "i64", ("batch",), kind="decision"), TensorSpec("score", "f32", ("batch",), kind="score"),
     TensorSpec("total", "f32", ("batch",), kind="value"), TensorSpec("place", "f32", ("batch", 2), kind="embedding")),
)  # fmt: skip
RULES = {"label": Rule("decision"), "score": Rule("score"), "total": Rule("value"), "place": Rule("embedding")}


def model(threshold: float, hole: float, first: float):
    """score = sigmoid(x1 * first + x2 - threshold), NaN where x1 < hole; label = score > 0.5; total = x1 * first + x2; place = x."""
    nodes = [
        node("Mul", ["x", "weights"], "weighed"), node("ReduceSum", ["weighed", "axes"], "total", keepdims=0),
        node("Sub", ["total", "threshold"], "over"), node("Gather", ["x", "zero"], "x1", axis=1), node("Sub", ["x1", "hole"], "above"),
        node("Max", ["above", "none"], "clipped"), node("Div", ["clipped", "clipped"], "one"), node("Mul", ["over", "one"], "logit"),
        node("Sigmoid", ["logit"], "score"), node("Greater", ["score", "half"], "bigger"), node("Cast", ["bigger"], "label", to=6),
        node("Add", ["x", "zeros"], "place"),
    ]  # fmt: skip
    constants = {
        "weights": np.array([first, 1], np.float32), "axes": np.array([1], np.int64), "threshold": np.array(threshold, np.float32),
        "zero": np.array(0, np.int64), "hole": np.array(hole, np.float32), "none": np.array(0, np.float32),
        "half": np.array(0.5, np.float32), "zeros": np.array([0, first - 1], np.float32),
    }  # fmt: skip
    return graph_model(SIGNATURE, nodes, constants)


@pytest.fixture
def made(make_package):
    """(threshold, hole, first weight) -> package; a hole below which scores are NaN."""

    def make(threshold: float = 1.0, hole: float = -1.0, first: float = 1.0, name: str = "made"):
        x = X[:64]
        total = x @ np.array([first, 1], np.float32)
        score = (1 / (1 + np.exp(threshold - total))).astype(np.float32)
        outputs = {"label": (score > 0.5).astype(np.int64), "score": score, "total": total, "place": x}
        return make_package(SIGNATURE, [("main", model(threshold, hole, first))], cases=[Case({"x": x}, outputs, why=("random",) * 64)],
                            rules=RULES, name=name)  # fmt: skip

    return make


@pytest.fixture
def data() -> Data:
    labels = np.where(np.arange(ROWS) % 10 == 0, 1 - TRUTH, TRUTH)
    return Data({"x": X}, labels=labels, slices={"site": SITE, "tiny": np.arange(ROWS) < 3})


ALL = Budget(max_drop=0.01, max_slice_drop=0.01, max_flips=0.01)


def test_a_package_loses_nothing_against_itself(made, data) -> None:
    package = made()
    found = audit(package, package, data, gates=ALL)
    assert found
    assert [gate.verdict for gate in found.gates] == ["passed"] * 3
    assert {(held.drop.low, held.drop.value, held.drop.high) for held in found.changes.values()} == {(0, 0, 0)}
    assert list(found.changes) == ["accuracy", "auc", "ece"]
    assert found.changes["accuracy"].before.value == pytest.approx(0.9)
    assert (found.flips[0].count, found.flips[0].examples, found.flips[0].broken) == (0, (), 0)
    moved = {held.output: held.figures for held in found.drifts}
    assert moved["place"]["cosine_min"] == moved["place"]["neighbour_overlap"] == 1
    assert moved["total"]["max"] == 0


def test_labels_are_held_against_the_output_that_they_are_about(made) -> None:
    package, numbers = made(), Data({"x": X}, labels=X.sum(1))
    about = audit(package, package, numbers, output="total")
    assert about.changes["mae"].before.value == pytest.approx(0, abs=1e-6)
    assert audit(package, package, numbers).changes["mae"].before.value > 0.3  # the score, which comes first
    decided = audit(package, package, Data({"x": X}, labels=TRUTH), output="label")
    assert list(decided.changes) == ["accuracy", "auc", "ece"]


def test_an_artifact_is_audited_on_its_own_session(made, data, tmp_path) -> None:
    package = made()
    artifact = runtime("onnx-cpu").compile(package, CompileOptions(), tmp_path / "artifact")
    found = audit(artifact, package, data, gates=ALL)
    assert (found.target, found.verdict, found.subject) == ("onnx-cpu", "passed", package.digest)


def test_what_is_worse_is_found_where_it_is(made, data) -> None:
    found = audit(made(first=1.2, name="worse"), made(), data, gates=ALL)
    assert found.verdict == "failed"
    drop = found.changes["accuracy"].drop
    assert 0 < drop.low < drop.value < drop.high
    assert next(iter(found.slices)) == "site=right"
    assert found.slices["site=right"]["accuracy"].drop.value > found.slices["site=left"]["accuracy"].drop.value
    assert list(found.slices)[-1] == "tiny=True"
    assert found.slices["tiny=True"] is None
    (flips,) = found.flips
    assert next(iter(flips.slices)) == "site=right"
    assert len(flips.examples) == 20
    first = flips.examples[0]
    assert (first.before, first.after, first.label) == ("0", "1", "0"), "rows that were right come first"
    assert float(first.before_score) < 0.5 < float(first.after_score)
    assert first.slices["site"] == SITE[first.row]
    assert found.changes["auc"].drop.low > 0
    truth, score = data.labels == 1, [1 / (1 + np.exp(1 - X @ np.array([first, 1], np.float32))) for first in (1.0, 1.2)]
    areas = [sklearn_metrics.roc_auc_score(truth, held) for held in score]
    assert found.changes["auc"].drop.value == pytest.approx(areas[0] - areas[1], abs=1e-5)


def test_what_is_better_has_a_negative_drop(made, data) -> None:
    found = audit(made(), made(threshold=1.3, name="worse"), data, gates=Budget(max_drop=0.01))
    assert found
    assert found.changes["accuracy"].drop.high < 0


def test_a_small_slice_is_named_and_does_not_decide(made, data) -> None:
    package = made()
    (gate,) = audit(package, package, data, gates=Budget(max_slice_drop=0.01)).gates
    assert gate.verdict == "passed"
    assert "not enough data in tiny=True (3 rows)" in gate.note
    only = Data(data.inputs, data.labels, {"tiny": np.where(np.arange(ROWS) < 3, "a", np.arange(ROWS) % 16)})
    (gate,) = audit(package, package, only, gates=Budget(max_slice_drop=0.01)).gates
    assert gate.verdict == "not enough data"
    assert "300 rows are needed in a slice" in gate.note


@pytest.mark.parametrize(
    ("labels", "slices", "gates", "says"),
    [
        (False, True, Budget(max_drop=0.1), "labels"), (False, True, Budget(max_slice_drop=0.1), "labels"),
        (True, False, Budget(max_slice_drop=0.1), "slices"), (True, True, Budget(max_drop=0.0), "no number of rows"),
        (True, True, Budget(max_flips=0.0), "no number of rows"), (True, True, Budget(max_slice_drop=0.0), "no number of rows"),
    ],
)  # fmt: skip
def test_what_the_data_cannot_say_is_not_enough_data(labels: bool, slices: bool, gates: Budget, says: str, made, data) -> None:
    package, rows = made(), Data(data.inputs, data.labels if labels else None, data.slices if slices else {})
    found = audit(package, package, rows, gates=gates)
    assert (found.verdict, bool(found)) == ("not enough data", False)
    assert says in found.gates[0].note
    assert says in str(found)


def test_few_rows_never_pass_and_may_fail(made, data) -> None:
    package = made()
    few = data.take(range(100))
    assert audit(package, package, few, gates=Budget(max_flips=0.01)).verdict == "not enough data"
    assert audit(package, package, data.take(range(3)), gates=ALL).verdict == "not enough data"
    assert audit(made(threshold=1.9, name="other"), package, few, gates=Budget(max_flips=0.01)).verdict == "failed"


def test_without_a_question_there_is_no_yes(made, data) -> None:
    package = made()
    found = audit(package, package, data)
    assert (bool(found), found.asked, found.verdict) == (False, False, "not enough data")
    assert "nothing was asked" in str(found)


def test_without_labels_flips_still_count(made, data) -> None:
    found = audit(made(threshold=1.05, name="other"), made(), Data(data.inputs), gates=Budget(max_flips=0.1))
    assert found
    assert (found.labelled, found.changes) == (0, {})
    assert found.flips[0].examples[0].label is None


def test_rows_without_a_label_count_for_flips_alone(made, data) -> None:
    labels = np.where(np.arange(ROWS) % 2 == 0, data.labels.astype(float), np.nan)
    found = audit(made(threshold=1.05, name="other"), made(), Data(data.inputs, labels, data.slices), gates=ALL)
    assert (found.labelled, found.rows) == (ROWS // 2, ROWS)
    assert found.changes["accuracy"].drop.rows == ROWS // 2
    assert found.flips[0].rate.rows == ROWS
    assert all(row.label is not None for row in found.flips[0].examples)
    assert all(row.label == row.before for row in found.flips[0].examples), "codes again, so that rows that were right come first"


def test_labels_that_fit_nothing_are_a_note(made, data) -> None:
    found = audit(made(), made(name="again"), Data(data.inputs, np.array(["a"] * ROWS)), gates=Budget(max_drop=0.1))
    assert (found.verdict, found.changes) == ("not enough data", {})
    assert any("fit no output" in note for note in found.notes)


def test_nan_answers_are_flips_wrong_answers_and_named(made, data) -> None:
    found = audit(made(hole=0.1, name="holes"), made(), data, gates=ALL)
    broken = int((X[:, 0] <= 0.1).sum())
    assert found.verdict == "failed"
    assert found.flips[0].broken == broken
    assert found.flips[0].count >= broken
    assert found.changes["accuracy"].drop.value > 0.05
    assert found.changes["auc"].drop.value > 0
    assert any(note.startswith(f"score: {broken} rows are NaN") for note in found.notes)
    assert {held.output: held.infinite for held in found.drifts}["score"] == broken
    json.dumps(found.to_dict(), allow_nan=False)
    assert "nan" in str(found)


def test_an_ancestor_with_nan_is_no_loss(made, data) -> None:
    found = audit(made(), made(hole=0.1, name="holes"), data, gates=Budget(max_drop=0.01))
    assert found
    assert found.changes["accuracy"].drop.value < 0


def test_nan_in_numbers_is_an_infinite_error(make_package) -> None:
    signature = Signature((TensorSpec("x", "f32", ("batch", 2), missing=True),), (TensorSpec("y", "f32", ("batch", 2), kind="value"),))

    def package(name: str, operation: str):
        case = Case({"x": X[:32]}, {"y": X[:32]}, why=("random",) * 32)
        one = np.array([1, 1], np.float32)
        nodes = [node("Log", ["x"], "y")] if operation == "log" else [node("Mul", ["x", "one"], "y")]
        return make_package(signature, [("main", graph_model(signature, nodes, {} if operation == "log" else {"one": one}))], cases=[case],
                            rules={"y": Rule("value")}, name=name)  # fmt: skip

    x = X[:200].copy()
    x[5] = -1
    found = audit(package("log", "log"), package("same", "mul"), Data({"x": x}), gates=Budget(max_flips=0.1))
    assert found.gates[0].note.startswith("no output is a decision")
    assert found.drifts[0].infinite == 1
    assert found.drifts[0].examples[0].row == 5 and found.drifts[0].examples[0].to_dict()["distance"] is None
    json.dumps(found.to_dict(), allow_nan=False)


def test_regression_drops_are_in_the_unit_of_the_output(make_package) -> None:
    signature = Signature((TensorSpec("x", "f32", ("batch", 2)),), (TensorSpec("y", "f32", ("batch",), kind="value"),))

    def package(name: str, factor: float):
        nodes = [node("Mul", ["x", "factor"], "scaled"), node("ReduceSum", ["scaled", "axes"], "sum", keepdims=0)]
        nodes += [node("Log", ["sum"], "y")] if factor < 0 else [node("Abs", ["sum"], "y")]
        model = graph_model(signature, nodes, {"factor": np.array(factor, np.float32), "axes": np.array([1], np.int64)})
        case = Case({"x": X[:32]}, {"y": X[:32].sum(1) * np.float32(factor)}, why=("random",) * 32)
        return make_package(signature, [("main", model)], cases=[case], rules={"y": Rule("value")}, name=name)

    data = Data({"x": X}, labels=X.sum(1).astype(float), slices={"site": SITE})
    found = audit(package("wide", 1.1), package("right", 1.0), data, gates=Budget(max_drop=0.12, max_slice_drop=0.2))
    assert found, str(found)
    assert found.changes["mae"].drop.value == pytest.approx(0.1 * X.sum(1).mean(), rel=1e-3)
    broken = audit(package("nan", -1.0), package("right2", 1.0), data, gates=Budget(max_drop=1e9))
    assert broken.gates[0].verdict == "failed"
    assert broken.gates[0].to_dict()["measured"] == "inf"
    json.dumps(broken.to_dict(), allow_nan=False)
    assert "inf" in str(broken)


def test_what_cannot_be_audited_is_refused(made, mixed, data) -> None:
    with pytest.raises(InputError, match="no rows"):
        audit(made(), made(name="again"), data.take([]))
    with pytest.raises(InputError, match="not cost"):
        audit(made(name="b"), made(name="c"), data, gates=Budget(size_mb=1, max_drop=0.1))
    with pytest.raises(InputError):
        audit(made(name="d"), mixed[1], data)


def test_the_dictionary_is_json_and_the_summary_is_short(made, data) -> None:
    found = audit(made(threshold=1.05, name="other"), made(), data, gates=ALL)
    whole = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert whole["slices"]["tiny=True"] == "not enough data"
    assert len(whole["flips"][0]["examples"]) == 20
    assert "examples" not in json.dumps(found.summary())
    text = str(found)
    assert all(word in text for word in ("max_slice_drop", "site=left", "accuracy", "decisions differ", "cosine_min"))


@dataclass(frozen=True)
class Pair:
    """Two packages, audited once for every limit that a property draws."""

    worse: Any
    better: Any


@pytest.fixture
def pair(made) -> Pair:
    return Pair(made(threshold=1.02, name="worse"), made())


def test_a_looser_limit_never_makes_it_worse(pair, data) -> None:
    found = audit(pair.worse, pair.better, data)

    @settings(max_examples=100)
    @given(st.floats(0.002, 0.2), st.floats(0.002, 0.2), st.sampled_from(["max_drop", "max_slice_drop", "max_flips"]))
    def monotone(one: float, two: float, name: str) -> None:
        verdicts = [
            judged({name: limit}, found.changes, found.slices, found.counts, found.flips)[0].verdict for limit in sorted((one, two))
        ]
        assert RANK[verdicts[0]] <= RANK[verdicts[1]] or verdicts == ["not enough data", "failed"]

    monotone()


def test_a_sequence_of_decisions_flips_as_a_whole(make_package) -> None:
    signature = Signature((TensorSpec("x", "f32", ("batch", 3)),), (TensorSpec("tags", "i64", ("batch", 3), kind="sequence"),))

    def package(name: str, threshold: float):
        nodes = [node("Greater", ["x", "threshold"], "above"), node("Cast", ["above"], "tags", to=6)]
        model = graph_model(signature, nodes, {"threshold": np.array(threshold, np.float32)})
        case = Case({"x": np.zeros((32, 3), np.float32)}, {"tags": np.zeros((32, 3), np.int64)}, why=("random",) * 32)
        return make_package(signature, [("main", model)], cases=[case], rules={"tags": Rule("sequence", element="decision")}, name=name)

    x = np.random.default_rng(0).random((400, 3)).astype(np.float32)
    found = audit(package("new", 0.52), package("old", 0.5), Data({"x": x}), gates=Budget(max_flips=0.2))
    assert found.flips[0].count == ((x > 0.5) & (x <= 0.52)).any(axis=1).sum()
    assert found


def test_embeddings_are_compared_by_cosine_and_neighbours(made, data) -> None:
    found = audit(made(first=1.5, name="turned"), made(), data)
    moved = {held.output: held for held in found.drifts}["place"]
    turned = X + np.array([0, 0.5], np.float32)
    cosine = (X * turned).sum(1) / np.linalg.norm(X, axis=1) / np.linalg.norm(turned, axis=1)
    assert moved.figures["cosine_mean"] == pytest.approx(cosine.mean(), abs=1e-5)
    assert moved.figures["cosine_min"] == pytest.approx(cosine.min(), abs=1e-5)
    assert 0 < moved.figures["neighbour_overlap"] < 1


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1))
def test_flips_and_drops_are_what_counting_says(seed: int, first: float, second: float) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, 60)
    answers = [np.where(random.random(60) < share, 1 - truth, truth) for share in (first, second)]
    scores = [np.where(random.random(60) < 0.05, np.nan, random.random(60)) for _ in answers]
    before, after = (Task("classification", "y", truth, held, score) for held, score in zip(answers, scores, strict=True))
    change = Labelled(before, after, np.zeros(60, bool)).changes()["accuracy"]
    assert change.drop.value == pytest.approx((answers[0] == truth).mean() - (answers[1] == truth).mean())
    assert change.drop.low <= change.drop.value + 1e-12
    assert change.drop.value <= change.drop.high + 1e-12
    assert change.before.value == (answers[0] == truth).mean()
    swapped = Labelled(after, before, np.zeros(60, bool)).changes()["accuracy"]
    assert swapped.drop.value == pytest.approx(-change.drop.value)
