"""The dial: who decides a row, for every level; what holds whatever the numbers are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.automation import BLIND, LEVELS, Dial, decide
from portside.sdk.core.errors import FormatError

scores = st.one_of(st.floats(0, 1), st.just(math.nan))
draws = st.floats(0, 1, exclude_max=True)
shares = st.floats(0, 1)


@st.composite
def dials(draw, level=None):
    chosen = level or draw(st.sampled_from(LEVELS))
    waiting = draw(st.sampled_from(["default", "pending"] if chosen in BLIND else ["champion", "default", "pending"]))
    return Dial(chosen, draw(st.one_of(st.none(), st.floats(0, 1))), draw(shares), waiting)


@pytest.mark.parametrize(
    ("level", "by", "caller"),
    [("human", "person", "default"), ("shadow", "person", "default"), ("assist", "both", "default"), ("full", "model", "model")],
)
def test_levels_that_ask_for_no_score(level, by, caller):
    route = decide(Dial(level, None, 0.1, "default"), math.nan, 0.5)
    assert (route.answered_by, route.caller, route.reason) == (by, caller, "level")
    assert route.review == route.waits == (level != "full")
    assert route.selection == (0.1 if level == "full" else 1.0)


@given(scores, draws, st.floats(0, 1), shares)
def test_partial_is_a_comparison(score, draw, threshold, share):
    route = decide(Dial("partial", threshold, share), score, draw)
    if score >= threshold:
        assert (route.answered_by, route.caller, route.selection) == ("model", "model", share)
        assert route.review == (draw < share) and route.reason == ("check" if draw < share else "confident")
    else:
        assert (route.answered_by, route.review, route.selection, route.reason) == ("both", True, 1.0, "low-confidence")


@given(scores, draws, dials(level="partial"))
def test_nothing_is_automated_without_a_threshold_or_for_another_than_the_champion(score, draw, dial):
    bare = Dial("partial", None, dial.check_share, dial.while_waiting)
    assert decide(bare, score, draw).reason == "no-threshold" and decide(bare, score, draw).waits
    assert decide(dial, score, draw, champion=False).waits


@given(scores, draws, dials())
def test_every_row_that_a_person_decides_is_reviewed_for_certain(score, draw, dial):
    route = decide(dial, score, draw)
    assert not route.waits or (route.review and route.selection == 1.0 and route.caller == dial.while_waiting)
    assert route.waits or route.caller == "model"
    assert not (route.review and route.selection == 0.0)


@given(st.floats(0, 1), st.floats(0, 1), draws, dials(level="partial"))
def test_a_surer_row_is_never_less_automated(one, other, draw, dial):
    low, high = sorted((one, other))
    assert decide(dial, high, draw).waits <= decide(dial, low, draw).waits


@given(scores, draws, dials(), dials())
def test_a_slice_has_a_dial_of_its_own(score, draw, dial, own):
    both = Dial(dial.level, dial.threshold, dial.check_share, dial.while_waiting, {"cell=poly": own})
    assert decide(both, score, draw, "cell=poly") == decide(own, score, draw)
    assert decide(both, score, draw, "cell=mono") == decide(both, score, draw) == decide(dial, score, draw)


def test_only_a_dial_that_is_human_everywhere_lets_the_model_sleep():
    assert Dial("human").asleep and Dial("human", slices={"a=1": Dial("human")}).asleep
    assert not Dial("human", slices={"a=1": Dial("full")}).asleep and not Dial("shadow").asleep


@pytest.mark.parametrize("level", BLIND)
def test_nobody_is_given_what_nobody_may_see(level):
    with pytest.raises(FormatError, match="nobody is given"):
        Dial(level, while_waiting="champion")


def test_a_dial_that_cannot_be():
    with pytest.raises(FormatError, match="share"):
        Dial("full", check_share=1.5)
    with pytest.raises(FormatError, match="no slices"):
        Dial("full", slices={"a=1": Dial("full", slices={"b=1": Dial("full")})})
