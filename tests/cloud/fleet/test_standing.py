"""How a device stands, from what it said; which release was wanted before."""

from dataclasses import replace

from sent import NOW, known

from portside.cloud.fleet.desired import Desired, before
from portside.cloud.fleet.devices import Device, want
from portside.cloud.fleet.going_back import go_back
from portside.cloud.fleet.standing import SILENT_MS, Outcome, standing

HELD = Device("cam-7", seen_ms=NOW, desired="b", versions={"release": "a"})
REFUSED = Outcome("rolled-back", "b", "contract", NOW)


def test_states():
    cases = [
        (HELD, None, "updating"), (HELD, REFUSED, "refused"), (HELD, replace(REFUSED, release="c"), "updating"),
        (HELD, replace(REFUSED, name="release"), "updating"), (replace(HELD, versions={"release": "b"}), REFUSED, "current"),
        (replace(HELD, versions={"release": "a", "refused": "b"}), None, "refused"), (replace(HELD, desired=None), REFUSED, "free"),
        (replace(HELD, seen_ms=NOW - SILENT_MS - 1), None, "silent"), (replace(HELD, seen_ms=None, versions={}), None, "new"),
        (replace(HELD, seen_ms=NOW - SILENT_MS - 1), REFUSED, "refused"), (replace(HELD, blocked="stolen"), REFUSED, "blocked"),
        (replace(HELD, desired=None, versions={}), None, "free"),
    ]  # fmt: skip
    for device, outcome, state in cases:
        told = [] if outcome is None else [outcome]
        assert standing(device, told, NOW).state == state and standing(device, told, NOW).why, (device, outcome)


def test_the_newest_word_about_what_is_wanted_counts():
    back, again = replace(REFUSED, name="release", release="a"), replace(REFUSED, name="release")
    assert standing(HELD, [back, REFUSED], NOW).why == "contract", "the release before answers again, and that is told later"
    assert standing(HELD, [again, REFUSED], NOW).state == "updating" and standing(HELD, [REFUSED, again], NOW).state == "refused"


def test_the_release_before_is_that_of_the_device_not_of_a_selector():
    said = [Desired("", "a", 1), Desired("site=north", "b", 2), Desired("", "c", 3)]
    assert before("cam", {"site": "north"}, said) == "a" and before("cam", {}, said) == "a" and before("cam", {}, said[:1]) is None
    assert before("cam", {}, [*said, Desired("", "c", 4)]) == "a", "said twice is said once"


def test_going_back_twice_goes_forth_again(lite):
    known(lite)
    for at_ms, release in enumerate(("a", "b", "c")):
        want(lite, Desired("site=north", release, at_ms), "ana")
    assert [go_back(lite, "site=north", "ana", 10), go_back(lite, "site=north", "ana", 11), go_back(lite, "device:cam-7", "ana", 12)] == [
        "b",
        "c",
        "b",
    ]
