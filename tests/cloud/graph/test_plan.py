"""The plan: what a graph does next, for any graph, any outcome of its steps and any time left."""

import graphlib
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.cloud.graph.covering import answer_rows, standing
from portside.cloud.graph.merging import merged
from portside.cloud.graph.plan import Cut, Fill, Plan, Skip, Start, StepPlan, decide, ordered
from portside.cloud.graph.references import Comparison, Condition, Reference
from portside.cloud.graph.rows import Answered, Missing, best, kept
from portside.sdk.core.signature import TensorSpec

SPEC = TensorSpec("score", "f32", ("batch",))
NAMES = ("a", "b", "c", "d", "e")
SEEDS = {name: place for place, name in enumerate((*NAMES, "first"))}


@st.composite
def step_plans(draw):
    """Up to five steps, each reading some of those before it."""
    steps = []
    for place, name in enumerate(NAMES[: draw(st.integers(1, 5))]):
        before = NAMES[:place]
        inputs = draw(st.dictionaries(st.sampled_from(before), st.booleans(), max_size=2)) if before else {}
        when = cut = None
        if before and draw(st.booleans()):
            one = st.builds(Comparison, st.builds(Reference, st.sampled_from(before), st.just("score")),
                            st.sampled_from(["<", ">", ">=", "=="]), st.sampled_from([0.25, 0.5, 0.75]))  # fmt: skip
            when = Condition(draw(st.lists(st.lists(one, min_size=1, max_size=2).map(tuple), min_size=1, max_size=2).map(tuple)))
        if before and draw(st.booleans()):
            cut = Cut((Reference(draw(st.sampled_from(before)), "score"),), draw(st.integers(1, 4)), draw(st.booleans()))
        steps.append(StepPlan(name, inputs, when, cut, draw(st.sampled_from([None, 5.0, 500.0])), draw(st.booleans())))
    return steps


def answered(rows, total, seed):
    count = total if rows is None else len(rows)
    return Answered(rows, {"score": np.random.default_rng(seed).random(count).astype(np.float32)}, {"score": 0})


def walk(plan, total, seed, left=lambda turn: None, fails=lambda name: False):
    """Carry the plan out: steps end in a random order. Returns (results, moves in order)."""
    dice, results, running, moves, turn = random.Random(seed), {}, {}, [], 0
    while True:
        for move in (now := decide(plan, total, results, running, left(turn))):
            moves.append(move)
            name = move.step.name
            if isinstance(move, Skip):
                results[name] = Missing(move.why, move.fault)
            elif isinstance(move, Fill):
                results[name] = answered(move.rows, total, 100 + SEEDS[name])
            else:
                running[name] = move
        if not running and not now:
            return results, moves
        if not running:
            continue
        name = dice.choice(sorted(running))
        move = running.pop(name)
        failed = fails(name)
        fill = answered(move.rows, total, SEEDS[name])
        results[name] = fill if not failed or move.step.default else Missing("failed", True)
        turn += 1


def plan_of(steps, **more):
    return Plan(ordered(steps), {"score": tuple(Reference(step.name, "score") for step in reversed(steps))}, **more)


@settings(max_examples=60)
@given(step_plans(), st.integers(1, 6), st.integers(0, 99), st.sets(st.sampled_from(NAMES)), st.sampled_from([None, 0, 1, 2]))
def test_every_step_is_settled_exactly_once_and_only_where_its_condition_holds(steps, total, seed, broken, ends):
    plan = plan_of(steps)
    left = (lambda turn: None) if ends is None else (lambda turn: 100.0 if turn < ends else 0.0)
    results, moves = walk(plan, total, seed, left, broken.__contains__)
    assert sorted(move.step.name for move in moves) == sorted(step.name for step in steps) == sorted(results)
    for move in moves:
        if isinstance(move, Skip):
            continue
        rows = np.arange(total) if move.rows is None else move.rows
        assert len(rows) and (np.diff(rows) > 0).all()
        if move.step.when is not None:
            assert kept(move.step.when, results, total)[rows].all()
        if isinstance(move, Start):
            for name, by_row in move.step.inputs.items():
                assert isinstance(results[name], Answered)
                assert not by_row or results[name].rows is None or set(rows) <= set(results[name].rows)
            if move.step.cut is not None:
                assert len(rows) <= move.step.cut.k
            assert move.budget_ms is None or move.budget_ms <= min(move.step.deadline_ms or 1e9, 100.0 if ends is not None else 1e9)
            assert ends is None or move.budget_ms > 0


@settings(max_examples=60)
@given(step_plans(), st.integers(1, 6), st.integers(0, 99), st.sets(st.sampled_from(NAMES)), st.randoms())
def test_the_order_of_declaration_does_not_matter(steps, total, seed, broken, dice):
    mixed = list(steps)
    dice.shuffle(mixed)
    first, _ = walk(plan_of(steps), total, seed, fails=broken.__contains__)
    second, _ = walk(Plan(ordered(mixed), plan_of(steps).answer), total, seed + 1, fails=broken.__contains__)
    for name, found in first.items():
        other = second[name]
        assert type(found) is type(other)
        if isinstance(found, Missing):
            assert found == other
        else:
            np.testing.assert_array_equal(found.rows if found.rows is not None else np.arange(total),
                                          other.rows if other.rows is not None else np.arange(total))  # fmt: skip


@settings(max_examples=60)
@given(step_plans(), st.integers(1, 6), st.integers(0, 99), st.sets(st.sampled_from(NAMES)), st.sampled_from([None, 0, 1, 2]))
def test_there_is_always_an_answer_where_a_constant_or_a_default_stands_last(steps, total, seed, broken, ends):
    left = (lambda turn: None) if ends is None else (lambda turn: 100.0 if turn < ends else 0.0)
    constant = Plan(ordered(steps), {"score": (*plan_of(steps).answer["score"], 0.5)})
    results, _ = walk(constant, total, seed, left, broken.__contains__)
    assert standing(constant, total, results) == "answer"
    made = merged(SPEC, constant.answer["score"], None, total, results)
    assert made.shape == (total,) and made.dtype == np.float32 and np.isfinite(made).all()
    first = StepPlan("first", default=True)
    default = Plan(ordered([*steps, first]), {"score": (*plan_of(steps).answer["score"], Reference("first", "score"))})
    results, _ = walk(default, total, seed, left, {*broken, "first"}.__contains__)
    assert standing(default, total, results) == "answer"
    assert np.isfinite(merged(SPEC, default.answer["score"], None, total, results)).all()


@settings(max_examples=40)
@given(step_plans(), st.integers(1, 6), st.integers(0, 99), st.sets(st.sampled_from(NAMES)))
def test_rows_come_from_the_first_source_that_has_them_and_an_early_answer_is_the_last_one(steps, total, seed, broken):
    plan = Plan(ordered(steps), {"score": (*plan_of(steps).answer["score"], 2.0)})
    results, _ = walk(plan, total, seed, fails=broken.__contains__)
    whole = merged(SPEC, plan.answer["score"], None, total, results)
    for row in range(total):
        held = [found for source in plan.answer["score"][:-1] if isinstance(found := results[source.step], Answered)
                and (found.rows is None or row in found.rows)]  # fmt: skip
        place = None if not held else row if held[0].rows is None else held[0].rows.tolist().index(row)
        assert whole[row] == (held[0].outputs["score"][place] if held else 2.0)
    seen = {}
    for name, found in results.items():
        if standing(plan, total, seen) == "answer":
            np.testing.assert_array_equal(merged(SPEC, plan.answer["score"], None, total, seen), whole)
        seen[name] = found


def test_a_cut_answer_holds_the_best_rows_best_first_and_falls_back_to_another_order():
    cut = Cut((Reference("rank", "score"), Reference("find", "score")), 2)
    find, rank = StepPlan("find"), StepPlan("rank", {"find": True}, cut=Cut((Reference("find", "score"),), 3))
    plan = Plan(ordered([rank, find]), {"score": (Reference("rank", "score"), Reference("find", "score"))}, cut=cut)
    found = Answered(None, {"score": np.float32([0.1, 0.9, 0.5, 0.7])}, {"score": 0})
    (start,) = decide(plan, 4, {"find": found}, [], None)
    assert start.rows.tolist() == [1, 2, 3]
    results = {"find": found, "rank": Answered(start.rows, {"score": np.float32([1, 3, 2])}, {"score": 0})}
    assert standing(plan, 4, {"find": found}) == "wait" and standing(plan, 4, results) == "answer"
    rows = answer_rows(plan, 4, results)
    assert rows.tolist() == [2, 3] and merged(SPEC, plan.answer["score"], rows, 4, results).tolist() == [3, 2]
    late = {"find": found, "rank": Missing("deadline", True)}
    assert standing(plan, 4, late) == "answer"
    rows = answer_rows(plan, 4, late)
    assert rows.tolist() == [1, 3]
    assert merged(SPEC, plan.answer["score"], rows, 4, late).tolist() == pytest.approx([0.9, 0.7])


def test_a_gate_that_has_no_answer_lets_nothing_through():
    gate, then = StepPlan("gate"), StepPlan("then", when=Condition(((Comparison(Reference("gate", "score"), ">=", 0.5),),)))
    plan = Plan(ordered([then, gate]), {"score": (Reference("then", "score"), 0.0)})
    (skip,) = decide(plan, 2, {"gate": Missing("failed", True)}, [], None)
    assert skip == Skip(then, "no-input", fault=True)
    (skip,) = decide(plan, 2, {"gate": Answered(None, {"score": np.float32([np.nan, 0.4])}, {"score": 0})}, [], None)
    assert skip == Skip(then, "condition")


def test_ties_and_nan_have_an_order():
    found = Answered(None, {"x": np.float32([1, np.nan, 1, 2])}, {"x": 0})
    assert best(found, Reference("s", "x"), None, 4, 4, True).tolist() == [3, 0, 2, 1]
    assert best(found, Reference("s", "x"), None, 4, 2, False).tolist() == [0, 2]


def test_a_circle_is_told():
    with pytest.raises(graphlib.CycleError):
        ordered([StepPlan("a", {"b": True}), StepPlan("b", {"a": True})])
