"""A recipe is looked at before any work: what a later pass cannot do is refused before the passes in front of it train."""

from __future__ import annotations

import numpy as np
import pytest

import portside as ps
from portside.compress.base import Ahead, PassContext
from portside.sdk.core import errors

PRUNE, LOW_RANK = ps.Prune(0.5, steps=1, epochs=1), ps.LowRank(ratio=0.5, epochs=1)


@pytest.fixture
def refused(trainable, parts):
    """(passes, error, words, options) -> they are refused, and nothing was done before."""

    def check(passes, error, match, package=trainable, data=parts[0], **options):
        done: list[str] = []
        with pytest.raises(error, match=match):
            ps.compress(package, ps.Recipe(passes), data, progress=lambda number, of, what: done.append(what), **options)
        assert done == []

    return check


@pytest.mark.parametrize(
    ("passes", "error", "match"),
    [
        ([PRUNE, ps.Forest(0.5)], errors.UnsupportedError, "no ensembles of trees"),
        ([PRUNE, ps.Distil(student="nosuchstudent")], errors.PortsideError, "nosuchstudent"),
        ([PRUNE, ps.Distil(student="sklearn.tree:NoSuchTree")], errors.InputError, "no such estimator"),
        ([PRUNE, ps.Distil(teacher="nosuchteacher")], errors.PortsideError, "nosuchteacher"),
        ([PRUNE, ps.Distil(student="sklearn.tree:DecisionTreeClassifier", loss="embedding")], errors.UnsupportedError, "embedding"),
        ([LOW_RANK, ps.Quantize("int8-static", keep=("main/nosuch",))], errors.UnsupportedError, "main/nosuch"),
        ([LOW_RANK, ps.QAT(keep=["main/nosuch"])], errors.UnsupportedError, "main/nosuch"),
        ([PRUNE, ps.QAT(keep=["nosuch"])], errors.InputError, "No layer has this name"),
        ([PRUNE, ps.LowRank(layers=["nosuch.*"])], errors.InputError, "No layer has this name"),
        ([ps.Quantize("float16"), PRUNE], errors.InputError, "lowered before training"),
        ([ps.QAT(epochs=1), LOW_RANK], errors.InputError, "lowered before training"),
        ([ps.Quantize("float16"), ps.Distil()], errors.InputError, "lowered before training"),
    ],
    ids=lambda held: "-".join(step.kind for step in held) if isinstance(held, list) else None,
)  # fmt: skip
def test_what_cannot_follow_is_refused_first(refused, passes, error, match):
    refused(passes, error, match)


def test_options_are_looked_at_where_they_are_written():
    with pytest.raises(errors.InputError, match="int9"):
        ps.Quantize("int9")
    with pytest.raises(errors.InputError, match="ratio"):
        ps.Forest(ratio=7)


def test_labels_are_asked_for_first(refused, parts):
    without = ps.Data({"image": parts[0].inputs["image"]})
    refused([LOW_RANK, ps.Prune(0.5, importance="taylor")], errors.InputError, "labels", data=without)
    refused([LOW_RANK, ps.QAT(towards="labels")], errors.InputError, "labels", data=without)
    refused([LOW_RANK, ps.Distil()], errors.InputError, "no rows", data=ps.Data({"image": parts[0].inputs["image"][:0]}))


def test_places_are_looked_at_first(refused, parts, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    refused([PRUNE], errors.StoreError, "not empty", out=tmp_path / "full")
    refused([PRUNE, ps.Quantize("float16")], errors.UnsupportedError, "no such target", target="toaster", held_out=parts[1])
    refused([PRUNE, ps.Quantize("float16")], errors.InputError, "held_out", target="onnx-cpu", held_out=parts[1].take(range(0)))


def test_trust_and_training_are_asked_for_before_what_needs_neither(refused, trainable):
    refused([ps.Quantize("float16"), ps.Quantize("int8-static")], errors.InputError, "no rows", data=ps.Data({"image": np.zeros((0, 64))}))
    refused([PRUNE], errors.TrustError, "trust", package=ps.open(trainable.path))


def test_a_node_that_a_pass_may_make_is_no_mistake(trainable, parts):
    ahead = LOW_RANK.look_ahead(Ahead(trainable, parts[0]))
    assert ahead.changed
    assert ps.Quantize("int8-static", keep=("main/Gemm_13",)).look_ahead(ahead).lowered
    with pytest.raises(errors.UnsupportedError, match="Gemm_13"):
        ps.Quantize("int8-static", keep=("main/Gemm_13",)).look_ahead(Ahead(trainable, parts[0]))


def test_a_student_is_what_the_next_pass_finds(trainable, parts):
    assert ps.Distil(trainable).look_ahead(Ahead(trainable, parts[0])).package is trainable
    tree = ps.Distil(student="sklearn.tree:DecisionTreeClassifier").look_ahead(Ahead(trainable, parts[0]))
    assert tree == Ahead(None, parts[0], changed=True)
    assert ps.Forest(0.5).look_ahead(tree) == tree


def test_a_pass_of_others_need_not_look_ahead(trainable, parts, tmp_path):
    class Same:
        kind = "same"

        def run(self, package, data, context):
            return ps.Quantize("float16").run(package, data, PassContext(context.out))

        def to_dict(self):
            return {"kind": self.kind}

    made = ps.compress(trainable, ps.Recipe([Same(), ps.Quantize("float16")]), parts[0], out=tmp_path / "made")
    assert [step["kind"] for step in made.content.recipe] == ["quantize", "quantize"]
