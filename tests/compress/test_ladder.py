"""The ladder: which rungs are tried, in which order, where it stops, and what it says. On a fake workbench, and on a small network."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from portside.compress import rungs as module
from portside.compress.fewest import SPARED
from portside.compress.ladder import Ladder
from portside.compress.rungs import costs_more, pays, remarks
from portside.compress.settings import Settings
from portside.compress.trials import Trial, Workbench
from portside.sdk.core.budget import Budget
from portside.sdk.core.errors import UnsupportedError
from portside.sdk.core.plan import PRECISIONS, PrecisionPlan

NAMES = [f"main/n{place}" for place in range(8)]


@dataclass
class Plans:
    """Every node takes the classes named."""

    classes: tuple[str, ...]

    def nodes(self, precision):
        return NAMES if precision in self.classes else []

    def plan(self, settings):
        if settings.precision != "float32" and settings.precision not in self.classes:
            raise UnsupportedError(f"no node can be {settings.precision}")
        nodes = {name: settings.precision for name in NAMES if name not in settings.kept}
        return PrecisionPlan(nodes, smoothing={"main/x": (1,)} if settings.smoothed else {})


@dataclass
class Bench:
    """A workbench whose attempts are judged by a function of the settings."""

    judge: object
    classes: tuple[str, ...] = PRECISIONS[1:]
    tried: list[Settings] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)
    smooths: bool = False
    warnings: tuple[str, ...] = ()
    package, calibration_data, calibration, seed, progress = None, None, None, 0, None

    def __post_init__(self):
        self.plans = Plans(self.classes)

    def plan_of(self, settings):
        return self.plans.plan(settings)

    def attempt(self, settings):
        self.tried.append(settings)
        verdict, ratio, size, loss = "passed", 0.5, 0.25, 0.1
        if settings.precision == "float32":
            ratio = size = 1.0
        else:
            said = self.judge(settings)
            verdict, ratio, size, loss = (*said, loss)[:4] if isinstance(said, tuple) else (said, ratio, size, loss)
        fault = "cannot" if verdict == "fault" else None
        figures = {} if fault else {"ratio": ratio, "ratio_low": ratio * 0.9, "ratio_high": ratio * 1.1, "size_ratio": size}
        return Trial(settings, "failed" if fault else verdict, figures, loss, achieved={settings.precision: 1}, fault=fault)

    def climb(self, precision="int8-static", hurts=None, per_channel=True, **options):
        order = dict(zip(NAMES, range(8, 0, -1), strict=True)) if hurts is None else hurts
        return Ladder(self, hurts=lambda plan: {name: order[name] for name in order if name in plan.nodes}, **options).climb(
            Settings(precision, per_channel=per_channel)
        )


@pytest.fixture(autouse=True)
def slower(monkeypatch):
    """The ladder's own limit again, which the folder's tests lift."""
    monkeypatch.setattr(module, "SLOWER", 1.05)


def steps(bench):
    return [(held.precision, held.method, len(held.kept)) for held in bench.tried]


def test_what_holds_at_once_is_taken():
    bench = Bench(lambda settings: "passed")
    climb = bench.climb()
    assert steps(bench) == [("int8-static", "min-max", 0)]
    assert climb.chosen is climb.rungs[0]
    assert climb.remarks == ()


def test_every_rung_in_order_when_nothing_holds():
    bench = Bench(lambda settings: "failed")
    climb = bench.climb()
    kept = [0, 1, 2, 4]
    assert steps(bench) == [
        *[("int8-static", "min-max", count) for count in kept], ("int8-static", "percentile", 4), ("int8-static", "entropy", 4),
        *[("int8-dynamic", "min-max", count) for count in kept], *[("float16", "min-max", count) for count in kept],
        ("float32", "min-max", 0),
    ]  # fmt: skip
    assert climb.chosen.trial.settings.precision == "float32"
    assert climb.remarks == ("nothing lower than float32 holds: this is the package as it was",)


@pytest.mark.parametrize(("gain", "then"), [(0.05, True), (0.2, False)])
def test_weights_with_one_scale_go_per_channel_before_nodes_go_back(gain, then):
    bench = Bench(lambda settings: ("passed" if settings.kept else "failed", 0.5, 0.25, gain if settings.per_channel else 0.1))
    climb = bench.climb(per_channel=False)
    assert [(held.per_channel, len(held.kept)) for held in bench.tried] == [(False, 0), (True, 0), (then, 1)]
    assert "each output channel" in climb.rungs[1].why


def test_what_holds_per_channel_ends_the_climb_and_what_gained_stays_for_the_next_class():
    bench = Bench(lambda settings: "passed" if settings.per_channel else "failed")
    assert bench.climb(per_channel=False).chosen.trial.settings == Settings("int8-static")
    bench = Bench(lambda settings: ("failed", 0.5, 0.25, 0.05 if settings.per_channel else 0.1), classes=("int8-static", "int8-dynamic"))
    bench.climb(per_channel=False)
    assert [held.per_channel for held in bench.tried] == [False, *[True] * (len(bench.tried) - 1)]
    assert {held.precision for held in bench.tried} == {"int8-static", "int8-dynamic", "float32"}


def test_the_nodes_that_hurt_most_go_back_first_and_the_reason_is_their_damage():
    bench = Bench(lambda settings: "passed" if len(settings.kept) >= 2 else "failed")
    climb = bench.climb(hurts={"main/n5": 0.9, "main/n2": 0.4, **{name: 0.1 for name in NAMES if name not in ("main/n5", "main/n2")}})
    assert [held.kept for held in bench.tried] == [(), ("main/n5",), ("main/n2", "main/n5")]
    assert climb.chosen is climb.rungs[-1]
    assert bench.why["main/n5"] == "alone in int8-static it moves the model by 0.9 of its spread"
    assert "main/n2 last" in climb.chosen.why


@pytest.mark.parametrize("enough", range(1, 16))
def test_the_fewest_nodes_that_hold_are_found_between_two_doublings(enough):
    names = [f"main/m{place}" for place in range(40)]
    bench = Bench(lambda settings: ("passed" if len(settings.kept) >= enough else "failed", 0.5, 0.25 + 0.02 * len(settings.kept)))
    bench.plans.plan = lambda settings: PrecisionPlan({name: settings.precision for name in names if name not in settings.kept})
    climb = bench.climb(hurts={name: 40.0 - place for place, name in enumerate(names)})
    assert climb.chosen.trial.settings.kept == tuple(sorted(names[:enough]))
    assert len(bench.tried) == len(set(bench.tried)) <= 2 + 2 * enough.bit_length() + SPARED
    assert climb.chosen in climb.rungs


def test_between_two_doublings_time_ends_the_climb_with_what_holds():
    asked = iter([False] * 4)
    bench = Bench(lambda settings: ("passed" if len(settings.kept) >= 3 else "failed", 0.5 + 0.1 * len(settings.kept), 0.25))
    climb = bench.climb(late=lambda: next(asked, True))
    assert [count for *_, count in steps(bench)] == [0, 1, 2, 4]
    assert len(climb.chosen.trial.settings.kept) == 4


def test_fewer_nodes_are_not_looked_for_where_they_would_save_nothing():
    bench = Bench(lambda settings: ("passed" if len(settings.kept) >= 3 else "failed", 0.5, 0.25 + 0.001 * len(settings.kept)))
    bench.climb()
    assert [count for *_, count in steps(bench)] == [0, 1, 2, 4]


def test_a_node_that_costs_more_than_it_helps_is_left_out():
    dear, needed = NAMES[2], {*NAMES[:2], NAMES[3]}
    bench = Bench(lambda settings: ("passed" if needed <= {*settings.kept} else "failed", 0.8 if dear in settings.kept else 0.5, 0.25))
    climb = bench.climb()
    assert steps(bench) == [("int8-static", "min-max", count) for count in (0, 1, 2, 4, 3, 3)]
    assert {*climb.chosen.trial.settings.kept} == needed
    assert climb.chosen.why == f"{dear} may cost more than it helps"


def test_a_node_that_is_needed_stays_whatever_it_costs():
    cost = lambda settings: 0.8 if NAMES[2] in settings.kept else 0.5  # noqa: E731
    bench = Bench(lambda settings: ("passed" if {*NAMES[:4]} <= {*settings.kept} else "failed", cost(settings), 0.25))
    climb = bench.climb()
    assert climb.chosen.trial.settings.kept == tuple(sorted(NAMES[:4]))
    assert steps(bench)[-1] == ("int8-static", "min-max", 3)


@pytest.mark.parametrize("end", ["fault", "dear"])
def test_what_was_kept_in_one_class_is_not_looked_for_in_the_next(end):
    stop = {"fault": "fault", "dear": ("passed", 1.2, 1.2)}[end]
    bench = Bench(lambda settings: "passed" if settings.precision == "int8-dynamic" else stop if len(settings.kept) == 4 else "failed")
    climb = bench.climb()
    assert climb.chosen.trial.settings == Settings("int8-dynamic")
    assert steps(bench)[-1] == ("int8-dynamic", "min-max", 0)


def test_fewer_nodes_are_not_looked_for_where_another_calibration_holds():
    bench = Bench(lambda settings: "passed" if settings.method == "percentile" else "failed")
    bench.climb()
    assert [(method, count) for _, method, count in steps(bench)][-2:] == [("min-max", 4), ("percentile", 4)]


def test_nodes_that_do_no_damage_are_not_put_back():
    bench = Bench(lambda settings: "failed")
    bench.climb(hurts={"main/n0": 1.0, **dict.fromkeys(NAMES[1:], 0.0)})
    assert max(len(held.kept) for held in bench.tried) == 1


def test_another_calibration_is_tried_with_the_same_nodes_kept():
    bench = Bench(lambda settings: "passed" if settings.method == "entropy" else "failed")
    climb = bench.climb()
    assert climb.chosen.trial.settings.method == "entropy"
    assert len(climb.chosen.trial.settings.kept) == 4
    assert climb.chosen.why == "entropy ranges instead"


def smooth_steps(bench):
    return [(held.precision, held.smooth, len(held.kept)) for held in bench.tried]


def test_activations_are_smoothed_before_nodes_go_back():
    bench = Bench(lambda settings: "passed" if settings.smooth else "failed", smooths=True)
    climb = bench.climb("int8-dynamic")
    assert smooth_steps(bench) == [("int8-dynamic", False, 0), ("int8-dynamic", True, 0)]
    assert climb.chosen.trial.settings.smoothed
    assert "divided by factors" in climb.chosen.why


@pytest.mark.parametrize(("loss", "smooth"), [(0.05, True), (0.2, False)])
def test_nodes_go_back_from_what_lost_less(loss, smooth):
    def judge(settings):
        return ("passed" if len(settings.kept) == 2 else "failed"), 0.5, 0.25, loss if settings.smooth else 0.1

    bench, plans = Bench(judge, smooths=True), []
    ladder = Ladder(bench, hurts=lambda plan: plans.append(plan) or dict.fromkeys(plan.nodes, 0.5))
    ladder.climb(Settings("int8-dynamic", kept=("main/n7",)))
    assert smooth_steps(bench)[2:] == [("int8-dynamic", smooth, 2)]
    assert [bool(plan.smoothing) for plan in plans] == [smooth]


def test_what_cannot_be_smoothed_goes_on_without():
    bench = Bench(lambda settings: "fault" if settings.smooth else "passed" if settings.kept else "failed", smooths=True)
    bench.climb("int8-dynamic")
    assert smooth_steps(bench) == [("int8-dynamic", False, 0), ("int8-dynamic", True, 0), ("int8-dynamic", False, 1)]
    bench = Bench(lambda settings: "failed")
    bench.climb("int8-dynamic")
    assert not any(held.smooth for held in bench.tried)


def test_who_asks_for_smoothing_gets_no_second_rung_of_it():
    bench = Bench(lambda settings: "failed", smooths=True)
    Ladder(bench, hurts=lambda plan: dict.fromkeys(plan.nodes, 0.5)).climb(Settings("int8-dynamic", smooth=True))
    assert smooth_steps(bench)[:3] == [("int8-dynamic", True, 0), ("int8-dynamic", True, 1), ("int8-dynamic", True, 2)]
    bench = Bench(lambda settings: "failed", smooths=True)
    bench.climb("float16")
    assert not any(held.smooth for held in bench.tried)


def test_what_holds_but_is_slower_is_a_fallback_and_says_so():
    bench = Bench(lambda settings: ("passed", 1.4, 0.3) if settings.precision == "int8-static" else "failed")
    climb = bench.climb()
    assert climb.chosen.trial.settings == Settings("int8-static")
    assert climb.remarks == ("slower than float: 1.40x (1.26-1.54) of its latency",)
    assert bench.tried[-1].precision != "int8-static", "the climb went on"


def test_what_is_faster_later_is_better_than_the_fallback():
    bench = Bench(lambda settings: ("passed", 1.4, 0.3) if settings.precision == "int8-static" else "passed")
    assert bench.climb().chosen.trial.settings.precision == "int8-dynamic"
    assert steps(bench) == [("int8-static", "min-max", 0), ("int8-dynamic", "min-max", 0)]


def test_what_is_larger_but_faster_is_a_fallback_too():
    bench = Bench(lambda settings: ("passed", 0.9, 1.2) if settings.precision == "int8-static" else "failed")
    assert bench.climb().remarks == ("larger than float: 1.20x of its bytes",)


@pytest.mark.parametrize("figures", [(1.4, 1.0), (1.0, 1.2), (1.4, 1.2)])
def test_what_costs_and_gains_nothing_is_no_fallback(figures):
    assert Bench(lambda settings: ("passed", *figures)).climb().chosen.trial.settings.precision == "float32"


def test_what_neither_shrinks_nor_speeds_up_is_not_taken():
    bench = Bench(lambda settings: ("passed", 1.0, 0.999))
    assert bench.climb().chosen.trial.settings.precision == "float32"


def test_not_enough_data_is_no_rung_to_stand_on():
    bench = Bench(lambda settings: "not enough data")
    assert bench.climb().chosen.trial.settings.precision == "float32"


def test_what_cannot_be_compiled_steps_to_the_next_class_at_once():
    bench = Bench(lambda settings: "fault" if settings.precision == "int8-static" else "passed")
    bench.climb()
    assert steps(bench) == [("int8-static", "min-max", 0), ("int8-dynamic", "min-max", 0)]


def test_a_class_that_no_node_takes_is_passed_over():
    bench = Bench(lambda settings: "failed", classes=("int8-static", "float16"))
    bench.climb()
    assert "int8-dynamic" not in [held.precision for held in bench.tried]


def test_a_class_that_no_node_takes_cannot_be_asked_for():
    bench = Bench(lambda settings: "passed", classes=("float16",))
    with pytest.raises(UnsupportedError):
        bench.climb("int8-static")
    assert bench.tried == []


@pytest.mark.parametrize("first", PRECISIONS)
def test_from_every_class_the_climb_ends_in_float32(first):
    bench = Bench(lambda settings: "failed")
    order = list(dict.fromkeys(held.trial.settings.precision for held in bench.climb(first).rungs))
    assert order[0] == first
    assert order[-1] == "float32"


def test_nodes_that_the_user_keeps_stay_kept_on_every_rung():
    bench = Bench(lambda settings: "failed")
    Ladder(bench, hurts=lambda plan: dict.fromkeys(plan.nodes, 0.5)).climb(Settings("int8-static", kept=("main/n7",)))
    assert all("main/n7" in held.kept for held in bench.tried if held.precision != "float32")


def test_when_it_is_late_the_best_so_far_is_taken():
    asked = iter([False, True, True])
    bench = Bench(lambda settings: ("passed", 1.4, 0.3))
    climb = bench.climb(late=lambda: next(asked))
    assert [held.trial.settings.precision for held in climb.rungs] == ["int8-static"]
    assert climb.chosen is climb.rungs[0]


def test_a_search_passes_an_attempt_of_its_own():
    bench = Bench(lambda settings: "failed")
    remembered = []
    bench.climb(attempt=lambda settings: remembered.append(settings) or Trial(settings, "passed", {"ratio": 0.5, "size_ratio": 0.3}))
    assert bench.tried == []
    assert len(remembered) == 1


def test_limits_of_slower_and_larger():
    def trial(ratio, size, precision="int8-static"):
        return Trial(Settings(precision), "passed", {"ratio": ratio, "ratio_low": ratio, "ratio_high": ratio, "size_ratio": size})

    assert not costs_more(trial(1.04, 1.0))
    assert costs_more(trial(1.06, 1.0)) and costs_more(trial(0.5, 1.01))
    assert not costs_more(trial(2, 2, "float32"))
    assert pays(trial(1.04, 0.5)) and pays(trial(0.9, 1.0)) and not pays(trial(1.0, 1.0)) and not pays(trial(1.2, 0.5))
    kept = Trial(Settings(), "passed", kept={"main/a": "it hurts"})
    assert list(remarks(kept)) == ["main/a stayed float32: it hurts"]


def test_a_rung_reads_well():
    trial = Trial(Settings(), "failed", {"ratio": 0.5, "size_ratio": 0.25}, broken=("label (decision): 7 of 40 rows differ",))
    rung = module.Rung("asked for", trial)
    assert str(rung) == "int8-static, min-max: failed; 0.50x latency, 0.25x bytes; label (decision): 7 of 40 rows differ"
    assert "no figures" in str(module.Rung("asked for", Trial(Settings(), "failed", fault="cannot")))
    assert rung.to_dict()["why"] == "asked for"


@pytest.mark.slow
@pytest.mark.long
def test_a_small_network_that_int8_ruins(fragile, calibration, rows, monkeypatch):
    monkeypatch.setattr(module, "SLOWER", 1000.0)
    with Workbench(fragile, "onnx-cpu", rows, calibration, limits=Budget(max_flips=0.05)) as bench:
        climb = Ladder(bench).climb(Settings("int8-static"))
    assert [held.trial.verdict for held in climb.rungs] == ["failed", "passed"]
    chosen = climb.chosen.trial
    assert chosen.settings.kept == ("main/Gemm_2",)
    assert chosen.achieved == {"int8-static": 2}
    assert "alone in int8-static" in chosen.kept["main/Gemm_2"]
    assert chosen.figures["size_ratio"] < 1
