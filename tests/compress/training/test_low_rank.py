"""Layers of lower rank: exact at full rank, worse as energy falls, smaller in the file, the same after an interruption."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import digits
import numpy as np
import pytest
import signals
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import portside as ps
from portside.compress.base import PassContext
from portside.compress.factoring import spectra
from portside.compress.low_rank import REPORT
from portside.compress.ranks import Candidate, by_energy, by_ratio
from portside.compress.training.batches import Batch
from portside.compress.training.stored import trainee_of
from portside.sdk.core import errors


def right(package, data):
    return float((np.asarray(package.predict(data.inputs)["digit"]) == data.labels).mean())


def report(package):
    return json.loads(package.read(REPORT))


@pytest.fixture(scope="module")
def small(trainable, parts, tmp_path_factory):
    """Half of the parameters, without fine-tuning."""
    folder = tmp_path_factory.mktemp("small")
    return ps.LowRank(ratio=0.5, epochs=0).run(trainable, parts[0], PassContext(folder / "small"))


def test_it_keeps_the_budget_and_says_what_became_of_each_layer(trainable, small):
    before, after = (sum(held.numel() for held in trainee_of(package).model.parameters()) for package in (trainable, small))
    said = report(small)
    assert said["parameters"] == [before, after]
    assert 0.45 * before < after <= 0.5 * before
    assert set(said["layers"]) | set(said["left"]) == {"stem.0", "inner.0", "down.0", "head.1", "head.3"}
    for name, held in said["layers"].items():
        first, second = trainee_of(small).model.get_submodule(name).children()
        assert len(first.weight) == held["rank"] == second.weight.shape[1] < held["of"]
        assert held["parameters"][1] == first.weight.numel() + second.weight.numel() < held["parameters"][0]
    assert small.content.recipe[-1] == ps.LowRank(ratio=0.5, epochs=0).to_dict()
    assert small.lineage == (trainable.digest,)


def test_the_artifact_shrinks_and_answers_as_the_module(trainable, small, parts, tmp_path):
    sizes = []
    for name, package in (("before", trainable), ("after", small)):
        artifact = ps.compile(package, target="onnx-cpu", out=tmp_path / name)
        sizes.append(sum(file.stat().st_size for file in artifact.path.rglob("*.onnx*")))
    assert sizes[1] < 0.75 * sizes[0]
    trainee, x = trainee_of(small), parts[1].inputs["image"][:64]
    with torch.no_grad():
        expected = trainee.model(digits.featurize(torch.from_numpy(x))).softmax(1)
    np.testing.assert_allclose(ps.load(artifact).predict({"image": x})["probabilities"], expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.long
def test_more_energy_is_more_parameters_and_a_smaller_error(trainable, parts, tmp_path):
    x = {"image": parts[1].inputs["image"][:200]}
    whole, seen = trainable.predict(x)["probabilities"], []
    for energy in (0.6, 0.8, 0.95, 0.99):
        made = ps.LowRank(energy=energy, epochs=0).run(trainable, parts[0], PassContext(tmp_path / str(energy)))
        assert all(held["energy"] >= energy - 1e-6 for held in report(made)["layers"].values())
        seen.append((report(made)["parameters"][1], -float(np.abs(made.predict(x)["probabilities"] - whole).mean())))
    assert seen == sorted(seen)
    assert len(set(seen)) == 4


def test_fine_tuning_brings_answers_back_with_and_without_labels(trainable, parts, tmp_path):
    train, held_out = parts
    plain = ps.LowRank(ratio=0.2, epochs=0).run(trainable, train, PassContext(tmp_path / "plain"))
    before, after = right(trainable, held_out), right(plain, held_out)
    for name, data in (("labels", train), ("none", ps.Data(train.inputs))):
        made = ps.LowRank(ratio=0.2, epochs=4).run(trainable, data, PassContext(tmp_path / name))
        assert report(made)["parameters"] == report(plain)["parameters"]
        assert right(made, held_out) > max(after + 0.02, before - 0.03)


def test_an_interrupted_pass_ends_as_one_that_was_not(trainable, parts, tmp_path):
    step, train = ps.LowRank(ratio=0.5, epochs=2), parts[0].take(range(300))
    whole = step.run(trainable, train, PassContext(tmp_path / "whole", seed=3))

    def stop(done, of, what):
        if what.startswith("fine-tuning") and done == 8:
            raise KeyboardInterrupt

    context = PassContext(tmp_path / "again", seed=3, checkpoints=tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        step.run(trainable, train, replace(context, progress=stop))
    assert list((tmp_path / "kept").glob("*.checkpoint"))
    seen = []
    made = step.run(trainable, train, replace(context, progress=lambda done, of, what: seen.append((what[:11], done))))
    assert min(done for what, done in seen if what == "fine-tuning") == 6
    assert made.digest == whole.digest


def test_it_is_opened_again_and_factored_further(small, parts, tmp_path):
    again = ps.open(small.path, trust=True)
    made = ps.LowRank(ratio=0.7, epochs=0).run(again, parts[0], PassContext(tmp_path / "less"))
    assert report(made)["parameters"][1] <= 0.7 * report(small)["parameters"][1]
    assert len(made.lineage) == 2


def test_a_recipe_holds_it(trainable, parts, tmp_path):
    (tmp_path / "recipe.toml").write_text('[[pass]]\nkind = "low-rank"\nratio = 0.5\nlayers = ["head"]\nepochs = 0\n'
                                          '[[pass]]\nkind = "quantize"\nprecision = "float16"\n')  # fmt: skip
    made = ps.compress(trainable, tmp_path / "recipe.toml", parts[0], out=tmp_path / "made")
    assert [step["kind"] for step in made.content.recipe] == ["low-rank", "quantize"]
    assert {edit["module"] for edit in trainee_of(made).setup.edits} <= {"head.1", "head.3"}
    held = ps.Recipe([ps.LowRank(rank=3, layers=("head",), by="weights")])
    assert ps.Recipe.from_dict(held.to_dict()) == held


def layer_of(kind, out, into, kernel, stride, dilation, padding, bias):
    if kind == "linear":
        return nn.Linear(into, out, bias), torch.randn(40, into)
    mode = "zeros" if isinstance(padding, str) or padding == 0 else "reflect" if padding == 1 else "zeros"
    stride = 1 if isinstance(padding, str) else stride
    if kind == "conv1d":
        kernel, stride = (held[0] if isinstance(held, tuple) else held for held in (kernel, stride))
        return nn.Conv1d(into, out, kernel, stride, padding, dilation, bias=bias, padding_mode=mode), torch.randn(6, into, 17)
    made = nn.Conv2d(into, out, kernel, stride, padding, dilation, bias=bias, padding_mode=mode)
    return made, torch.randn(6, into, 9, 11)


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(["linear", "conv", "conv1d"]), out=st.integers(1, 9), into=st.integers(1, 7),
       kernel=st.sampled_from([1, 2, 3, (1, 3), (3, 2)]), stride=st.sampled_from([1, 2, (2, 1)]), dilation=st.sampled_from([1, 2]),
       padding=st.sampled_from([0, 1, 2, "same"]), bias=st.booleans(), weights_only=st.booleans(), seed=st.integers(0, 99))  # fmt: skip
def test_full_rank_is_exact_and_lower_rank_is_best(kind, out, into, kernel, stride, dilation, padding, bias, weights_only, seed):
    torch.manual_seed(seed)
    layer, x = layer_of(kind, out, into, kernel, stride, dilation, padding, bias)
    model = nn.Sequential(layer).eval()
    rows = [Batch(np.arange(len(x)), (x,), None)]
    (found,) = spectra(model, {"0": layer}, rows, weights_only).values()
    with torch.no_grad():
        expected = layer(x)
        losses = [float(((found.factors(rank + 1)(x) - expected) ** 2).mean()) for rank in range(len(found.energies))]
    assert losses[-1] < 1e-9
    shares = found.candidate("0").shares
    assert all(one <= other + 1e-12 for one, other in pairwise(shares))
    if not weights_only:
        total = float(found.energies.sum()) / out
        assert losses == pytest.approx([total * (1 - share) for share in shares], rel=1e-3, abs=1e-6)


def test_convolutions_over_time_are_factored(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 4, 32)).astype(np.float32)
    torch.manual_seed(0)
    ps.pack(signals.make().eval(), name="signals", predict=signals.predict, examples={"x": x[:64]}, out=tmp_path / "signals",
            training=ps.Training(signals.make, {}, loss="mse"))  # fmt: skip
    package = ps.open(tmp_path / "signals", trust=True)
    made = ps.LowRank(ratio=0.5, epochs=0).run(package, ps.Data({"x": x}), PassContext(tmp_path / "made"))
    said = report(made)
    assert {"body.0", "body.2"} <= set(said["layers"]) | {name for name, why in said["left"].items() if "rank" in why}
    assert said["left"]["body.4"] == "its channels are in 24 groups"
    assert said["parameters"][1] <= 0.5 * said["parameters"][0]
    first, second = trainee_of(made).model.get_submodule("body.2").children()
    assert (type(first), first.kernel_size, first.dilation, second.kernel_size) == (nn.Conv1d, (5,), (2,), (1,))
    artifact = ps.load(ps.compile(made, target="onnx-cpu", out=tmp_path / "artifact"))
    with torch.no_grad():
        expected = trainee_of(made).model(torch.from_numpy(x))
    np.testing.assert_allclose(artifact.predict({"x": x})["value"], expected, atol=1e-5)


def test_ranks_follow_energy_per_parameter():
    steep = Candidate("steep", np.array([0.9, 0.99, 1.0, 1.0]), 10, 100)
    flat = Candidate("flat", np.array([0.25, 0.5, 0.75, 1.0]), 10, 100)
    assert by_energy([steep, flat], 0.9) == {"steep": 1, "flat": 4}
    assert by_ratio([steep, flat], 200, 0.25) == {"steep": 1, "flat": 4}
    assert by_ratio([steep, flat], 200, 0.1) == {"steep": 1, "flat": 1}
    with pytest.raises(errors.InputError, match=r"0\.100 or more"):
        by_ratio([steep, flat], 200, 0.09)


@pytest.mark.parametrize("options", [
    {"energy": 0}, {"energy": 1.1}, {"energy": True}, {"energy": float("nan")}, {"rank": 0}, {"rank": 2.5}, {"ratio": 1.0},
    {"ratio": "half"}, {"energy": 0.9, "rank": 3}, {"layers": "head"}, {"layers": [1]}, {"epochs": -1}, {"by": "size"}, {"rows": 1},
])  # fmt: skip
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(errors.InputError):
        ps.LowRank(**options)


def test_what_cannot_be_factored_is_refused_by_name(trainable, trained, parts, tmp_path):
    train, context = parts[0], PassContext(tmp_path / "made")
    with pytest.raises(errors.InputError, match=r"heads\.\*"):
        ps.LowRank(layers=["heads.*"]).run(trainable, train, context)
    with pytest.raises(errors.UnsupportedError, match=r"stem\.1"):
        ps.LowRank(layers=["stem.1"]).run(trainable, train, context)
    with pytest.raises(errors.InputError, match="or more"):
        ps.LowRank(ratio=0.001).run(trainable, train, context)
    with pytest.raises(errors.UnsupportedError, match="lower rank"):
        ps.LowRank(rank=60).run(trainable, train, context)
    with pytest.raises(errors.TrustError, match="training"):
        ps.LowRank().run(ps.open(trainable.path), train, context)
    lowered = ps.compress(trainable, "float16", train, out=tmp_path / "lowered")
    with pytest.raises(errors.InputError, match="before"):
        ps.LowRank().run(ps.open(lowered.path, trust=True), train, context)
    with pytest.raises(errors.UnsupportedError, match="training"):
        ps.LowRank().run(ps.pack(trained, name="plain", examples={"features": train.inputs["image"].reshape(-1, 1, 8, 8)[:64]},
                                 out=tmp_path / "plain"), train, context)  # fmt: skip
    assert not (tmp_path / "made").exists()


def test_its_report_stays_with_what_later_passes_make(small, parts, tmp_path):
    lower = ps.Quantize("float16").run(small, parts[0], PassContext(tmp_path / "lower"))
    again = ps.LowRank(rank=4, epochs=0, layers=["head.3"]).run(small, parts[0], PassContext(tmp_path / "again"))
    assert report(lower) == report(small)
    assert report(again) != report(small)
    assert set(small.manifest.annotations.files) == set(again.manifest.annotations.files)
