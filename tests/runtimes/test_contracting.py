"""Contracts: built by rule, the same every time, and refused with the place where program and source part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from portside.runtimes import samples
from portside.runtimes.contracting import Sample, build, narrowed
from portside.runtimes.samples import graph_model, node
from portside.sdk.core.contract import Contract
from portside.sdk.core.errors import ContractError
from portside.sdk.core.manifest import Content, Stage
from portside.sdk.core.package import Package, write
from portside.sdk.core.signature import Signature

ROWS = 120


def package_of(sample: samples.Sample, tmp_path, signature: Signature | None = None) -> Package:
    """The sample as pack would write it before it has a contract."""
    graph = sample.model.graph
    stage = Stage("graph", "main", "program/00-main.onnx", tuple(v.name for v in graph.input), tuple(v.name for v in graph.output))
    content = Content(signature or sample.signature, (stage,), {}, boundaries={"model": ("logits",)} if sample.name == "mixed" else {})
    return write(content, {stage.file: sample.model.SerializeToString()}, tmp_path / "bare")


@pytest.fixture
def mixed(tmp_path):
    sample = samples.mixed()
    return sample, package_of(sample, tmp_path)


def test_a_contract_covers_the_rules(mixed) -> None:
    sample, package = mixed
    slices = {"site": np.array(["a"] * 110 + ["rare"] * 10)}
    contract = build(package, sample.truth, Sample(sample.inputs(ROWS), slices))
    why = {reason.split(":")[0] for case in contract.cases for reason in case.why}
    assert why >= {"random", "margin", "slice", "dims", "missing"}
    assert 32 <= contract.cases[0].rows <= 256
    assert contract.cases[0].slices["site"].count("rare") >= 8
    assert {case.rows for case in contract.cases} >= {1, 2}
    assert {name: rule.kind for name, rule in contract.rules.items()} == {
        "scores": "score", "label": "decision", "above": "decision", "first": "value",
    }  # fmt: skip
    assert contract.notes == ()


def test_the_same_seed_gives_the_same_bytes(mixed) -> None:
    sample, package = mixed
    one, two = (build(package, sample.truth, Sample(sample.inputs(ROWS))).to_bytes() for _ in range(2))
    assert one == two
    assert Contract.from_bytes(*one).to_bytes() == one


def test_few_rows_are_said(mixed) -> None:
    sample, package = mixed
    contract = build(package, sample.truth, Sample(sample.inputs(6)))
    assert contract.cases[0].rows == 6
    assert contract.notes == ("6 golden rows, fewer than 32",)


@pytest.mark.parametrize("name", sorted(samples.SAMPLES))
def test_every_sample_gets_a_contract(name, tmp_path) -> None:
    sample = samples.SAMPLES[name]()
    contract = build(package_of(sample, tmp_path), sample.truth, Sample(sample.inputs(40)))
    assert contract.rows >= 32
    assert Contract.from_bytes(*contract.to_bytes()).rows == contract.rows


def test_stateful_models_get_sequences(tmp_path) -> None:
    sample = samples.stateful()
    contract = build(package_of(sample, tmp_path), sample.truth, Sample(sample.inputs(40)))
    names = [case.sequence for case in contract.cases]
    assert names[:17] == ["0"] * 16 + ["1"]
    assert all(set(case.inputs) == {"x"} for case in contract.cases)


def counting(limit: float) -> samples.Sample:
    """A memory that counts calls, and an answer that moves when the count is above `limit`."""
    stateful = samples.stateful()
    nodes = [node("Add", ["h_in", "one"], "h_out"), node("Greater", ["h_out", "limit"], "above"), node("Cast", ["above"], "told", to=1),
             node("Mul", ["told", "x"], "y")]  # fmt: skip

    def truth(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        held = inputs.get("h_in", np.full_like(inputs["x"], 0.5)) + 1
        return {"y": inputs["x"] * (held > limit), "h_out": held}

    model = graph_model(stateful.signature, nodes, {"one": np.float32(1), "limit": np.float32(limit)})
    return replace(stateful, model=model, truth=truth)


def test_a_memory_that_takes_long_to_fill_gets_one_long_sequence(tmp_path) -> None:
    sample = counting(limit=20)
    contract = build(package_of(sample, tmp_path), sample.truth, Sample(sample.inputs(300)))
    assert {case.sequence for case in contract.cases} == {"0"}
    assert len(contract.cases) == 256
    assert [bool(case.outputs["y"].any()) for case in contract.cases[:22]] == [False] * 19 + [True] * 3
    assert contract.notes == ()


def test_answers_that_never_move_are_told(tmp_path) -> None:
    sample = counting(limit=1000)
    contract = build(package_of(sample, tmp_path), sample.truth, Sample(sample.inputs(40)))
    assert contract.notes == ("every golden row has the same answer: give examples that move it",)


def test_images_of_any_size_may_come_as_a_list(tmp_path) -> None:
    sample = samples.canvas()
    images = [np.full((1 + row % 6, 1 + row % 8, 3), row, np.uint8) for row in range(40)]

    def source(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = [sample.truth({"photo": np.asarray(image)[None]}) for image in inputs["photo"]]
        return {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}

    contract = build(package_of(sample, tmp_path), source, Sample({"photo": images}))
    assert len({case.inputs["photo"].shape[1:] for case in contract.cases}) > 10
    assert contract.rows >= 40


def test_a_branch_on_the_batch_size_is_refused(mixed) -> None:
    sample, package = mixed

    def source(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        held = sample.truth(inputs)
        return held if len(held["label"]) > 1 else {**held, "label": (held["label"] + 1) % 3}

    with pytest.raises(ContractError, match=r"'label' \(decision\).*case 1 row 0.*dims:batch.*other sizes") as caught:
        build(package, source, Sample(sample.inputs(ROWS)))
    assert caught.value.report.verdict == "failed"


def test_the_stage_at_fault_is_named(mixed) -> None:
    sample, package = mixed

    def source(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        held = sample.truth(inputs)
        return {**held, "scores": held["scores"] * np.float32(0.9)}

    def agreeing(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        shift = np.where(inputs["on"], inputs["ids"], 0)[:, None] * np.array([0.01, -0.02, 0.03])
        return {"logits": (inputs["x"] @ samples._WEIGHT + samples._BIAS + shift).astype(np.float32)}

    def parting(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"logits": agreeing(inputs)["logits"] * np.float32(1.5)}

    with pytest.raises(ContractError, match="first seen in the output of the model"):
        build(package, source, Sample(sample.inputs(ROWS)), inner=parting)
    with pytest.raises(ContractError, match="first seen after the model"):
        build(package, source, Sample(sample.inputs(ROWS)), inner=agreeing)


def test_a_random_source_is_refused(mixed) -> None:
    sample, package = mixed
    random = np.random.default_rng(0)

    def source(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        held = sample.truth(inputs)
        return {**held, "first": held["first"] + random.normal()}

    with pytest.raises(ContractError, match="differently the second time: output 'first'"):
        build(package, source, Sample(sample.inputs(ROWS)))


def test_batch_dependence_and_refusals_are_noted(mixed) -> None:
    sample, package = mixed
    whole = sample.inputs(ROWS)

    def source(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if np.isnan(inputs["x"]).any():
            raise ValueError("Input contains NaN")
        return sample.truth(inputs)

    inputs = {**whole, "x": np.nan_to_num(whole["x"])}
    contract = build(package, source, Sample(inputs))
    assert any("refuses a row with missing:x" in note and "Input contains NaN" in note for note in contract.notes)
    assert not any(reason.startswith("missing") for case in contract.cases for reason in case.why)


def test_narrowing_is_counted_apart(tmp_path) -> None:
    sample = samples.mixed()
    wide = sample.signature.edit("x", dtype="f64")
    package = package_of(sample, tmp_path, wide)
    inputs = {**sample.inputs(ROWS), "x": np.random.default_rng(0).normal(size=(ROWS, 4))}

    def source(typed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return sample.truth({**typed, "x": typed["x"].astype(np.float32)})

    assert build(package, source, Sample(inputs)).narrowing == {"label": 0, "above": 0}

    def touchy(typed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        held = source(typed)
        exact = typed["x"][:, 0] == typed["x"][:, 0].astype(np.float32)
        return {**held, "label": np.where(exact, 2 - held["label"], held["label"])}

    with pytest.raises(ContractError):
        build(package, touchy, Sample({**inputs, "x": inputs["x"].astype(np.float32).astype(np.float64)}))
    assert narrowed(wide, inputs)["x"].dtype == np.float32
    assert narrowed(wide, inputs)["ids"].dtype == np.int32
