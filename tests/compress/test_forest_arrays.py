"""Shrinking on bare arrays: what is pruned, merged and rounded answers as it says, on rows with every edge there is."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.compress import kept_steps
from portside.compress.base import PassContext
from portside.compress.forest_build import Size, built, size_bytes
from portside.compress.forest_fit import Shape, narrowed_to, order, refitted, thinned
from portside.compress.forest_leaves import rounded
from portside.compress.forest_links import LINKS, link_of
from portside.compress.forest_options import Goal, Option, options, parts
from portside.compress.forest_prune import Costs, costs, pruned
from portside.compress.forest_shrink import Choice, Limits, Shrinking, chosen
from portside.compress.forest_thresholds import merged
from portside.compress.kept_steps import KeptSteps, Scope
from portside.sdk.core.errors import UnsupportedError

sys.path.insert(0, str(Path(__file__).parents[1] / "runtimes"))
from grown import random_rows, random_trees

kinds = st.tuples(st.integers(0, 10**6), st.booleans(), st.sampled_from(["sum", "mean"]))


def costs_of(trees, x) -> Costs:
    score = trees.evaluate(x).astype(float)
    return costs(trees, Shape.of(trees).value, trees.ends(x), np.zeros_like(score), np.ones_like(score))


def cut(trees, x, ratio: float) -> Shape:
    held = costs_of(trees, x)
    chosen = np.arange(len(trees.roots))
    size = Size(trees, chosen, max(len(chosen), int(ratio * len(trees.feature))), size_bytes(trees))
    return replace(Shape.of(trees), leaf=pruned(trees, held, chosen, size.fits), value=held.value)


@given(kinds)
@settings(max_examples=25, deadline=None)
def test_arrays_of_a_shape_answer_as_the_shape_does(kind) -> None:
    seed, targeted, aggregate = kind
    trees, x = random_trees(seed, targeted=targeted, aggregate=aggregate), random_rows(seed, 200)
    whole = built(Shape.of(trees))
    np.testing.assert_allclose(whole.evaluate(x), trees.evaluate(x), rtol=1e-5, atol=1e-6)
    shape = cut(trees, random_rows(seed + 1, 200), 0.4)
    ends = shape.ends(trees.ends(x))  # rows with NaN, unknown codes and ties: sides and sets are those of the source
    np.testing.assert_allclose(built(shape).evaluate(x), shape.score(ends), rtol=1e-5, atol=1e-5)


@given(kinds, st.floats(0.1, 0.9), st.floats(0.1, 0.9))
@settings(max_examples=25, deadline=None)
def test_fewer_nodes_are_never_more_bytes_and_lose_no_less(kind, one: float, other: float) -> None:
    seed, targeted, aggregate = kind
    trees, x = random_trees(seed, targeted=targeted, aggregate=aggregate), random_rows(seed, 200)
    small, large = (cut(trees, x, ratio) for ratio in sorted((one, other)))
    assert len(built(small).feature) <= len(built(large).feature)
    assert size_bytes(built(small)) <= size_bytes(built(large))
    assert not (large.leaf & ~small.leaf & (trees.feature >= 0) & Size(trees, trees.tree_of[trees.roots], 0, 0).alive(small.leaf)).any()


def test_a_pruned_ensemble_is_the_best_of_all_of_its_size() -> None:
    trees, x = random_trees(3, trees=2, outputs=1, depth=3), random_rows(3, 200)
    held = costs_of(trees, x)
    inner = np.flatnonzero(trees.feature >= 0)
    for ratio in (0.3, 0.5, 0.7):
        shape = cut(trees, x, ratio)
        leaves, cost = measured(trees, held, shape.leaf)
        for code in range(2 ** len(inner)):
            leaf = trees.feature < 0
            leaf[inner] = (code >> np.arange(len(inner))) & 1
            other, less = measured(trees, held, leaf)
            assert other > leaves or less >= cost - 1e-9


def measured(trees, held: Costs, leaf) -> tuple[int, float]:
    alive = Size(trees, np.arange(len(trees.roots)), 0, 0).alive(leaf)
    return int((alive & leaf).sum()), float(held.cost[alive & leaf].sum())


@given(kinds)
@settings(max_examples=25, deadline=None)
def test_thresholds_that_no_row_tells_apart_become_one(kind) -> None:
    seed, targeted, aggregate = kind
    trees, x = random_trees(seed, targeted=targeted, aggregate=aggregate), random_rows(seed, 30)
    found = merged(trees, x, "exact", np.ones(len(trees.feature), bool))
    assert np.array_equal(replace(trees, threshold=found).ends(x), trees.ends(x))
    few = merged(trees, x, 2, np.ones(len(trees.feature), bool))
    numeric = (trees.feature >= 0) & (trees.bitset < 0)
    for column in np.unique(trees.feature[numeric]):
        mine = numeric & (trees.feature == column)
        assert len(np.unique(few[mine])) <= 2
        assert len(np.unique(found[mine])) <= len(np.unique(trees.threshold[mine]))
        assert set(few[mine]) <= set(trees.threshold[mine])


def test_leaves_are_rounded_to_what_they_say() -> None:
    trees, x = random_trees(5, trees=30), random_rows(5, 200)
    half, few = rounded(trees, "float16"), rounded(trees, "int8")
    assert np.array_equal(half.values, half.values.astype(np.float16).astype(np.float32))
    assert all(len(np.unique(few.values[:, place])) <= 256 for place in range(3))
    for made in (half, few):
        assert np.array_equal(made.ends(x), trees.ends(x))
        assert size_bytes(made) <= size_bytes(trees)
        assert np.abs(made.evaluate(x) - trees.evaluate(x)).max() < 0.5
    assert rounded(trees, "float32") is trees
    with pytest.raises(UnsupportedError, match="float16"):
        rounded(replace(trees, values=trees.values * 1e6), "float16")


def test_each_sweep_over_the_leaves_comes_closer() -> None:
    trees, x = random_trees(7, trees=20, outputs=1), random_rows(7, 400)
    goal = trees.evaluate(x).astype(float)
    shape = cut(trees, x, 0.4)
    ends = shape.ends(trees.ends(x))
    losses = [LINKS["value"].loss(held.score(ends), goal) for held in refitted(shape, ends, goal, LINKS["value"], 4, 1e-6)]
    assert all(after <= before + 1e-9 for before, after in pairwise(losses))
    assert losses[-1] < 0.8 * losses[0]


def test_sweeps_that_were_kept_go_on_bit_for_bit(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(kept_steps, "EVERY_S", 0.0)
    trees, x = random_trees(7, trees=20, outputs=1), random_rows(7, 400)
    goal = np.sin(trees.evaluate(x).astype(float))
    shape = cut(trees, x, 0.4)
    ends = shape.ends(trees.ends(x))
    whole = refitted(shape, ends, goal, LINKS["value"], 4, 2.0)
    for sweeps in (1, 2, 4):
        kept = refitted(shape, ends, goal, LINKS["value"], sweeps, 2.0, Scope(KeptSteps(tmp_path), {}))
        assert all(np.array_equal(one.value, two.value) for one, two in zip(kept, whole, strict=False))
    assert len(KeptSteps(tmp_path).series("forest-sweep", {})) == 4


def test_the_tree_that_says_most_comes_first() -> None:
    trees, x = random_trees(11, trees=8, outputs=1, aggregate="mean"), random_rows(11, 400)
    heavy = replace(trees, values=np.where((np.arange(len(trees.values)) == trees.values.shape[0] - 1)[:, None], 80, trees.values))
    shape, ends = Shape.of(heavy), heavy.ends(x)
    wanted = shape.score(ends)
    ranked = order(shape, ends, wanted, np.ones_like(wanted))
    assert sorted(ranked.tolist()) == list(range(8))

    def lost(chosen) -> float:
        held = narrowed_to(shape, np.array(chosen), ends, wanted, np.ones_like(wanted))
        return LINKS["value"].loss(held.score(held.ends(ends)), wanted)

    assert lost(ranked) < 1e-9
    assert lost(ranked[:1]) == min(lost([one]) for one in range(8))


def test_links_are_found_by_the_answers() -> None:
    one, many = np.linspace(-3, 3, 40)[:, None], np.random.default_rng(0).normal(size=(40, 3))
    for name in ("sigmoid", "sigmoid2", "exp", "value"):
        made = LINKS[name].mean(one).astype(np.float32)
        found = link_of(one, {"label": np.zeros(40, np.int64), "score": made})
        assert found is not None and found.name == name
    assert link_of(many, {"p": LINKS["softmax"].mean(many).astype(np.float32)}).name == "softmax"
    assert link_of(one, {"p": np.hstack([1 - LINKS["sigmoid"].mean(one), LINKS["sigmoid"].mean(one)])}).name == "sigmoid"
    assert link_of(one, {"p": one**2}) is None


@pytest.mark.parametrize("name", list(LINKS))
def test_derivatives_are_those_of_the_loss(name: str) -> None:
    link, random = LINKS[name], np.random.default_rng(0)
    score = random.normal(size=(5, 3)) * 0.5
    goal = random.random((5, 3))
    goal = goal / goal.sum(axis=1, keepdims=True) if name == "softmax" else goal
    step = np.zeros_like(score)
    step[2, 1] = 1e-5
    risen = (link.loss(link.mean(score + step), goal) - link.loss(link.mean(score - step), goal)) / 2e-5 * len(score)
    pull = link.pull(link.mean(score), goal)[2, 1] * (2 if name == "value" else 1)
    assert abs(risen - pull) < 1e-4


@given(kinds, st.floats(0.15, 0.9))
@settings(max_examples=15, deadline=None)
def test_the_budget_holds_in_nodes_and_in_bytes(kind, ratio: float) -> None:
    seed, targeted, aggregate = kind
    trees, x = random_trees(seed, trees=12, targeted=targeted, aggregate=aggregate), random_rows(seed, 200)
    score = trees.evaluate(x).astype(float)
    goal = Goal(x, score, score, LINKS["value"])
    made = built(Shrinking(trees, goal, Limits(ratio, None, 2, 3.0, 1), PassContext(seed=seed)).run())
    assert len(made.feature) <= max(1, ratio * len(trees.feature))
    assert size_bytes(made) <= ratio * size_bytes(trees)


@pytest.mark.parametrize("aggregate", ["sum", "mean"])
def test_labels_choose_the_first_trees_where_these_are_right(aggregate: str) -> None:
    trees, x = random_trees(13, trees=24, outputs=1, categories=False, aggregate=aggregate), random_rows(13, 400)
    score, whole = trees.evaluate(x).astype(float), Shape.of(trees)
    count = max(option.number for option in options(trees, 0.4, None) if option.plain and option.number < 11)
    first = thinned(whole, np.arange(count))
    truth = first.score(first.ends(trees.ends(x)))

    def lost(labels) -> float:
        made = Shrinking(trees, Goal(x, score, score, LINKS["value"], labels), Limits(0.4, None, 2, 3.0, 1), PassContext()).run()
        return LINKS["value"].loss(built(made).evaluate(x), truth)

    assert lost(truth) < 1e-9
    assert lost(None) > 1e-3


def test_a_few_trees_of_a_mean_are_averaged_and_of_a_sum_added() -> None:
    for aggregate in ("mean", "sum"):
        trees, x = random_trees(17, trees=6, outputs=2, aggregate=aggregate), random_rows(17)
        chosen = np.array([4, 1])
        apart = [built(thinned(Shape.of(trees), np.array([one]))).evaluate(x).astype(float) - trees.base for one in chosen]
        both = built(thinned(Shape.of(trees), chosen)).evaluate(x)
        np.testing.assert_allclose(both, trees.base + (np.mean(apart, axis=0) if aggregate == "mean" else np.sum(apart, axis=0)), atol=1e-5)


def test_rows_are_judged_by_what_other_rows_taught() -> None:
    trees, x = random_trees(19), np.unique(random_rows(19, 300), axis=0)
    score = trees.evaluate(x).astype(float)
    for truth, judged in ((None, len(x) // 4), (score, len(x))):
        held = parts(Goal(x, score, score, LINKS["value"], truth), trees, 0, 10**6, seed=1)
        assert sum(len(part.apart.x) for part in held) == judged
        for part in held:
            both = np.concatenate([part.learn.x, part.apart.x])
            assert len(both) == len(x) == len(np.unique(both, axis=0))
    (few,) = parts(Goal(x[:20], score[:20], score[:20], LINKS["value"], score[:20]), trees, 0, 10**6, seed=1)
    assert len(few.learn.x) == len(few.apart.x) == 20


def test_labels_overrule_closeness_only_where_they_are_clear() -> None:
    noise = np.random.default_rng(0).normal(size=400)
    close = Choice(Option(8), 1, 0.1, noise + 1.0)
    clearly, hardly = (Choice(Option(4), 2, 0.2, np.roll(noise, 1) + level) for level in (0.5, 0.99))
    assert chosen([clearly, close]) is clearly
    assert chosen([hardly, close]) is close
    first = Choice(Option(2, ranked=False, plain=True), 0, 0.9, noise + 0.995)
    assert chosen([hardly, close, first]) is first  # no worse than what needs no pass
    assert chosen([clearly, close, first]) is clearly
    silent = [Choice(Option(4), 0, 0.2), Choice(Option(2), 0, 0.3)]
    assert chosen(silent) is silent[0]
