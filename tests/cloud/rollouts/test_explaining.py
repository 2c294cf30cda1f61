"""Why a rollout stands where it does: one paragraph for every place that it can be in, with the figures that matter there."""

from __future__ import annotations

from math import nan
from typing import Any

import pytest

from portside.cloud.rollout import State
from portside.cloud.rollout_evidence import Verdict
from portside.cloud.rollout_policy import Policy
from portside.cloud.rollout_words import looks
from portside.cloud.rollouts.explaining import Told, explain, pages
from portside.cloud.rollouts.log import SYSTEM, Entry

ONE, TWO = "sha256:" + "ab" * 32, "sha256:" + "cd" * 32
POLICY = Policy((ONE,), steps=(0.05, 0.5), first="line=test", min_rows=200)
MINUTE = 60_000


def verdict(measure: Any = "errors", part: str = "", told: Any = "within", **more: Any) -> Verdict:
    values: dict[str, Any] = {"rows": 1200, "estimate": -0.001, "low": -0.02, "high": 0.004, "limit": 0.01, "aim": 0.01, "asked": True,
                              "enough": True, **more}  # fmt: skip
    return Verdict(challenger=values.pop("challenger", ONE), measure=measure, slice=part, told=told, **values)


def told(phase: Any, *verdicts: Verdict, policy: Policy = POLICY, log: tuple[Entry, ...] = (), here_ms: float = 5 * MINUTE,
         holds: str = "", unseen_ms: float = 0.0, names: dict[str, str] | None = None, **state: Any) -> Told:  # fmt: skip
    held = State("r1", phase, 0, 0, policy.challengers, **state)
    return Told(policy, held, verdicts, holds, log, here_ms, unseen_ms, {ONE: "net:4"} if names is None else names)


def entry(kind: str, before: str, after: str, why: str, author: str = SYSTEM) -> Entry:
    return Entry("r1", 1, 0, kind, author, before, after, why)


@pytest.mark.parametrize(
    ("phase", "says"),
    [
        ("gates", "the gates have been looked at; net:4 is given to nobody"),
        ("waiting", "net:4 has waited for a person; it is given to nobody"),
        ("shadow", "net:4 has been asked in shadow: beside the champion, and nobody is given its answers"),
        ("canary", "net:4 has been given to 5% of line=test, step 1 of 2"),
        ("switched", "net:4 has answered everyone. It is watched for 55 min more"),
        ("promoted", "net:4 was promoted 5 min ago and answers everyone. Name it under [champion]"),
        ("rolled back", "everyone has been given the champion again"),
        ("ended", "The shadow of net:4 ended 5 min ago"),
    ],
)
def test_every_phase_says_what_it_means_for_who_asks(phase, says):
    said = explain(told(phase, verdict()))
    assert says in said and "5 min" in said
    assert ("errors 0.1% fewer [-2%, 0.4%] over 1,200 units, limit 1%: within" in said) == (phase not in ("gates", "waiting"))


def test_the_second_step_is_for_everyone():
    assert "has been given to 50% of those who ask, step 2 of 2" in explain(told("canary", step=1))


def test_what_brought_it_here_and_what_holds_it():
    log = (entry("advance", "shadow", "canary 5%", "errors at most 0.4% more (limit 1%)"),)
    said = explain(told("canary", verdict(), log=log, holds="2.0 of 5 minutes; 120 of 200 units"))
    assert "It came here because errors at most 0.4% more (limit 1%)." in said
    assert "It goes on when nothing of this holds it any more: 2.0 of 5 minutes; 120 of 200 units." in said
    assert "So far" not in explain(told("canary", verdict(), log=log), figures=False)


@pytest.mark.parametrize("before", ["gates", "waiting", "shadow"])
def test_nobody_is_given_the_champion_again_who_was_given_no_other(before):
    log = (entry("roll back", before, "rolled back", "net:4: failed: card: the card lacks licence"),)
    said = explain(told("rolled back", log=log))
    assert said == "net:4 was taken back 5 min ago; nobody was given its answers. Why: net:4: failed: card: the card lacks licence."


def test_why_it_went_back_and_who_did_that():
    broken = (entry("roll back", "canary 5%", "rolled back", "errors in line=test: at least 2.9% more"),
              entry("paged", "canary 5%", "rolled back", "errors in line=test: at least 2.9% more"))  # fmt: skip
    assert "Why: errors in line=test: at least 2.9% more." in explain(told("rolled back", log=broken))
    person = (entry("rolled back by hand", "canary 5%", "rolled back", "complaints", "ana"),
              entry("paged", "canary 5%", "rolled back", "complaints"))  # fmt: skip
    assert "ana did that: complaints." in explain(told("rolled back", log=person))


def test_slices_that_stand_out_are_named_the_proven_ones_first():
    held = [verdict(part="line=a", told="not enough data", estimate=0.03), verdict(part="line=b", told="beyond", estimate=0.02),
            verdict(part="line=c"), verdict(part="line=d", told="not enough data", estimate=0.5, enough=False)]  # fmt: skip
    said = explain(told("canary", *held)).split("Slices that stand out: ")[1]
    assert said.startswith("errors in line=b") and "line=a" in said and "line=c" not in said and "line=d" not in said
    many = [verdict(part=f"line={place}", told="beyond", estimate=0.02 + place / 100) for place in range(6)]
    assert "line=5" in explain(told("canary", *many)) and "; 3 slices more." in explain(told("canary", *many))


def test_what_is_not_known_is_no_figure():
    said = explain(told("shadow", verdict(), verdict("accuracy", told="not enough data", rows=0, estimate=nan)))
    assert "wrong answers" not in said and "nan" not in said
    gain = verdict("accuracy", limit=0.02, aim=-0.01, told="not enough data")
    assert "limit 2%, to be proven below -1%: not enough data" in explain(told("canary", gain))


def test_several_challengers_are_told_apart_also_where_their_names_are_alike():
    policy = Policy((ONE, TWO), mode="shadow")
    both = [verdict(), verdict(challenger=TWO, estimate=0.002)]
    said = explain(told("shadow", *both, policy=policy, names={ONE: "net", TWO: "net"}))
    assert "net (abababababab) and net (cdcdcdcdcdcd) has been" in said or "net (abababababab) and net (cdcdcdcdcdcd)" in said
    assert "So far of net (abababababab): errors 0.1% fewer" in said and "So far of net (cdcdcdcdcdcd): errors 0.2% more" in said
    assert "abababababab" in explain(told("shadow", names={}))


def test_whom_it_asks_and_that_nobody_looks():
    said = explain(told("canary", asks="promote", holds="it waits for a person: promote", unseen_ms=10 * MINUTE))
    assert 'a yes to "promote"' in said and "It goes on when" not in said and "No controller has looked for 10 min" in said
    assert "No controller" not in explain(told("canary", unseen_ms=MINUTE))


def test_questions_are_no_pages_and_what_is_over_needs_nobody():
    log = (entry("paged", "canary 5%", "canary 5%", "it waits for a person: promote"),
           entry("paged", "canary 5%", "canary 5%", "nothing goes on after 14 days"))  # fmt: skip
    held = State("r1", "canary", 0, 0, (ONE,), paged=("approve promote", "overdue"))
    assert pages(held, log) == {"overdue": "nothing goes on after 14 days"}
    assert pages(State("r1", "rolled back", 0, 0, (ONE,), paged=("overdue",)), log) == {}


def test_a_watch_that_is_over_is_not_said_to_go_on():
    assert "watched for as long as was asked" in explain(told("switched", here_ms=POLICY.watch_minutes * MINUTE))


def test_figures_of_few_units_are_said_to_be_of_few():
    few, enough = verdict("accuracy", estimate=0.07, rows=12, enough=False), verdict(rows=900)
    said = looks([few, enough])
    assert "wrong answers 7.00% more" in said and "too few to judge: 12 units" in said
    assert said.count("too few") == 1
