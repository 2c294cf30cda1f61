"""Teaching: a network, an estimator or an order of scores learned from what others answer, on rows without labels."""

from __future__ import annotations

from contextlib import nullcontext

import digits
import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import portside as ps
from portside.compress.base import PassContext
from portside.compress.distil_answers import probabilities
from portside.compress.distil_losses import listwise, pairwise, softened
from portside.runtimes.reference import Reference
from portside.sdk.core.errors import InputError, PortsideError, TrustError, UnsupportedError

SIZES = {"first": 4, "second": 8, "hidden": 16}


def right(package, data) -> float:
    answers = Reference().open(package).predict(data.inputs)
    return float((next(held for name, held in answers.items() if name in ("digit", "label")) == data.labels).mean())


def small_network(folder, train, epochs: float = 12, net=None):
    torch.manual_seed(1)
    few = train.take(range(64))
    ps.pack(net or digits.make(**SIZES).eval(), name="small", featurize=digits.featurize, predict=digits.predict,
            examples={"image": few.inputs["image"]}, out=folder,
            training=ps.Training(digits.make, SIZES, schedule=ps.Schedule(epochs=epochs, lr=5e-3)))  # fmt: skip
    return ps.open(folder, trust=True)


@pytest.fixture(scope="module")
def forest(parts, tmp_path_factory):
    train, _ = parts
    model = RandomForestClassifier(60, random_state=0).fit(train.inputs["image"], train.labels)
    return ps.pack(model, name="forest", examples={"image": train.inputs["image"][:64]}, out=tmp_path_factory.mktemp("forest") / "forest")


def alone(parts, rows: int = 100):
    """The small network on a few labels, with as many steps as distillation has."""
    train, _ = parts
    torch.manual_seed(1)
    net, few = digits.make(**SIZES), train.take(range(rows))
    x, y = digits.featurize(torch.from_numpy(few.inputs["image"])), torch.from_numpy(few.labels)
    optimizer = torch.optim.AdamW(net.parameters(), 5e-3)
    for step in range(12 * 19):
        batch = torch.randperm(rows, generator=torch.Generator().manual_seed(step))[:64]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
        optimizer.step()
    return net.eval()


def test_a_small_network_learns_more_from_a_teacher_than_from_few_labels(trainable, parts, unlabelled, tmp_path) -> None:
    train, held = parts
    student = small_network(tmp_path / "student", train)
    made = ps.compress(trainable, ps.Distil(student), unlabelled, out=tmp_path / "made")
    few = small_network(tmp_path / "few", train, net=alone(parts))
    assert right(made, held) > right(few, held) + 0.02
    assert right(made, held) > 0.9
    step = made.content.recipe[-1]
    assert (step["kind"], step["student"], step["teacher"]) == ("distil", student.digest, [trainable.digest])
    assert made.content.parents == (trainable.digest,)
    assert made.trusted
    assert "training/weights.safetensors" in made.content.files
    assert made.name == "small"


@pytest.mark.slow
@pytest.mark.long
def test_a_forest_teaches_a_small_network_and_a_single_tree(forest, parts, unlabelled, tmp_path) -> None:
    train, held = parts
    network = ps.compress(forest, ps.Distil(small_network(tmp_path / "student", train)), unlabelled, out=tmp_path / "network")
    tree = ps.compress(forest, ps.Distil(DecisionTreeClassifier(max_depth=10, random_state=0)), unlabelled, out=tmp_path / "tree")
    assert right(forest, held) > 0.93
    assert right(network, held) > 0.85
    assert right(tree, held) > 0.75
    assert [stage.kind for stage in tree.content.stages].count("trees") == 1
    assert tree.content.parents == (forest.digest,)
    assert {spec.name for spec in tree.signature.outputs} == {spec.name for spec in forest.signature.outputs}
    assert sum(entry.size for entry in tree.content.files.values()) < 0.3 * sum(entry.size for entry in forest.content.files.values())
    assert ps.verify(tree, targets=["onnx-cpu"])
    again = ps.compress(tree, ps.Forest(0.5), unlabelled, out=tmp_path / "again")
    assert [step["kind"] for step in again.content.recipe] == ["distil", "forest"]


def test_several_teachers_are_averaged_and_labels_have_their_share(trainable, forest, parts, tmp_path) -> None:
    train, held = parts
    student = small_network(tmp_path / "student", train)

    def third(inputs):
        return np.full((len(inputs["image"]), 10), 0.1)

    plan = ps.Distil(student, teacher=[trainable, forest, third], weight=0.5, temperature=2.0)
    made = plan.run(trainable, train, PassContext(tmp_path / "made"))
    assert right(made, held) > 0.9
    assert made.content.parents == (trainable.digest, forest.digest)
    assert [word.partition(" ")[0] for word in made.content.recipe[-1]["teacher"]] == [trainable.digest, forest.digest, "function"]


class Stopped(Exception):
    pass


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_and_ends_alike(forest, parts, unlabelled, tmp_path) -> None:
    student = small_network(tmp_path / "student", parts[0], epochs=3)
    plan, told = ps.Distil(student), []

    def stop(done: int, of: int, what: str) -> None:
        told.append(what)
        if "distilling" in what and done > 30:
            raise Stopped

    with pytest.raises(Stopped):
        plan.run(forest, unlabelled, PassContext(tmp_path / "made", 5, progress=stop, checkpoints=tmp_path / "kept"))
    assert any("asking" in what for what in told)
    asked = []
    again = PassContext(tmp_path / "made", 5, progress=lambda done, of, what: asked.append(done) if "distilling" in what else None,
                        checkpoints=tmp_path / "kept")  # fmt: skip
    made = plan.run(forest, unlabelled, again)
    assert asked[0] > 1
    assert made.digest == plan.run(forest, unlabelled, PassContext(tmp_path / "whole", 5)).digest


def test_answers_are_asked_for_once(forest, unlabelled, tmp_path) -> None:
    plan = ps.Distil(DecisionTreeClassifier(max_depth=3, random_state=0))
    rounds = []
    for number in range(3):
        seen: list[int] = []
        told = lambda done, of, what, seen=seen: seen.append(of)  # noqa: E731
        with pytest.warns(RuntimeWarning, match="teacher-.* is damaged") if number == 2 else nullcontext():
            plan.run(forest, unlabelled, PassContext(tmp_path / f"{number}", progress=told, checkpoints=tmp_path / "kept"))
        rounds.append(len(seen))
        if number == 1:
            next((tmp_path / "kept").glob("teacher-*")).write_bytes(b"damaged")
    assert rounds[1] < rounds[0] == rounds[2]


class Embedder(torch.nn.Module):
    """(batch, 1, 8, 8) -> (batch, size)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, size))

    def forward(self, features):
        return self.body(features)


def embedder(size: int = 12):
    return Embedder(size)


def embedded(model, features):
    vector = model(features)
    return {"embedding": vector / vector.norm(dim=1, keepdim=True)}


def scored(model, features):
    return {"score": model(features)[:, 0] * 3.0}


def listed(model, features):
    return {"score": model(features) * 3.0}


def packed_as(predict, size: int, folder, train, kinds, seed: int = 0):
    torch.manual_seed(seed)
    ps.pack(embedder(size).eval(), name="vectors", featurize=digits.featurize, predict=predict, kinds=kinds, out=folder,
            examples={"image": train.inputs["image"][:64]},
            training=ps.Training(embedder, {"size": size}, loss="mse", schedule=ps.Schedule(epochs=8, lr=5e-3)))  # fmt: skip
    return ps.open(folder, trust=True)


def test_embeddings_of_another_size(parts, unlabelled, tmp_path) -> None:
    train, held = parts
    teacher = packed_as(embedded, 24, tmp_path / "teacher", train, {"embedding": "embedding"})
    student = packed_as(embedded, 12, tmp_path / "student", train, {"embedding": "embedding"}, seed=1)
    made = ps.compress(teacher, ps.Distil(student, loss="embedding"), unlabelled, out=tmp_path / "made")
    one, before, after = (Reference().open(held_by).predict(held.inputs)["embedding"] for held_by in (teacher, student, made))
    assert after.shape[1] == 12

    def alike(other) -> float:
        return float(np.corrcoef((one @ one.T)[np.triu_indices(len(one), 1)], (other @ other.T)[np.triu_indices(len(one), 1)])[0, 1])

    assert alike(after) > alike(before) + 0.1


@pytest.mark.parametrize(("predict", "size", "kind"), [(scored, 1, "value"), (listed, 6, "ranking")])
def test_an_order_of_scores(predict, size: int, kind: str, parts, unlabelled, tmp_path) -> None:
    train, held = parts
    teacher = packed_as(predict, size, tmp_path / "teacher", train, {"score": kind})
    student = packed_as(predict, size, tmp_path / "student", train, {"score": kind}, seed=1)
    made = ps.compress(teacher, ps.Distil(student, loss="ranking"), unlabelled, out=tmp_path / "made")
    answers = [Reference().open(one).predict(held.inputs)["score"] for one in (teacher, student, made)]
    ranks = [np.argsort(np.argsort(held_by, axis=-1), axis=-1).ravel() for held_by in answers]
    assert np.corrcoef(ranks[0], ranks[2])[0, 1] > 0.85 > np.corrcoef(ranks[0], ranks[1])[0, 1]


def test_values_are_taught_to_estimators_and_text_stays_text(tmp_path) -> None:
    x, y = load_diabetes(return_X_y=True)
    forest = RandomForestRegressor(40, random_state=0).fit(x[:300], y[:300])
    package = ps.pack(forest, name="values", examples={"x": x[:64]}, out=tmp_path / "values")
    made = ps.compress(package, ps.Distil("sklearn.tree:DecisionTreeRegressor", options={"max_depth": 5, "random_state": 0}),
                       ps.Data({"x": x[:300]}), out=tmp_path / "tree")  # fmt: skip
    one, other = (next(iter(Reference().open(held).predict({"x": x[:300]}).values())) for held in (package, made))
    assert np.corrcoef(one, other)[0, 1] > 0.85
    assert made.content.recipe[-1]["options"] == {"max_depth": 5, "random_state": 0}
    plan = ps.Recipe.from_dict({"pass": [{"kind": "distil", "student": "sklearn.tree:DecisionTreeRegressor", "options": {"max_depth": 5}}]})
    assert ps.Recipe.from_dict(plan.to_dict()).to_dict() == plan.to_dict()


def test_tables_with_text_and_names_of_classes(tmp_path) -> None:
    pandas = pytest.importorskip("pandas")
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder

    random = np.random.default_rng(0)
    frame = pandas.DataFrame({"size": random.normal(size=600), "colour": random.choice(["red", "green", "blue"], 600)})
    y = np.where((frame["size"] > 0) ^ (frame["colour"] == "red"), "keep", "drop")

    def pipeline(last):
        return make_pipeline(ColumnTransformer([("size", StandardScaler(), ["size"]), ("colour", OneHotEncoder(), ["colour"])]), last)

    forest = pipeline(RandomForestClassifier(40, random_state=0)).fit(frame, y)
    package = ps.pack(forest, name="table", examples=frame[:64], out=tmp_path / "t")
    rows = ps.Data({"size": frame["size"].to_numpy(), "colour": frame["colour"].tolist()}, labels=y)
    plan = ps.Distil(pipeline(DecisionTreeClassifier(max_depth=4, random_state=0)), weight=0.5)
    made = ps.compress(package, plan, rows, out=tmp_path / "m")
    said = Reference().open(made).predict(rows.inputs)["label"]
    assert (said == y).mean() > 0.95
    assert set(said.tolist()) == {"keep", "drop"}
    assert made.signature.input("colour").categories == package.signature.input("colour").categories


def test_losses_are_smallest_where_both_agree() -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 4, generator=random)
    assert float(softened(logits, logits.softmax(1), 4.0)) < 1e-5 < float(softened(-logits, logits.softmax(1), 4.0))
    one = torch.randn(6, 1, generator=random)
    both = torch.cat([1 - one.sigmoid(), one.sigmoid()], 1)
    assert float(softened(one, both, 3.0)) < 1e-5
    scores = torch.randn(6, generator=random)
    assert float(pairwise(scores, scores, 1.0)) < float(pairwise(-scores, scores, 1.0))
    assert float(listwise(logits, logits)) < float(listwise(-logits, logits))


def test_scores_become_chances() -> None:
    chances = np.array([[0.2, 0.8], [0.5, 0.5]])
    assert np.allclose(probabilities(chances), chances)
    assert np.allclose(probabilities(np.array([[0.3]])), [[0.7, 0.3]])
    assert np.allclose(probabilities(np.array([[2.0, -1.0]])).sum(axis=1), 1)
    assert probabilities(np.array([[-3.0]]))[0, 1] < 0.1


def test_what_cannot_be_taught_is_said(trainable, forest, parts, unlabelled, tmp_path) -> None:
    train, _ = parts
    student = small_network(tmp_path / "student", train)
    with pytest.raises(UnsupportedError, match="shows no inner features: it has no training/ folder"):
        ps.compress(forest, ps.Distil(student, loss="features"), unlabelled, out=tmp_path / "none")
    with pytest.raises(UnsupportedError, match="no inner layers"):
        ps.compress(trainable, ps.Distil(DecisionTreeClassifier(), loss="features"), unlabelled, out=tmp_path / "none")
    with pytest.raises(UnsupportedError, match="no training/ folder"):
        ps.compress(trainable, ps.Distil(forest), unlabelled, out=tmp_path / "none")
    with pytest.raises(TrustError):
        ps.compress(forest, ps.Distil(ps.open(tmp_path / "student")), unlabelled, out=tmp_path / "none")
    with pytest.raises(UnsupportedError, match="no output for the loss 'embedding'"):
        ps.compress(forest, ps.Distil(student, loss="embedding"), unlabelled, out=tmp_path / "none")
    with pytest.raises(InputError, match="no rows"):
        ps.compress(forest, ps.Distil(student), unlabelled.take([]), out=tmp_path / "none")
    with pytest.raises(InputError, match="different sizes"):
        ps.compress(forest, ps.Distil(student, teacher=lambda inputs: np.full((len(inputs["image"]), 3), 1 / 3)), unlabelled,
                    out=tmp_path / "none")  # fmt: skip
    with pytest.raises(InputError, match="finite"):
        ps.compress(forest, ps.Distil(student, teacher=lambda inputs: np.full((2, 10), 0.1)), unlabelled, out=tmp_path / "none")
    with pytest.raises(InputError, match="different tasks"):
        ps.compress(forest, ps.Distil(LinearRegression()), unlabelled, out=tmp_path / "none")
    with pytest.raises(UnsupportedError, match="taught ranking"):
        ps.compress(forest, ps.Distil(DecisionTreeClassifier(), loss="ranking"), unlabelled, out=tmp_path / "none")
    for wrong in ({"temperature": 0}, {"weight": 0}, {"weight": 2}, {"epochs": -1}, {"loss": "hard"}, {"options": {"a": 1}}):
        with pytest.raises(InputError):
            ps.Distil(student, **wrong)
    for word in ("os:system", "sklearn.tree:Nothing", 3):
        with pytest.raises(PortsideError):
            ps.compress(forest, ps.Distil(word), unlabelled, out=tmp_path / "none")
    with pytest.raises(InputError, match="cannot teach itself"):
        ps.compress(forest, ps.Recipe.from_dict({"pass": [{"kind": "distil"}]}), unlabelled, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_teacher_by_its_folder_and_a_regressor_tree(tmp_path) -> None:
    x, y = load_diabetes(return_X_y=True)
    forest = ps.pack(RandomForestRegressor(20, random_state=0).fit(x, y), name="f", examples={"x": x[:64]}, out=tmp_path / "forest")
    other = ps.pack(LinearRegression().fit(x, y), name="l", examples={"x": x[:64]}, out=tmp_path / "linear")
    plan = ps.Distil(DecisionTreeRegressor(max_depth=4), teacher=[str(tmp_path / "forest"), other])
    made = plan.run(forest, ps.Data({"x": x}), PassContext(tmp_path / "made"))
    assert made.content.parents == (forest.digest, other.digest)
