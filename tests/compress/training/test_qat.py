"""Quantization-aware training: what was trained is what int8 artifacts compute, code by code, on every target."""

from __future__ import annotations

import json
from contextlib import closing

import attention
import digits
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

import portside as ps
from portside.compress.base import PassContext
from portside.compress.qat_calls import seen
from portside.compress.qat_course import REPORT
from portside.compress.qat_places import find_places
from portside.compress.qat_rounding import Ranges, Rounding, rounded_weight
from portside.compress.quantize import Plans
from portside.compress.recipe import recipe_of
from portside.compress.training.batches import Batches
from portside.compress.training.fit import Fit
from portside.compress.training.stored import trainee_of
from portside.runtimes.base import CompileOptions, runtime
from portside.runtimes.elsewhere import compiler
from portside.runtimes.loading import load
from portside.runtimes.onnx_run import open_graph, run_graph
from portside.sdk.core import errors
from portside.sdk.core.plan import plan_of

PRODUCTS = {"main/Conv_2": "stem.0", "main/Conv_4": "inner.0", "main/Conv_7": "down.0", "main/Gemm_10": "head.1", "main/Gemm_12": "head.3"}


@pytest.fixture(scope="module")
def lowered(trainable, parts, tmp_path_factory):
    """The digits network after two epochs in int8."""
    made = ps.QAT(epochs=2).run(trainable, parts[0], PassContext(tmp_path_factory.mktemp("qat") / "child"))
    return ps.open(made.path, trust=True)


def artifact_of(package, out, target="onnx-cpu"):
    return runtime(target).compile(package, CompileOptions(verify=False), out)


def trained_answers(package, x):
    """What the rounded module gives: logits -> probabilities."""
    trainee, plans, plan = trainee_of(package), Plans(package), plan_of(package.content.plan)
    features = (digits.featurize(torch.from_numpy(x)),)
    places = find_places(package, plans.graphs, plan, seen(trainee.model, features)[0], {"image": x})
    held = {name: plan.ranges[name] for name in places.values}
    with torch.no_grad(), Rounding(trainee.model, places, Ranges(held, held, 0).eval(), plan.per_channel):
        return trainee.model(*features).softmax(1).numpy()


def test_the_child_says_what_was_done(lowered, trainable):
    assert lowered.lineage == (trainable.digest,)
    assert [step["kind"] for step in lowered.content.recipe] == ["qat"]
    report = json.loads((lowered.path / REPORT).read_text())
    assert report["folded"] == ["stem.0", "inner.0", "down.0"]
    assert set(report["trained"]) == set(PRODUCTS)
    assert report["float"] == {}
    plan = plan_of(lowered.content.plan)
    assert set(plan.nodes) >= {*PRODUCTS, "main/Add_5"}
    assert set(plan.nodes.values()) == {"int8-static"}
    assert plan.calibration["trained"] == 6


def test_the_plan_keeps_what_calibration_warned_of(trainable, parts, tmp_path):
    made = ps.QAT(epochs=0).run(trainable, parts[0].take(range(20)), PassContext(tmp_path / "child"))
    assert any("calibrated on 20 rows" in held for held in plan_of(made.content.plan).warnings)


@pytest.mark.exact_sums
@pytest.mark.parametrize(("target", "nearer"), [("onnx-cpu", 4), ("tflite", 1)])
def test_proven_artifacts_answer_as_the_rounded_module_did(lowered, parts, tmp_path, target, nearer):
    """TFLite rounds logits too, which ONNX leaves in float."""
    artifact = ps.compile(lowered, target=target, data=parts[1], out=tmp_path / "artifact")
    x = parts[1].inputs["image"]
    with closing(load(artifact)) as session:
        got = np.asarray(session.predict({"image": x})["probabilities"])
    with torch.no_grad():
        real = trainee_of(lowered).model(digits.featurize(torch.from_numpy(x))).softmax(1).numpy()
    near, far = np.abs(got - trained_answers(lowered, x)).mean(), np.abs(got - real).mean()
    assert near < far / nearer


def test_weights_have_the_codes_that_were_trained(lowered, tmp_path):
    artifact = runtime("onnx-cpu").compile(lowered, CompileOptions(verify=False, extra={"reduce_range": "off"}), tmp_path / "artifact")
    held = {tensor.name: numpy_helper.to_array(tensor) for file in artifact.path.rglob("*.onnx")
            for tensor in onnx.load(file).graph.initializer}  # fmt: skip
    model = trainee_of(lowered).model
    for name in PRODUCTS.values():
        codes = next(value for key, value in held.items() if f"{name}.weight.int8" in key)
        scale = next(value for key, value in held.items() if f"{name}.weight.scale" in key)
        expected = rounded_weight(model.get_submodule(name).weight.detach(), 0).numpy()
        assert codes.dtype == np.int8
        assert np.array_equal(codes * scale.reshape(-1, *(1,) * (codes.ndim - 1)), expected)


def test_wasm_takes_the_same_file(lowered, tmp_path):
    artifact = artifact_of(lowered, tmp_path / "web", "wasm")
    kinds = {tensor.data_type for file in artifact.path.rglob("*.onnx") for tensor in onnx.load(file).graph.initializer}
    assert onnx.TensorProto.INT8 in kinds


@pytest.mark.browser
@pytest.mark.exact_sums
def test_in_a_browser_it_answers_as_on_the_cpu(lowered, parts, tmp_path):
    """Proven in headless Chromium, the artifact adds up the same codes as that of onnx-cpu: only exp and division of floats may differ."""
    found, artifact = {}, None
    for target in ("onnx-cpu", "wasm"):
        artifact = ps.compile(lowered, target=target, data=parts[1], out=tmp_path / target)
        with closing(load(artifact)) as session:
            found[target] = session.predict(parts[1].inputs)
    assert np.array_equal(found["wasm"]["digit"], found["onnx-cpu"]["digit"])
    np.testing.assert_allclose(found["wasm"]["probabilities"], found["onnx-cpu"]["probabilities"], rtol=0, atol=1e-5)
    (file,) = artifact.path.rglob("*.onnx")
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(file).graph.initializer}
    for name in PRODUCTS.values():
        (codes,) = [value for key, value in held.items() if f"{name}.weight.int8" in key]
        assert codes.dtype == np.int8
        assert codes.size == trainee_of(lowered).model.get_submodule(name).weight.numel()
    assert not [key for key, value in held.items() if value.dtype == np.float32 and value.ndim > 1], "no weight is left in float"
    assert artifact.engine["precision"]["achieved"] == {"int8-static": 7}


def test_tensorrt_takes_the_same_weights_and_ranges_about_zero(lowered, parts, tmp_path):
    """Nothing is run: there is no GPU. The file, computed by ONNX Runtime, decides as the rounded module does."""
    artifact = compiler("tensorrt").compile(lowered, CompileOptions(verify=False), tmp_path / "gpu")
    (file,) = artifact.path.rglob("*.onnx")
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(file).graph.initializer}
    for name in PRODUCTS.values():
        codes, scale = (next(value for key, value in held.items() if f"{name}.weight.{part}" in key) for part in ("int8", "scale"))
        expected = rounded_weight(trainee_of(lowered).model.get_submodule(name).weight.detach(), 0).numpy()
        assert np.array_equal(codes * scale.reshape(-1, *(1,) * (codes.ndim - 1)), expected)
    assert set(artifact.engine["precision"]["achieved"]) == {"int8-static"}
    x = parts[1].inputs["image"]
    got = run_graph(open_graph(onnx.load(file)), {"image": x})["probabilities"]
    assert (got.argmax(1) == trained_answers(lowered, x).argmax(1)).mean() > 0.98


def test_it_loses_less_than_rounding_alone(trainable, parts, tmp_path):
    """One scale for a whole weight, one channel of which is large: in float the same answers."""
    trainee = trainee_of(trainable)
    with torch.no_grad():
        norm, reader = trainee.model.down[1], trainee.model.head[1]
        norm.weight[0] *= 200.0
        norm.bias[0] *= 200.0
        reader.weight[:, :16] /= 200.0
    few = parts[0].take(range(64))
    ps.pack(trainee.model, name="stretched", featurize=digits.featurize, predict=digits.predict, examples={"image": few.inputs["image"]},
            out=tmp_path / "stretched", training=ps.Training(digits.make, schedule=ps.Schedule(epochs=2, lr=2e-3)))  # fmt: skip
    package = ps.open(tmp_path / "stretched", trust=True)
    plain = ps.Quantize("int8-static", per_channel=False).run(package, parts[0], PassContext(tmp_path / "plain"))
    taught = ps.QAT(epochs=3, lr=1e-3, per_channel=False).run(package, parts[0], PassContext(tmp_path / "taught"))
    losses = []
    for name, held in (("plain", plain), ("taught", taught)):
        with closing(load(artifact_of(held, tmp_path / f"{name}-artifact"))) as session:
            chances = np.asarray(session.predict(parts[1].inputs)["probabilities"])
        losses.append(-np.log(np.maximum(chances[np.arange(len(chances)), parts[1].labels], 1e-7)).mean())
    assert losses[1] < losses[0]


def test_without_labels_it_stays_near_the_float_model(trainable, parts, tmp_path):
    rows = ps.Data(parts[0].inputs)
    made = ps.QAT(epochs=1).run(trainable, rows, PassContext(tmp_path / "child"))
    assert json.loads((made.path / REPORT).read_text())["towards"] == "float"
    x = parts[1].inputs["image"]
    apart = np.abs(np.asarray(made.predict({"image": x})["probabilities"]) - np.asarray(trainable.predict({"image": x})["probabilities"]))
    assert apart.mean() < 0.01
    for towards in ("labels", "both"):
        with pytest.raises(errors.InputError, match="labels"):
            ps.QAT(towards=towards).run(trainable, rows, PassContext(tmp_path / "refused"))


@pytest.mark.slow
@pytest.mark.long
def test_an_interrupted_pass_ends_at_the_same_digest(trainable, parts, tmp_path):
    step, rows = ps.QAT(epochs=3, towards="both"), parts[0].take(range(320))
    whole = step.run(trainable, rows, PassContext(tmp_path / "whole", 5))

    def stop(done, of, what):
        if "training" in what and done == of - 2:
            raise KeyboardInterrupt

    kept = tmp_path / "checkpoints"
    with pytest.raises(KeyboardInterrupt):
        step.run(trainable, rows, PassContext(tmp_path / "stopped", 5, progress=stop, checkpoints=kept))
    seen_steps = []

    def note(done, of, what):
        if "training" in what:
            seen_steps.append((done, of))

    again = step.run(trainable, rows, PassContext(tmp_path / "again", 5, progress=note, checkpoints=kept))
    assert seen_steps[0][0] == seen_steps[0][1] * 2 // 3 + 1
    assert again.digest == whole.digest


def test_the_child_is_made_again_and_can_be_tuned(lowered, parts):
    trainee = trainee_of(lowered)
    assert isinstance(trainee.model.stem[1], nn.Identity)
    assert trainee.model.stem[0].bias is not None
    before = trainee.model.stem[0].weight.detach().clone()
    batches = Batches(lowered, trainee, parts[0])
    loss = Fit(trainee.model, lambda batch: trainee.loss(trainee.model(*batch.features), batch.required()), batches,
               ps.Schedule(epochs=1, lr=1e-4), PassContext()).run()  # fmt: skip
    assert loss < 0.5
    assert not torch.equal(trainee.model.stem[0].weight, before)


def test_it_comes_last_but_another_plan_may_replace_its_own(lowered, trainable, parts, tmp_path):
    with pytest.raises(errors.InputError, match="before"):
        ps.QAT().run(lowered, parts[0], PassContext(tmp_path / "twice"))
    recipe = ps.Recipe([ps.QAT(epochs=0.2), ps.Quantize("int8-static", calibration="percentile")])
    made = ps.compress(trainable, recipe, parts[0], out=tmp_path / "both")
    assert [step["kind"] for step in made.content.recipe] == ["qat", "quantize"]
    assert plan_of(made.content.plan).calibration["method"] == "percentile"
    assert artifact_of(made, tmp_path / "artifact").path.is_dir()


def test_what_shall_stay_float_stays_float(trainable, parts, tmp_path):
    made = ps.QAT(epochs=0.2, keep=["head.3", "main/Conv_2"]).run(trainable, parts[0], PassContext(tmp_path / "child"))
    plan = plan_of(made.content.plan)
    assert {"main/Gemm_12", "main/Conv_2"} == set(plan.kept)
    assert set(plan.kept.values()) == {"asked for"}
    assert not set(plan.kept) & set(plan.nodes)
    for word, error in (("head.9", errors.InputError), ("main/Conv_99", errors.UnsupportedError)):
        with pytest.raises(error, match=r"head\.9|Conv_99"):
            ps.QAT(keep=[word]).run(trainable, parts[0], PassContext(tmp_path / "refused"))


@pytest.mark.slow
@pytest.mark.long
def test_attention_that_cannot_be_hooked_stays_float_and_is_named(parts, tmp_path):
    torch.manual_seed(0)
    few = parts[0].take(range(64))
    ps.pack(attention.make().eval(), name="rows", featurize=digits.featurize, predict=digits.predict,
            examples={"image": few.inputs["image"]}, out=tmp_path / "rows", training=ps.Training(attention.make))  # fmt: skip
    package = ps.open(tmp_path / "rows", trust=True)
    made = ps.QAT(epochs=0.2).run(package, parts[0], PassContext(tmp_path / "child"))
    plan, report = plan_of(made.content.plan), json.loads((made.path / REPORT).read_text())
    assert len(report["trained"]) == 3
    assert report["float"]
    assert set(report["float"]) <= set(plan.kept)
    assert not set(report["float"]) & set(plan.nodes)
    assert all("trained in int8" in why for why in report["float"].values())


def test_refusals_are_by_name(trained, trainable, parts, tmp_path):
    plain = ps.pack(trained, name="plain", featurize=digits.featurize, predict=digits.predict,
                    examples={"image": parts[0].inputs["image"][:64]}, out=tmp_path / "plain")  # fmt: skip
    with pytest.raises(errors.UnsupportedError, match=r"training=ps\.Training"):
        ps.QAT().run(plain, parts[0], PassContext(tmp_path / "refused"))
    with pytest.raises(errors.TrustError, match="training/"):
        ps.QAT().run(ps.open(trainable.path), parts[0], PassContext(tmp_path / "refused"))
    with pytest.raises(errors.UnsupportedError, match="Nothing of the model"):
        ps.QAT(keep=["stem", "inner", "down", "head"]).run(trainable, parts[0], PassContext(tmp_path / "refused"))


@pytest.mark.parametrize(("options", "said"), [
    ({"epochs": -1}, "epochs"), ({"lr": 0}, "lr"), ({"calibration": "guess"}, "calibration"), ({"freeze_ranges": 1.5}, "freeze_ranges"),
    ({"towards": "heaven"}, "towards"), ({"keep": "head"}, "keep"), ({"per_channel": "yes"}, "per_channel"),
])  # fmt: skip
def test_options_are_checked_before_any_work(options, said):
    with pytest.raises(errors.InputError, match=said):
        ps.QAT(**options)


def test_it_is_a_step_of_a_recipe(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text('[[pass]]\nkind = "qat"\nepochs = 3\nkeep = ["head.3"]\ntowards = "both"\n')
    (step,) = recipe_of(file).passes
    assert step == ps.QAT(epochs=3, keep=("head.3",), towards="both")
    assert ps.QAT.from_dict(step.to_dict()) == step
