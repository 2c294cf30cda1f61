"""Which minutes are judged together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.monitoring.levels import MINUTE_MS, cover
from portside.cloud.monitoring.spans import ended

DAY = 1 << 40


def minutes(*rows):
    """(start, rows) of minutes one after the other; 0: nothing came."""
    return [(place * MINUTE_MS, count) for place, count in enumerate(rows) if count]


def test_a_span_ends_with_the_minute_in_which_it_has_enough():
    found = ended(minutes(40, 40, 40, 40, 10), 80, 60, DAY)
    assert [(span.start_ms, span.end_ms, span.rows) for span in found] == [(0, 2 * MINUTE_MS, 80), (2 * MINUTE_MS, 4 * MINUTE_MS, 80),
                                                                           (4 * MINUTE_MS, 5 * MINUTE_MS, 10)]  # fmt: skip


def test_a_minute_that_may_still_grow_is_left():
    assert [span.rows for span in ended(minutes(100, 100), 80, 60, 2 * MINUTE_MS - 1)] == [100]


def test_too_few_rows_wait_until_their_time_is_over():
    assert ended(minutes(5), 80, 60, 60 * MINUTE_MS - 1) == []
    assert [span.rows for span in ended(minutes(5), 80, 60, 60 * MINUTE_MS)] == [5]
    assert [span.rows for span in ended([*minutes(5), (70 * MINUTE_MS, 100)], 80, 60, 71 * MINUTE_MS)] == [5, 100]


@given(st.lists(st.integers(0, 50), max_size=120), st.integers(1, 100), st.integers(1, 30), st.integers(0, 130))
def test_no_minute_is_in_two_spans_none_is_passed_over_and_later_rounds_agree(rows, enough, most, closed):
    held = minutes(*rows)
    found = ended(held, enough, most, closed * MINUTE_MS)
    seen = [start for span in found for start in span.minutes]
    assert seen == [start for start, _ in held][: len(seen)]
    assert all(span.rows >= enough or span.minutes[-1] - span.start_ms < most * MINUTE_MS for span in found)
    later = ended(held, enough, most, DAY)
    assert later[: len(found)] == found, "what was judged does not depend on when"


@given(st.sets(st.integers(0, 2879)), st.integers(0, 2880), st.integers(0, 2880), st.sets(st.integers(0, 47)), st.sets(st.integers(0, 1)))
def test_a_cover_has_every_minute_of_the_span_once(held, start, end, hours, days):
    """Hours and days that were made hold all the minutes in them."""
    begin, last = min(start, end) * MINUTE_MS, max(start, end) * MINUTE_MS
    hours |= {hour for day in days for hour in range(day * 24, day * 24 + 24)}
    rows = [("minute", minute * MINUTE_MS) for minute in held] + [("hour", hour * 60 * MINUTE_MS) for hour in hours]
    chosen = cover([*rows, *(("day", day * 1440 * MINUTE_MS) for day in days)], begin, last)
    sizes = {"minute": 1, "hour": 60, "day": 1440}
    covered = [minute for level, place in chosen for minute in range(place // MINUTE_MS, place // MINUTE_MS + sizes[level])]
    assert len(set(covered)) == len(covered)
    wanted = {minute for minute in held if begin <= minute * MINUTE_MS < last}
    assert wanted <= set(covered) and all(begin <= minute * MINUTE_MS < last for minute in covered)
