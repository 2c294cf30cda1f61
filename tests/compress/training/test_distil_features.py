"""Inner layers of a teacher: what a student learns of them, which layers are taken, and what is refused before anybody is asked."""

from __future__ import annotations

import digits
import layered
import numpy as np
import pytest
import torch
from narrowed import NARROWER

import portside as ps
from portside.compress.base import PassContext
from portside.compress.distil_features import Side, shown_by
from portside.compress.distil_teachers import Teacher
from portside.compress.structuring import structures_of
from portside.compress.training.stored import trainee_of
from portside.runtimes.reference import Reference
from portside.sdk.core.errors import InputError, TrustError, UnsupportedError

TAUGHT = ps.Distil(loss="features", epochs=3)
BY_NAME = {"stem": "stem", "inner": "inner", "down": "down", "head.1": "head.1"}
WEIGHTS = "training/weights.safetensors"


def packed(folder, parts, factory, config, epochs: float = 4, train: bool = False):
    """A network in a package, opened with trust; trained a little where asked."""
    (held, _), net = parts, fresh(factory, config)
    if train:
        x, y = digits.featurize(torch.from_numpy(held.inputs["image"])), torch.from_numpy(held.labels)
        optimizer = torch.optim.Adam(net.parameters(), 5e-3)
        for rows in torch.arange(len(y)).repeat(6).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
    ps.pack(net.eval(), name=folder.name, featurize=digits.featurize, predict=digits.predict, out=folder,
            examples={"image": held.inputs["image"][:64]},
            training=ps.Training(factory, config, schedule=ps.Schedule(epochs=epochs, lr=5e-3)))  # fmt: skip
    return ps.open(folder, trust=True)


def fresh(factory, config):
    torch.manual_seed(1)
    return factory(**config)


def unlike(student, teacher, pairs, parts) -> list[float]:
    """Per pair, the share of the teacher's variance on rows held out that no linear map of the student's layer gives: the map is fitted
    on the rows that taught."""
    train, held = parts
    found = []
    for one, two in pairs.items():
        (x, y), (p, q) = ([answered(package, name, data) for package, name in ((student, one), (teacher, two))] for data in (train, held))
        x, p = (np.concatenate([part, np.ones((len(part), 1))], axis=1) for part in (x, p))
        gap = p @ np.linalg.lstsq(x, y, rcond=1e-6)[0] - q
        found.append(float((gap**2).mean() / q.var(axis=0).mean()))
    return found


def answered(package, name: str, data):
    """(places, features): what a layer gives on rows, maps averaged to 4 by 4."""
    model, taken = trainee_of(package).model, []
    model.get_submodule(name).register_forward_hook(lambda module, inputs, answer: taken.append(answer.clone()))
    with torch.no_grad():
        model(digits.featurize(torch.from_numpy(data.inputs["image"])))
    (answer,) = taken
    answer = torch.nn.functional.adaptive_avg_pool2d(answer, 4).movedim(1, -1) if answer.ndim == 4 else answer
    return answer.flatten(0, -2).double().numpy()


@pytest.fixture(scope="module")
def maps(parts, tmp_path_factory):
    """(teacher, student): maps of 8 by 8 and of 4 by 4, other widths, the names of one class of network."""
    folder = tmp_path_factory.mktemp("maps")
    return (packed(folder / "wide", parts, layered.maps, {"width": 24, "stride": 1, "hidden": 64}, train=True),
            packed(folder / "thin", parts, layered.maps, {"width": 6, "stride": 2, "hidden": 12}))  # fmt: skip


def test_layers_come_nearer_than_answers_alone_bring_them(maps, parts, unlabelled, tmp_path) -> None:
    teacher, student = maps
    pairs = {"eyes": "eyes", "middle": "middle"}
    soft = ps.compress(teacher, ps.Distil(student), unlabelled, out=tmp_path / "soft")
    made = ps.compress(teacher, ps.Distil(student, loss="features", features=pairs), unlabelled, out=tmp_path / "made")
    alone, taught = unlike(soft, teacher, pairs, parts), unlike(made, teacher, pairs, parts)
    assert taught[0] < 0.9 * alone[0] and taught[1] < 0.9 * alone[1], (alone, taught)
    assert (Reference().open(made).predict(parts[1].inputs)["digit"] == parts[1].labels).mean() > 0.75
    step = made.content.recipe[-1]
    assert (step["loss"], step["features"], step["feature_weight"]) == ("features", pairs, 1.0)
    assert (step["student"], step["teacher"], made.content.parents) == (student.digest, [teacher.digest], (teacher.digest,))


@pytest.mark.long
@pytest.mark.slow
def test_a_pruned_network_learns_the_layers_of_what_it_was(trainable, narrower, parts, unlabelled, tmp_path) -> None:
    plan = ps.Recipe([NARROWER, TAUGHT])
    made = ps.compress(trainable, plan, unlabelled, out=tmp_path / "made")
    soft = ps.compress(trainable, ps.Recipe([NARROWER, ps.Distil(epochs=3)]), unlabelled, out=tmp_path / "soft")
    assert made.content.recipe[-1]["features"] == BY_NAME and "student" not in made.content.recipe[-1]
    alone, taught = unlike(soft, trainable, BY_NAME, parts), unlike(made, trainable, BY_NAME, parts)
    assert sum(taught) < sum(alone)
    assert made.content.files[WEIGHTS].size == narrower.content.files[WEIGHTS].size, "projections are dropped"
    assert made.digest == ps.compress(trainable, plan, unlabelled, out=tmp_path / "again").digest


@pytest.mark.slow
@pytest.mark.long
def test_layers_as_wide_as_the_teachers_come_near_them_as_they_are(trainable, parts, unlabelled, tmp_path) -> None:
    low = ps.LowRank(ratio=0.3, epochs=0)
    made, soft = (ps.compress(trainable, ps.Recipe([low, step]), unlabelled, out=tmp_path / step.loss) for step in
                  (TAUGHT, ps.Distil(epochs=3)))  # fmt: skip
    for name in BY_NAME:
        one, two, other = (answered(held, name, parts[1]) for held in (trainable, made, soft))
        assert ((one - two) ** 2).mean() < 0.9 * ((one - other) ** 2).mean(), name


def test_sequences_and_vectors_of_other_widths(parts, unlabelled, tmp_path) -> None:
    teacher = packed(tmp_path / "wide", parts, layered.lines, {"width": 24}, train=True)
    student = packed(tmp_path / "thin", parts, layered.lines, {"width": 8})
    pairs = {"mix": "mix", "embed": "embed"}
    soft, made = (ps.compress(teacher, step, unlabelled, out=tmp_path / step.loss) for step in
                  (ps.Distil(student), ps.Distil(student, loss="features", features=pairs)))  # fmt: skip
    alone, taught = unlike(soft, teacher, pairs, parts), unlike(made, teacher, pairs, parts)
    assert sum(taught) < 0.95 * sum(alone), (alone, taught)


def test_a_teacher_that_reads_rows_in_another_way_gets_the_same_rows(maps, trainable, parts) -> None:
    data = ps.Data({"image": parts[0].inputs["image"][:40]})
    other = shown_by([Teacher(trainable)], Side.of(maps[1], data), data, {"middle": "head.1"}, None)
    assert not other.alike  # the packages hold different files of code
    same = shown_by([Teacher(maps[0])], Side.of(maps[1], data), data, None, None)
    assert same.alike
    (found,), rows = other.looked(np.arange(5, 9)), torch.from_numpy(data.inputs["image"][5:9])
    model, taken = trainee_of(trainable).model, []
    model.get_submodule("head.1").register_forward_hook(lambda module, inputs, answer: taken.append(answer))
    model(digits.featurize(rows))
    assert torch.allclose(found[1], taken[0], atol=1e-6) and found[0].shape == (4, 12)


class Stopped(Exception):
    pass


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("labelled", [False, True])
def test_a_run_that_was_killed_goes_on_and_ends_alike(maps, parts, tmp_path, labelled: bool) -> None:
    teacher, student = maps
    data = ps.Data(parts[0].inputs, labels=parts[0].labels if labelled else None)
    plan, done = ps.Distil(student, loss="features", epochs=3, feature_weight=0.5), []

    def stop(place: int, of: int, what: str) -> None:
        if "distilling" in what and place > 30:
            raise Stopped

    def told(place: int, of: int, what: str) -> None:
        done.extend([place] if "distilling" in what else [])

    with pytest.raises(Stopped):
        plan.run(teacher, data, PassContext(tmp_path / "made", 5, progress=stop, checkpoints=tmp_path / "kept"))
    made = plan.run(teacher, data, PassContext(tmp_path / "made", 5, progress=told, checkpoints=tmp_path / "kept"))
    assert done[0] > 1
    assert made.digest == plan.run(teacher, data, PassContext(tmp_path / "whole", 5)).digest
    assert made.digest != plan.run(teacher, data, PassContext(tmp_path / "other", 6)).digest


def test_a_file_says_it_too(tmp_path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text('[[pass]]\nkind = "distil"\nloss = "features"\nfeature_weight = 2\nepochs = 3\n\n'
                    '[pass.features]\n"body.2" = "encoder.layer.5"\nstem = "stem"\n')  # fmt: skip
    held = ps.Recipe.from_file(file)
    assert held.passes[0].features == {"body.2": "encoder.layer.5", "stem": "stem"}
    assert ps.Recipe.from_dict(held.to_dict()).to_dict() == held.to_dict()
    assert not {"features", "feature_weight"} & set(ps.Distil().to_dict())
    assert ps.Distil(loss="features").to_dict()["feature_weight"] == 1.0


def test_a_search_takes_it_among_structures(trainable, parts) -> None:
    train, held = parts
    both = [[NARROWER, ps.Distil()], [NARROWER, ps.Distil(loss="features")]]
    found = structures_of(both, trainable, held, train, ps.Budget(max_drop=0.5))
    assert [str(one) for one in found] == ["prune 0.2, distil", "prune 0.2, distil features"]
    assert [passes[-1].epochs for passes in found.values()] == [2, 2], "the schedule of the package"


def test_layers_that_are_not_there_are_refused_by_name(maps, trainable, unlabelled, tmp_path) -> None:
    teacher, student = maps

    def said(pairs, one=student, two=teacher) -> str:
        asked = PassContext(tmp_path / "none", progress=lambda *_: pytest.fail("somebody was asked"))
        with pytest.raises(InputError) as caught:
            ps.Distil(one, loss="features", features=pairs).run(two, unlabelled, asked)
        return str(caught.value)

    assert "student has no layer" in said({"eye": "eyes"}) and "eyes" in said({"eye": "eyes"})
    assert "teacher has no layer" in said({"eyes": "eyes.7"}) and "eyes.0" in said({"eyes": "eyes.7"})
    assert "cannot be compared" in said({"eyes": "middle"}) and "(2, 6, 4, 4)" in said({"eyes": "middle"})
    assert "no inner layer of one name" in said(None, two=trainable) and "head.1" in said(None, two=trainable)


def test_teachers_that_show_nothing_are_refused(maps, trainable, unlabelled, tmp_path) -> None:
    teacher, student = maps
    bare = ps.pack(fresh(layered.maps, {}).eval(), name="bare", featurize=digits.featurize, predict=digits.predict, out=tmp_path / "bare",
                   examples={"image": unlabelled.inputs["image"][:32]})  # fmt: skip

    def refused(error, match: str, given) -> None:
        asked = PassContext(tmp_path / "none", progress=lambda *_: pytest.fail("somebody was asked"))
        with pytest.raises(error, match=match):
            ps.Distil(student, given, "features").run(teacher, unlabelled, asked)

    refused(UnsupportedError, "no training/ folder.*pack it with training", bare)
    refused(UnsupportedError, "those of one teacher.*2 teachers", [teacher, trainable])
    refused(UnsupportedError, "only answers shows no inner features", lambda inputs: None)
    refused(UnsupportedError, "address|only answers", "https://localhost:3000")
    refused(TrustError, "Python of its own", ps.open(teacher.path))


@pytest.mark.parametrize("wrong", [
    {"features": {}}, {"features": "stem"}, {"features": {"stem": 3}}, {"features": {"": "stem"}}, {"feature_weight": 0},
    {"feature_weight": float("nan")}, {"loss": "soft", "features": {"stem": "stem"}}, {"loss": "soft", "feature_weight": 2},
])  # fmt: skip
def test_options_that_mean_nothing(wrong) -> None:
    with pytest.raises(InputError, match="feature"):
        ps.Distil(**{"loss": "features", **wrong})
    with pytest.raises(InputError, match="feature"):
        ps.Recipe.from_dict({"pass": [{"kind": "distil", "loss": "features", **wrong}]})
