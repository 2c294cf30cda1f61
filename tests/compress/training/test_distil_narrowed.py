"""A package that learns in a recipe: what a pass made narrower, from what the recipe began with."""

from __future__ import annotations

import numpy as np
import pytest
from narrowed import NARROWER

import portside as ps
from portside.compress.base import PassContext
from portside.compress.resuming import Kept
from portside.compress.training.batches import Batches
from portside.compress.training.norms import estimated, parted
from portside.compress.training.stored import trainee_of
from portside.runtimes.reference import Reference
from portside.sdk.core.errors import InputError, TrustError

TAUGHT = ps.Distil(epochs=3)
WEIGHTS = "training/weights.safetensors"


def right(package, data) -> float:
    return float((Reference().open(package).predict(data.inputs)["digit"] == data.labels).mean())


@pytest.fixture(scope="module")
def made(trainable, unlabelled, tmp_path_factory):
    return ps.compress(trainable, ps.Recipe([NARROWER, TAUGHT]), unlabelled, out=tmp_path_factory.mktemp("made") / "made")


def test_a_pruned_network_learns_from_what_it_was(trainable, narrower, made, parts) -> None:
    _, held = parts
    assert right(narrower, held) < 0.7
    assert right(made, held) > 0.85
    assert made.content.files[WEIGHTS].size == narrower.content.files[WEIGHTS].size < trainable.content.files[WEIGHTS].size / 2
    pruned, taught = made.content.recipe
    assert (pruned["kind"], taught["kind"], taught["teacher"]) == ("prune", "distil", [trainable.digest])
    assert "student" not in taught
    assert (made.name, made.content.parents, made.trusted) == (trainable.name, (trainable.digest,), True)


def test_a_file_says_it_too_and_two_calls_do_the_same(trainable, narrower, made, unlabelled, tmp_path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text('[[pass]]\nkind = "prune"\nratio = 0.2\nsteps = 1\nepochs = 0\nround_to = 4\n\n[[pass]]\nkind = "distil"\nepochs = 3\n')
    assert ps.compress(trainable, file, unlabelled, out=tmp_path / "filed").digest == made.digest
    assert ps.Recipe.from_file(file).to_dict() == ps.Recipe([NARROWER, TAUGHT]).to_dict()
    after = ps.compress(trainable, ps.Distil(narrower, epochs=3), unlabelled, out=tmp_path / "after")
    assert after.read(WEIGHTS) == made.read(WEIGHTS)


def test_a_package_learns_from_a_teacher_that_is_named(trainable, narrower, unlabelled, parts, tmp_path) -> None:
    taught = ps.Distil(teacher=trainable, epochs=3).run(narrower, unlabelled, PassContext(tmp_path / "taught"))
    assert right(taught, parts[1]) > right(narrower, parts[1]) + 0.1
    assert taught.content.parents == (trainable.digest, narrower.digest)


def test_nobody_teaches_himself(trainable, narrower, unlabelled, tmp_path) -> None:
    with pytest.raises(InputError, match="cannot teach itself"):
        ps.compress(trainable, ps.Distil(), unlabelled, out=tmp_path / "none")
    with pytest.raises(InputError, match="cannot teach itself"):
        ps.Distil().run(narrower, unlabelled, PassContext(tmp_path / "none"))
    with pytest.raises(TrustError):
        ps.Distil(teacher=trainable).run(ps.open(narrower.path), unlabelled, PassContext(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_another_origin_is_another_kept_pass(narrower, unlabelled, tmp_path) -> None:
    places = {Kept(tmp_path, unlabelled, 0, origin).place(narrower, TAUGHT) for origin in ("one", "other", "one")}
    assert len(places) == 2


def test_norms_have_the_statistics_of_the_student_that_was_trained(trainable, narrower, unlabelled, tmp_path) -> None:
    def off(rows: int) -> float:
        """How far the norms' variances are from those of the student's own maps."""
        made = ps.Distil(teacher=trainable, epochs=1, norm_rows=rows).run(narrower, unlabelled, PassContext(tmp_path / str(rows)))
        trainee = trainee_of(made)
        batches, stored = Batches(made, trainee, unlabelled), trainee.model.stem[1].running_var.clone()
        estimated(trainee.model, map(batches.of, parted(np.arange(len(batches)))))
        return float(((stored - trainee.model.stem[1].running_var).abs() / trainee.model.stem[1].running_var).mean())

    anew, followed = off(len(unlabelled)), off(0)
    assert anew < 0.02 and followed > 2 * anew + 0.02


def test_rows_for_norms_are_a_number_of_rows() -> None:
    with pytest.raises(InputError, match="norm_rows"):
        ps.Distil(norm_rows=-1)


def test_rows_for_norms_stay_in_a_recipe_and_tell_kept_passes_apart(narrower, unlabelled, tmp_path) -> None:
    plan = ps.Recipe([ps.Distil(norm_rows=0), ps.Distil()])
    assert [step.norm_rows for step in ps.Recipe.from_dict(plan.to_dict()).passes] == [0, 512]
    assert len({Kept(tmp_path, unlabelled, 0, "one").place(narrower, step) for step in plan.passes}) == 2
