"""A front: what no other beats, the best within the budget, the nearest miss and what binds, as values alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.compress.excess import CONTRACT, Excess, excesses
from portside.compress.front import Front
from portside.compress.ranking import non_dominated, objectives
from portside.compress.settings import Settings
from portside.compress.trials import Trial
from portside.sdk.core.budget import Budget
from portside.sdk.core.errors import FormatError, InputError
from portside.sdk.core.gates import Gate, judge, unjudged

FLOAT = Settings("float32")
INT8 = Settings("int8-static")
HALF = Settings("float16")


def trial(settings: Settings = INT8, p95: float = 1.0, size: float = 1.0, loss: float = 0.0, verdict: str = "passed", **rest) -> Trial:
    figures = {"p50_ms": p95 * 0.9, "p95_ms": p95, "p99_ms": p95 * 1.2, "size_mb": size, "memory_mb": 20.0, "ratio": 0.5,
               "ratio_low": 0.4, "ratio_high": 0.6, "size_ratio": 0.5}  # fmt: skip
    return Trial(settings, verdict, figures, loss, **rest)


def front(*trials: Trial, **limits: float) -> Front:
    return Front("made", "onnx-cpu", Budget(**limits), trials)


rows = st.lists(st.tuples(*[st.sampled_from([0.0, 0.5, 1.0, 2.0, float("inf")])] * 3), max_size=12)


@given(rows)
def test_no_point_of_the_front_is_beaten_and_every_other_row_is(held) -> None:
    places = non_dominated(held)
    beats = lambda a, b: all(x <= y for x, y in zip(a, b, strict=True)) and a != b  # noqa: E731
    for place, row in enumerate(held):
        beaten = any(beats(other, row) for other in held) or row in held[:place]
        assert (place in places) == (not beaten)


@given(st.lists(st.tuples(st.floats(0.1, 5), st.floats(0.1, 5), st.sampled_from(["passed", "failed", "not enough data"])), max_size=8),
       st.floats(0.1, 5), st.floats(0.1, 5))  # fmt: skip
def test_the_best_is_within_the_budget_or_the_nearest_is_named(made, size, p95) -> None:
    found = front(*(trial(p95=a, size=b, verdict=verdict) for a, b, verdict in made), size_mb=size, p95_ms=p95)
    if (best := found.best_trial) is not None:
        assert best.passed and best.figures["size_mb"] <= size and best.figures["p95_ms"] <= p95
        assert found.nearest is None and found.binding is None and found.outcome == "within the budget"
    elif made:
        assert found.nearest is not None and found.binding is not None and found.outcome != "within the budget"
    assert all(point.passed for point in found.points)


def test_the_lowest_latency_wins_and_size_breaks_ties() -> None:
    fast, same, slow = trial(p95=1.0, size=2.0), trial(HALF, p95=1.01, size=1.0), trial(FLOAT, p95=2.0, size=0.5)
    assert front(slow, fast, same).best_trial is same
    assert front(slow, fast, same, size_mb=0.7).best_trial is slow


def test_a_tie_in_the_tail_is_decided_by_the_median_before_bytes() -> None:
    lucky = trial(p95=1.02, size=0.5, loss=0.001)
    lucky = replace(lucky, figures={**lucky.figures, "p50_ms": 0.98})
    assert front(trial(FLOAT, p95=1.0, size=1.0), lucky).best_trial.settings == FLOAT


def test_what_is_larger_than_float_is_chosen_only_where_nothing_else_is_within() -> None:
    larger = replace(trial(p95=0.5), figures={**trial(p95=0.5).figures, "size_ratio": 1.3})
    assert front(trial(FLOAT, p95=1.0), larger).best_trial.settings == FLOAT
    assert front(trial(FLOAT, p95=1.0), larger, p95_ms=0.7).best_trial is larger


def test_an_impossible_budget_names_the_limit_that_binds() -> None:
    found = front(trial(FLOAT, size=3.9), trial(HALF, size=9.0), size_mb=2, p95_ms=5)
    assert found.verdict == "nothing within the budget: size_mb 3.9 against 2"
    assert found.nearest.settings == FLOAT and (found.binding.measured, found.binding.allowed) == (3.9, 2)
    assert found.best is None


def test_gates_and_the_contract_count_as_excess() -> None:
    gate = Gate("max_drop", 0.01, "failed", 0.02, 900, "accuracy", "at least 0.015, allowed 0.01")
    (held,) = excesses(trial(verdict="failed", gates=(gate, Gate("max_flips", 0.1, "passed", 0.05))), Budget(max_drop=0.01, max_flips=0.1))
    assert (held.limit, held.measured, held.allowed) == ("max_drop", 0.02, 0.01) and held.relative == pytest.approx(1)
    (unmeasured,) = excesses(trial(verdict="not enough data", gates=(unjudged("max_drop", 0.01, "no labels"),)), Budget(max_drop=0.01))
    assert unmeasured.measured is None and str(unmeasured) == "max_drop not measured against 0.01"
    (contract,) = excesses(trial(verdict="failed", broken=("label: 40 of 100 rows differ",)), Budget())
    assert contract.limit == CONTRACT and "40 of 100" in str(contract)
    both = excesses(trial(verdict="failed", gates=(gate,), broken=("label: no",)), Budget(max_drop=0.01))
    assert [held.limit for held in both] == ["max_drop", CONTRACT]


@given(st.floats(0, 1e3), st.none() | st.floats(0, allow_infinity=True), st.text("abc:;, ", max_size=9))
def test_which_gate_binds_does_not_hang_on_its_words(limit, measured, note) -> None:
    gate = Gate("max_slice_drop", limit, "failed", measured, 40, note, note)
    (held,) = excesses(trial(verdict="failed", gates=(gate,)), Budget(max_slice_drop=limit))
    assert (held.limit, held.measured, held.allowed) == ("max_slice_drop", measured, limit)
    assert Excess.from_dict(json.loads(json.dumps(held.to_dict(), allow_nan=False))) == held


def test_too_few_rows_are_not_a_no() -> None:
    unsure = trial(verdict="not enough data", gates=(judge("max_flips", 0.01, 0.0, 0.1, 30),))
    found = front(trial(FLOAT, size=4), unsure, size_mb=2, max_flips=0.01)
    assert found.outcome == "not enough data" and "300 are needed" in found.verdict


def test_trials_that_failed_have_no_figures_and_do_no_harm() -> None:
    broken = Trial(INT8, "failed", fault="boom")
    found = front(broken)
    assert found.nearest is None and found.points == () and found.verdict == "nothing within the budget: boom"
    assert front().verdict == "nothing within the budget: no trial was finished"
    assert objectives(broken) == (float("inf"),) * 3 and "boom" not in str(found.points)


def test_memory_is_shown_and_is_no_objective() -> None:
    lean, fat = (replace(trial(), figures={**trial().figures, "memory_mb": held}) for held in (7.25, 31.5))
    unknown = replace(trial(), figures={name: held for name, held in trial().figures.items() if name != "memory_mb"})
    head, *lines = str(front(fat, lean, unknown)).splitlines()[2:6]
    assert [line[head.index("memory MB") :].split()[0] for line in lines] == ["31.5", "7.25", "-"]
    assert front(fat, lean).points == (fat,), "a repeat differs as much: what is equal otherwise is no other point of the front"
    assert front(fat, lean, memory_mb=10).best_trial is lean


def costing(held: Trial, cost: float) -> Trial:
    return replace(held, figures={**held.figures, "cost_per_1k": cost})


def test_a_price_has_a_column_a_limit_in_the_plot_and_a_word_on_every_dot(tmp_path) -> None:
    cheap, dear = costing(trial(HALF, p95=1.0, size=2.0), 0.009), costing(trial(FLOAT, p95=2.0), 0.018)
    found = front(dear, cheap, cost_per_1k=0.012)
    head, *lines = str(found).splitlines()[2:5]
    assert [line[head.index("cost per 1k") :].split()[0] for line in lines] == ["0.018", "0.009"]
    page = found.report(tmp_path / "front.html").read_text()
    assert "<th>cost per 1k</th>" in page and "<td>0.009</td>" in page and "0.018 per thousand" in page
    assert found.best_trial is cheap and "0.009 per thousand predictions" in page
    assert "1 ms is 0.01 per thousand" in page
    across = [float(held) for held in re.findall(r"M([\d.]+) 14V296' class=limit", page)]
    assert len(across) == 2, "one in each width"
    dots = [float(held) for held in re.findall(r"<circle cx=([\d.]+) [^>]*class=(?:front|beaten)", page)]
    assert min(dots[:2]) < across[0] < max(dots[:2]), "the limit on cost lies between the two"


def test_without_a_price_there_is_no_column_for_it(tmp_path) -> None:
    found = front(trial(FLOAT), trial())
    assert "cost" not in str(found) and "per thousand" not in found.report(tmp_path / "front.html").read_text()


def test_a_front_is_data() -> None:
    made = replace(
        front(trial(FLOAT, size=4), trial(), Trial(HALF, "failed", fault="no"), size_mb=2), rungs=((1, "asked for"),), remarks=("x",)
    )
    back = Front.from_dict(json.loads(json.dumps(made.to_dict())))
    assert back == made and back.to_dict() == made.to_dict() and str(back) == str(made)
    assert made.to_dict()["best"] == 1 and "> best" in str(made)
    with pytest.raises(InputError, match="read from a file"):
        _ = back.best


def test_a_front_whose_trials_know_their_gates_as_words_alone_is_refused() -> None:
    old = front(trial()).to_dict()
    old["trials"] = [{name: held for name, held in one.items() if name not in ("gates", "broken")} for one in old["trials"]]
    with pytest.raises(FormatError, match="earlier version"):
        Front.from_dict(old)
