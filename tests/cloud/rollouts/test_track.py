"""The way of a rollout as stops, whichever way it goes."""

from __future__ import annotations

from portside.cloud.rollout import State
from portside.cloud.rollout_policy import Policy
from portside.cloud.rollouts.log import Entry
from portside.cloud.rollouts.track import marks, place, stops, track

ONE = "sha256:" + "ab" * 32
CANARY = Policy((ONE,), steps=(0.01, 0.5), first="line=test")


def log(*places: str) -> list[Entry]:
    return [Entry("r1", number, number * 1000, "moved", "controller", before, after, "") for number, (before, after) in
            enumerate(zip(("", *places), places, strict=False), 1)]  # fmt: skip


def state(phase, since_ms=0, step=0):
    return State("r1", phase, 0, since_ms, (ONE,), step)


def test_every_mode_has_its_own_stops():
    names = {mode: [stop.name for stop in stops(Policy((ONE,), mode=mode))] for mode in ("shadow", "canary", "blue-green")}
    assert names == {
        "shadow": ["gates", "shadow", "compared"],
        "canary": ["gates", "shadow", "1%", "5%", "20%", "50%", "everyone, watched", "promoted"],
        "blue-green": ["gates", "shadow", "everyone, watched", "promoted"],
    }
    bold = Policy((ONE,), shadow_first=False, steps=(0.2,))
    assert [stop.name for stop in stops(bold)] == ["gates", "20%", "everyone, watched", "promoted"]
    assert stops(CANARY)[2].name == "1% of line=test"


def test_what_lies_behind_it_and_what_is_to_come():
    went = log("gates", "shadow", "canary 1%", "canary 50%")
    found = track(CANARY, state("canary", 4000, 1), went)
    assert [stop.state for stop in found] == ["done", "done", "done", "now", "next", "next"]
    assert [stop.since_ms for stop in found] == [1000, 2000, 3000, 4000, None, None]
    assert marks(found) == [(2000, "shadow"), (3000, "1% of line=test"), (4000, "50%")]
    assert [place(CANARY, state(phase, step=1)) for phase in ("shadow", "canary", "promoted")] == ["shadow", "canary 50%", "promoted"]


def test_what_it_never_came_to_when_it_went_back():
    found = track(CANARY, state("rolled back", 9000), log("gates", "shadow", "canary 1%", "rolled back"))
    assert [(stop.name, stop.state) for stop in found][2:] == [
        ("1% of line=test", "done"), ("50%", "skipped"), ("everyone, watched", "skipped"), ("promoted", "skipped"),
        ("rolled back", "now")]  # fmt: skip
    assert found[-1].since_ms == 9000
    stopped = track(CANARY, state("rolled back", 1500), log("gates", "rolled back"))
    assert [stop.state for stop in stopped] == ["done", *["skipped"] * 5, "now"]


def test_waiting_for_a_person_is_before_the_traffic():
    assert [stop.state for stop in track(CANARY, state("waiting", 10), log("gates", "waiting"))][:2] == ["now", "next"]
    assert [stop.state for stop in track(CANARY, state("promoted", 10), log("gates", "shadow", "canary 1%", "switched", "promoted"))] == [
        "done", "done", "done", "done", "done", "now"]  # fmt: skip
