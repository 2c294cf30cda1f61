"""Windows around a reload: what two packages made is not compared, and a span ends where the champion changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from watched import MINUTE, NAME, PROFILE, SIGNATURE, START, Watch, about, stream, write

from portside.cloud.monitoring import reading
from portside.cloud.monitoring.packages import comparable, runs
from portside.cloud.monitoring.storing import TRAFFIC, at
from portside.cloud.records.database import Database
from portside.sdk.core.profile import Profile
from portside.sdk.core.window import Window

SPANS, DRIFT = {"rows": 150, "minutes": 5}, {"effect": 0.1}


@pytest.mark.parametrize(
    ("minutes", "together"),
    [(["a", "a", "a"], [[0, 1, 2]]), (["a", "ab", "b", "b"], [[0], [1], [2, 3]]), (["", "a", "", "b"], [[0, 1, 2], [3]]),
     (["a", "b"], [[0], [1]]), (["ab", "ab"], [[0], [1]]), (["ab", "", "b"], [[0], [1, 2]]), ([], [])],
)  # fmt: skip
def test_minutes_between_which_the_champion_did_not_change_are_together(minutes: list[str], together: list[list[int]]) -> None:
    assert runs({place: Window(packages=dict.fromkeys(held, 3)) for place, held in enumerate(minutes)}) == together


def test_what_another_package_made_is_left_out_and_what_was_sent_is_not() -> None:
    fields = Profile.of({"in.x": np.zeros(3), "out.label": np.zeros(3), "feature.h[0]": np.zeros(3), "trait.p.length": np.zeros(3)})
    part = Window(profile=fields)
    mixed = Window(profile=fields, packages={"a": 1, "b": 2}, slices={"cell=mono": part, "out.label=1": part})
    found = comparable(mixed, "a")
    assert set(found.profile.fields) == set(found.slices["cell=mono"].profile.fields) == {"in.x", "trait.p.length"}
    assert list(found.slices) == ["cell=mono"]
    own = replace(mixed, packages={"a": 1})
    assert comparable(own, "a") is own and comparable(mixed, "") is mixed
    assert comparable(replace(mixed, packages={}), "a").profile is fields
    tried = replace(own, arms={"champion": 2, "challenger": 1})  # a rollout gave some callers another package's answers
    assert set(comparable(tried, "a").profile.fields) == {"in.x", "trait.p.length"}


def test_windows_count_the_champions_answers() -> None:
    records = [replace(one, package="new" if place > 6 else "old", arm="fallback" if place == 3 else "champion",
                       device="d1" if place == 4 else None) for place, one in enumerate(stream(10))]  # fmt: skip
    held = Window.of(records, signature=SIGNATURE, slices=["cell"])
    assert held.packages == {"new": 3, "old": 5}
    assert not any(part.packages for part in held.slices.values())
    assert Window.from_dict(held.merge(held).to_dict()).packages == {"new": 6, "old": 10}


@pytest.mark.parametrize("reference", ["profile", 1])
def test_a_reload_is_no_drift_of_what_packages_answer(quick: Database, reference: str | int) -> None:
    """The new package answers otherwise: nothing of the old one's answers is held against it, whose own are as it was trained."""
    known = about(spans=SPANS, drift=DRIFT, reference=reference)
    watch = Watch(quick, replace(known, champion="old", digest="old"))
    answers = [replace(one, package="old") for one in stream(870)]
    write(quick, [*answers, *(replace(one, package="new", outputs={"label": [1], "score": [0.1]}) for one in stream(900, start=870))])
    watch.until(START + 10 * MINUTE)
    trained = Profile.of({"out.label": np.array(["bad"] * 4000, object), "out.score": np.full(4000, 0.1, np.float32)})
    again = Watch(quick, replace(known, champion="new", digest="new", profile=Profile({**PROFILE.fields, **trained.fields})))
    again.now = watch.now
    again.until(START + 31 * MINUTE)
    breaches = [one for one in reading.found(quick, NAME, "drift") if one.finding.verdict == "breach"]
    assert not breaches, breaches[0].finding.what
    with quick.read() as connection:
        spans = at(connection, NAME, "judged", TRAFFIC, [START + place * MINUTE for place in range(32)])
    mixed = {start: span for start, span in spans.items() if len(span.packages) > 1}
    assert list(mixed) == [START + 14 * MINUTE] and mixed[START + 14 * MINUTE].end_ms == START + 15 * MINUTE
    assert sum(span.rows for span in spans.values()) >= 1650
