"""The page of a ladder, from climbs as data: which rung was chosen, why others were not, what stayed float."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from portside.compress.ladder import Climb
from portside.compress.ladder_page import Climbed, page
from portside.compress.rungs import Rung
from portside.compress.settings import Settings
from portside.compress.trials import Trial
from portside.sdk.core.gates import judge

KEPT = {"main/<Head>": "alone in int8-static it moves the model by 0.4 of its spread"}
FIGURES = {"p50_ms": 1.0, "p95_ms": 1.2, "p99_ms": 1.3, "size_mb": 0.4, "ratio": 0.5, "ratio_low": 0.4, "ratio_high": 0.6,
           "size_ratio": 0.3}  # fmt: skip


def trial(settings: Settings, flips: int, verdict: str = "passed", **rest) -> Trial:
    gate = judge("max_flips", 0.05, flips / 1200, (flips + 3) / 1200, 1200, "label")
    said = {"rows": 1200, "target": "onnx-cpu", "notes": [], "changes": {}, "flips": [], "drifts": [], "slices": {}, "counts": {}}
    return Trial(settings, verdict, FIGURES, flips / 1200, (gate,), comparison=said, **rest)


def climbed(chosen: Trial, *before: Trial, remarks: tuple[str, ...] = ()) -> Climbed:
    rungs = [Rung("asked for", held) for held in before] + [Rung("the node that hurts most is back", chosen)]
    found = json.loads(json.dumps(Climb(tuple(rungs), rungs[-1], remarks).to_dict()))
    return Climbed.of("<net>", found, {"package": "net, sha256:1"}, "portside compress net int8-static")


BROKEN = trial(Settings("int8-static"), 400, "failed")
HELD = trial(Settings("int8-static", kept=tuple(KEPT)), 10, kept=KEPT, achieved={"int8-static": 5})


def test_every_rung_has_its_reason_and_the_chosen_one_is_marked() -> None:
    held = climbed(HELD, BROKEN, remarks=(f"main/<Head> stayed float32: {KEPT['main/<Head>']}", "slower than float: 1.20x"))
    text = page(held, None)
    assert held.best_trial == HELD and held.target == "onnx-cpu" and held.budget.max_flips == 0.05
    assert "&#9654; 2" in text and "&#9654; 1" not in text and "asked for" in text and "back" in text
    assert "max_flips: failed" in text and "at least 0.333, allowed 0.05" in text
    assert "main/&lt;Head&gt;" in text and "<Head>" not in text and text.count("it moves the model by 0.4") == 1, "in its table alone"
    assert "1 node stayed float32" in text and "slower than float: 1.20x" in text
    assert "&lt;net&gt; on onnx-cpu: <span class='verdict passed'>int8-static, min-max, 1 kept in float32" in text
    assert "<pre>portside compress net int8-static</pre>" in text and "sha256:1" in text
    assert len(re.findall(r"class=ring", text)) == 2 and ">chosen" in text, "in a plot for each width"


def test_a_ladder_that_ends_at_float_says_so() -> None:
    text = page(climbed(trial(Settings("float32"), 0), BROKEN), None)
    assert "<span class='verdict failed'>nothing lower than float32 holds" in text
    unsure = trial(Settings("int8-static"), 0, "not enough data")
    assert "<span class='verdict not'>the rows are too few to tell" in page(climbed(trial(Settings("float32"), 0), unsure), None)


def test_a_rung_that_failed_has_no_figures_and_does_no_harm() -> None:
    text = page(climbed(HELD, Trial(Settings("int8-dynamic"), "failed", fault="no such <kernel>")), None)
    assert "no such &lt;kernel&gt;" in text and "What they cost and lose" not in text, "one dot is no plot"
    assert "no figures" in page(climbed(Trial(Settings("int8-dynamic"), "failed", fault="gone")), None)


def test_texts_of_a_package_of_somebody_else_are_texts() -> None:
    """A ladder is an annotation: whoever hands on a package writes it."""
    odd = "<script>x</script>"
    moved = {"output": odd, "kind": odd, "figures": {odd: 1.0}, "infinite": odd,
             "examples": [{"row": odd, "slices": {odd: odd}, "label": odd, "before": odd, "after": odd, "distance": None}]}  # fmt: skip
    held = trial(Settings("int8-static"), 10, f"failed' {odd}", achieved={odd: odd}, weights_bytes={odd: 1}, kept={odd: odd})
    held = replace(held, comparison={**held.comparison, "rows": odd, "target": odd, "notes": [odd], "drifts": [moved]})
    text = page(climbed(held, BROKEN, remarks=(odd,)), None)
    assert odd not in text and text.count("&lt;script&gt;x") > 10
    assert "Content-Security-Policy\ncontent=\"default-src 'none'" in text


@pytest.mark.parametrize("count", [1, 9])
def test_long_lists_of_nodes_are_folded(count) -> None:
    kept = {f"main/Gemm_{place}": "asked for" for place in range(count)}
    text = page(climbed(trial(Settings("int8-static", kept=tuple(kept)), 10, kept=kept)), None)
    assert ("<details open><summary>1 node stayed" in text) == (count == 1)
    assert ("<details><summary>9 nodes stayed" in text) == (count == 9)
