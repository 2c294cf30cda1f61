"""Pruning a package: it really shrinks, answers as its module, keeps what it knew, and goes on where it was interrupted."""

from __future__ import annotations

import json
from dataclasses import replace

import digits
import numpy as np
import pytest
import torch
import widths

import portside as ps
from portside.compress.base import PassContext
from portside.compress.importance import by_taylor
from portside.compress.narrowing import traced
from portside.compress.prune import REPORT
from portside.compress.training.batches import Batches
from portside.compress.training.stored import trainee_of
from portside.compress.tuning import objective
from portside.sdk.core import errors


def right(package, data):
    return float((np.asarray(package.predict(data.inputs)["digit"]) == data.labels).mean())


def report(package):
    return json.loads(package.read(REPORT))


def onnx_bytes(package, out):
    artifact = ps.compile(package, target="onnx-cpu", out=out)
    return artifact, sum(file.stat().st_size for file in artifact.path.rglob("*.onnx*"))


@pytest.fixture(scope="module")
def narrow(trainable, parts, tmp_path_factory):
    """A third of the products, in three rounds with fine-tuning."""
    folder = tmp_path_factory.mktemp("narrow")
    return ps.Prune(0.35, epochs=6).run(trainable, parts[0], PassContext(folder / "narrow"))


def test_it_keeps_the_budget_and_most_of_what_it_knew(trainable, narrow, parts):
    said, model = report(narrow), trainee_of(narrow).model
    before, after = said["macs"]
    assert 0.25 * before < after <= 0.35 * before
    one, other = (sum(held.numel() for held in trainee_of(package).model.state_dict().values()) for package in (trainable, narrow))
    assert said["parameters"] == [one, other]
    stem, inner, down = (model.get_submodule(name) for name in ("stem.0", "inner.0", "down.0"))
    assert stem.out_channels == inner.in_channels == inner.out_channels == down.in_channels == said["layers"]["inner.0"][1][0] < 16
    assert all(shape[0] % 8 == 0 or name == "head.3" for name, (_, shape) in said["layers"].items())
    assert said["left"] == {"head.3": "it is an output of the model"}
    assert right(narrow, parts[1]) > right(trainable, parts[1]) - 0.02
    assert narrow.content.recipe[-1] == ps.Prune(0.35, epochs=6).to_dict()


def test_the_artifact_shrinks_and_answers_as_the_module(trainable, narrow, parts, tmp_path):
    _, before = onnx_bytes(trainable, tmp_path / "before")
    artifact, after = onnx_bytes(narrow, tmp_path / "after")
    assert after < 0.6 * before
    trainee, x = trainee_of(narrow), parts[1].inputs["image"][:64]
    with torch.no_grad():
        expected = trainee.model(digits.featurize(torch.from_numpy(x))).softmax(1)
    np.testing.assert_allclose(ps.load(artifact).predict({"image": x})["probabilities"], expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*(pytest.param(name, marks=pytest.mark.long) for name in ("Depthwise", "Joined")), "Heads"])
def test_networks_of_other_kinds_shrink_too(name, parts, tmp_path):
    torch.manual_seed(0)
    model, x = widths.make(name).eval(), parts[0].inputs["image"]
    ps.pack(model, name="net", featurize=widths.featurize, predict=widths.predict, examples={"image": x[:64]}, out=tmp_path / "net",
            training=ps.Training(widths.make, {"name": name}))  # fmt: skip
    package = ps.open(tmp_path / "net", trust=True)
    made = ps.Prune(0.6, steps=1, epochs=0, round_to=4).run(package, parts[0].take(range(64)), PassContext(tmp_path / "made"))
    assert report(made)["macs"][1] <= 0.6 * report(made)["macs"][0]
    artifact, _ = onnx_bytes(made, tmp_path / "after")
    before, after = (sum(file.stat().st_size for file in (held.path / "program").iterdir()) for held in (package, made))
    assert after < before
    trainee = trainee_of(made)
    with torch.no_grad():
        expected = trainee.model(widths.featurize(torch.from_numpy(x[:32]))).softmax(1)
    np.testing.assert_allclose(ps.load(artifact).predict({"image": x[:32]})["probabilities"], expected, atol=1e-5)


def test_it_is_opened_again_and_pruned_further(narrow, parts, tmp_path):
    again = ps.open(narrow.path, trust=True)
    made = ps.Prune(0.7, budget="parameters", steps=1, epochs=0, round_to=2).run(again, parts[0], PassContext(tmp_path / "less"))
    assert report(made)["parameters"][0] == report(narrow)["parameters"][1]
    assert report(made)["parameters"][1] <= 0.7 * report(narrow)["parameters"][1]
    assert len(made.lineage) == 2


def test_an_interrupted_pass_ends_as_one_that_was_not(trainable, parts, tmp_path):
    step, train = ps.Prune(0.5, importance="taylor", steps=2, epochs=4, rows=100), parts[0].take(range(300))
    whole = step.run(trainable, train, PassContext(tmp_path / "whole", seed=3))

    def stop(done, of, what):
        if "round 2" in what and done == 7:
            raise KeyboardInterrupt

    context = PassContext(tmp_path / "again", seed=3, checkpoints=tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        step.run(trainable, train, replace(context, progress=stop))
    assert len(list((tmp_path / "kept").glob("*.checkpoint"))) == 2
    seen = []
    made = step.run(trainable, train, replace(context, progress=lambda done, of, what: seen.append((what, done))))
    assert not [what for what, _ in seen if "round 1" in what]
    assert min(done for what, done in seen if "round 2" in what) == 6
    assert made.digest == whole.digest


@pytest.mark.parametrize("importance", ["l1", "bn-scale", "random"])
def test_every_importance_keeps_the_budget_and_what_it_is_told(importance, trainable, parts, tmp_path):
    step = ps.Prune(0.7, importance=importance, steps=1, epochs=0, keep=["down.0"])
    made = step.run(trainable, ps.Data(parts[0].inputs), PassContext(tmp_path / "made"))
    said = report(made)
    assert said["macs"][1] <= 0.7 * said["macs"][0]
    assert said["left"]["down.0"] == "asked for"
    assert trainee_of(made).model.get_submodule("down.0").out_channels == 32
    assert ("head.1" in said["layers"]) == (importance != "bn-scale")  # its neurons have no batch norm


def test_taylor_finds_what_the_loss_would_miss(trainable, parts):
    trainee = trainee_of(trainable)
    batches = Batches(trainable, trainee, parts[0].take(range(256)))
    batch, loss = batches.of(np.arange(256)), objective(trainee, trainee.model, labelled=True)
    found = traced(trainee.model, batch.features, frozenset())
    (score,) = (score for score, group in zip(by_taylor(found.groups, trainee.model, [batch], loss), found.groups, strict=True)
                if group.layers == ("head.1",))  # fmt: skip
    weight, missed = trainee.model.get_submodule("head.3").weight, []
    with torch.no_grad():
        whole = float(loss(batch))
        for unit in range(64):
            column = weight[:, unit].clone()
            weight[:, unit] *= 0.99  # a little of it goes
            missed.append(abs(float(loss(batch)) - whole))
            weight[:, unit] = column
    assert np.corrcoef(np.sqrt(score), missed)[0, 1] > 0.99


def test_without_labels_answers_are_the_targets(trainable, parts, tmp_path):
    rows = ps.Data(parts[0].inputs)
    plain, made = (ps.Prune(0.4, steps=1, epochs=epochs).run(trainable, rows, PassContext(tmp_path / str(epochs))) for epochs in (0, 4))
    assert right(made, parts[1]) > max(0.9, right(plain, parts[1]))


def test_single_weights_go_and_stay_gone(trainable, parts, tmp_path):
    step = ps.Prune(0.2, structured=False, keep=["stem"], epochs=4)
    seen = []
    made = step.run(trainable, parts[0], PassContext(tmp_path / "made", progress=lambda done, of, what: seen.append(what)))
    said, model = report(made), trainee_of(made).model
    weights = [model.get_submodule(name).weight for name in ("inner.0", "down.0", "head.1", "head.3")]
    assert said["weights"] == [sum(held.numel() for held in weights), sum(int((held != 0).sum()) for held in weights)]
    assert said["weights"][1] == pytest.approx(0.2 * said["weights"][0], abs=2)
    assert bool((model.get_submodule("stem.0").weight != 0).all())
    assert said["zipped_bytes"][1] < 0.5 * said["zipped_bytes"][0]
    assert "no target answers faster" in said["remark"]
    assert said["remark"] in seen
    assert right(made, parts[1]) > right(trainable, parts[1]) - 0.02


def test_a_recipe_holds_it(trainable, parts, tmp_path):
    (tmp_path / "recipe.toml").write_text('[[pass]]\nkind = "prune"\nratio = 0.6\nepochs = 0\nsteps = 1\n'
                                          '[[pass]]\nkind = "low-rank"\nratio = 0.6\nepochs = 0\n'
                                          '[[pass]]\nkind = "quantize"\nprecision = "int8-static"\n')  # fmt: skip
    made = ps.compress(trainable, tmp_path / "recipe.toml", parts[0], out=tmp_path / "made")
    assert [step["kind"] for step in made.content.recipe] == ["prune", "low-rank", "quantize"]
    held = ps.Recipe([ps.Prune(0.3, "taylor", "parameters", keep=("stem",))])
    assert ps.Recipe.from_dict(held.to_dict()) == held


@pytest.mark.parametrize("options", [
    {"ratio": 0}, {"ratio": 1}, {"ratio": "half"}, {"importance": "size"}, {"budget": "bytes"}, {"steps": 0}, {"steps": 1.5},
    {"epochs": -1}, {"structured": 1}, {"structured": False, "importance": "taylor"}, {"keep": "stem"}, {"round_to": 0}, {"rows": 1},
])  # fmt: skip
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(errors.InputError):
        ps.Prune(**options)


def test_what_cannot_be_pruned_is_refused_by_name(trainable, trained, parts, tmp_path):
    train, context = parts[0], PassContext(tmp_path / "made")
    with pytest.raises(errors.InputError, match="tail"):
        ps.Prune(keep=["tail"]).run(trainable, train, context)
    with pytest.raises(errors.InputError, match="or more"):
        ps.Prune(0.001).run(trainable, train, context)
    with pytest.raises(errors.InputError, match="labels"):
        ps.Prune(importance="taylor").run(trainable, ps.Data(train.inputs), context)
    with pytest.raises(errors.UnsupportedError, match="asked for"):
        ps.Prune(keep=["*"]).run(trainable, train, context)
    with pytest.raises(errors.UnsupportedError, match="asked for"):
        ps.Prune(structured=False, keep=["*"]).run(trainable, train, context)
    with pytest.raises(errors.TrustError, match="training"):
        ps.Prune().run(ps.open(trainable.path), train, context)
    with pytest.raises(errors.UnsupportedError, match="training"):
        ps.Prune().run(ps.pack(trained, name="plain", examples={"features": train.inputs["image"].reshape(-1, 1, 8, 8)[:64]},
                               out=tmp_path / "plain"), train, context)  # fmt: skip
    assert not (tmp_path / "made").exists()


def test_statistics_of_norms_are_those_of_the_narrower_network(trainable, parts, tmp_path):
    rows = parts[0].take(range(512))
    stale, fresh = (ps.Prune(0.4, steps=1, epochs=0, norm_rows=count).run(trainable, rows, PassContext(tmp_path / str(count)))
                    for count in (0, 512))  # fmt: skip
    assert right(fresh, parts[1]) > right(stale, parts[1]) + 0.05
    one, other = (trainee_of(package).model for package in (stale, fresh))
    assert all(torch.equal(held, other.get_parameter(name)) for name, held in one.named_parameters())
    norm = other.get_submodule("inner.1")
    with torch.no_grad():
        seen = other.get_submodule("inner.0")(other.get_submodule("stem")(digits.featurize(torch.from_numpy(rows.inputs["image"]))))
    torch.testing.assert_close(norm.running_mean, seen.mean((0, 2, 3)), atol=1e-4, rtol=1e-3)
