"""Records into minutes, hours and days: each once, in any batches, however late, on both databases."""

from __future__ import annotations

from collections import Counter

import pytest
from watched import HOUR, MINUTE, NAME, START, about, labelled, record, stream, write

from portside.cloud.monitoring.counting import count, counted
from portside.cloud.monitoring.cursors import COUNT, read_cursor
from portside.cloud.monitoring.reading import counts_between, window_between, windows_between
from portside.cloud.monitoring.rolling import roll, tidy
from portside.cloud.monitoring.turn import LostTurnError, Turn
from portside.sdk.core.window import Window

DAY = 24 * HOUR


def turn_of(database, holder="one"):
    turn = Turn(database, NAME, holder)
    assert turn.take(START)
    return turn


def whole(database, end_ms=START + 40 * DAY):
    return window_between(database, NAME, START - DAY, end_ms)


def same(one: Window, other: Window) -> bool:
    """As counts go: quantiles depend on the order of merging, within their error."""
    return facts(one) == facts(other)


def facts(window: Window):
    counts = {name: held.count for name, held in window.profile.fields.items()}
    return window.requests, window.rows, window.answers, window.arms, window.classes, window.late, counts


def test_every_record_is_counted_once_in_batches_of_any_size(database):
    records, known, turn = stream(500), about(), turn_of(database)
    write(database, records)
    sizes = [count(turn, known, limit=limit) for limit in (1, 7, 100, 250, 1000, 1000)]
    assert sizes == [1, 7, 100, 250, 142, 0]
    assert same(whole(database), Window.of(records, signature=known.signature))
    assert [window.rows for window in windows_between(database, NAME, START, START + HOUR)] == [60] * 8 + [20]


def test_records_of_other_deployments_are_not_counted(quick):
    write(quick, [record(1, START), record(2, START, name="others"), record(3, START, name="cells/step")])
    assert count(turn_of(quick), about()) == 1 and whole(quick).requests == 1


def test_hours_and_days_are_the_sum_of_their_minutes(quick):
    records, known, turn = stream(300, seconds=960), about(), turn_of(quick)
    write(quick, records)
    while count(turn, known):
        pass
    before = whole(quick)
    made = roll(turn, START + 4 * DAY)
    assert made == 80 + 4 and roll(turn, START + 4 * DAY) == 0, "the hours, and the days they are of"
    assert same(whole(quick), before)
    assert len(windows_between(quick, NAME, START - DAY, START + 5 * DAY)) <= 5, "days stand for their hours"
    tidy(turn, START + 30 * DAY)
    assert same(whole(quick), before), "minutes that left are in their hours"


@pytest.mark.parametrize("rolled_at", [None, HOUR, 3 * DAY])
def test_what_comes_late_reaches_the_hour_and_the_day_that_were_made_already(quick, rolled_at):
    known, turn = about(), turn_of(quick)
    write(quick, stream(100))
    count(turn, known)
    if rolled_at:
        roll(turn, START + rolled_at + 3 * MINUTE)
    write(quick, [record(1000, START + 30_000), record(1001, START + 50 * MINUTE)])
    count(turn, known)
    roll(turn, START + 5 * DAY)
    assert whole(quick).requests == 102
    assert window_between(quick, NAME, START, START + HOUR).requests == 102


def test_what_no_hour_was_made_of_is_made_when_it_comes(quick):
    """A day without traffic, rolled, into which something comes late."""
    known, turn = about(), turn_of(quick)
    write(quick, stream(10))
    count(turn, known)
    roll(turn, START + 3 * DAY)
    write(quick, [record(1000, START + 2 * HOUR)])
    count(turn, known)
    roll(turn, START + 3 * DAY)
    assert whole(quick).requests == 11


def test_a_label_counts_whenever_it_comes_and_a_correction_takes_its_place(database):
    known, turn = about(slices=["cell"]), turn_of(database)
    write(database, stream(100))
    count(turn, known)
    labelled(database, range(50), [place % 2 for place in range(50)])
    count(turn, known)
    quality = whole(database).quality["label"]
    assert (quality.rows, quality.correct) == (50, 50.0)
    labelled(database, range(10), [1 - place % 2 for place in range(10)], kind="correction", at_ms=START + 5)
    count(turn, known)
    quality = whole(database).quality["label"]
    assert (quality.rows, quality.correct) == (50, 40.0)
    roll(turn, START + 3 * DAY)
    assert whole(database).quality["label"] == quality
    assert sum(part.quality["label"].rows for part in whole(database).slices.values()) == 50


def test_a_label_that_was_there_before_its_record_is_not_missed(quick):
    known, turn = about(), turn_of(quick)
    labelled(quick, [5], 1)
    assert count(turn, known) == 1 and not whole(quick).quality
    write(quick, stream(10))
    count(turn, known)
    assert whole(quick).quality["label"].rows == 1


def test_objectives_are_counted_exactly(quick):
    known, turn = about(slo={"p99_ms": 20.0, "in_time": 0.99, "availability": 0.99}), turn_of(quick)
    write(quick, [record(place, START + place * 1000, time_ms=1.0 + place) for place in range(100)])
    write(quick, [record(100 + place, START, outputs={}, arm="none") for place in range(3)])
    count(turn, known)
    held = {name: counts_between(quick, NAME, name, START, START + HOUR) for name in ("p99_ms", "in_time", "availability")}
    assert {name: (one.good, one.bad) for name, one in held.items()} == {"p99_ms": (20, 80), "in_time": (50, 50), "availability": (100, 3)}
    assert counts_between(quick, NAME, "p99_ms", START, START + MINUTE).total == 60
    assert whole(quick).arms == {"champion": 100, "none": 3} and whole(quick).classes["label"] == {"good": 100}


def test_only_whose_turn_it_is_writes(database):
    known = about()
    first, second = Turn(database, NAME, "first"), Turn(database, NAME, "second")
    assert first.take(START) and not second.take(START + 1) and first.take(START + 10_000)
    write(database, stream(10))
    assert second.take(START + 30_000), "the first one's lease has ended"
    with pytest.raises(LostTurnError):
        count(first, known)
    assert count(second, known) == 10 and whole(database).requests == 10
    second.give_back()
    assert first.take(START + 30_001)


def test_a_monitor_that_was_stopped_in_the_middle_writes_nothing_twice(database):
    """It has read a batch, another one takes its turn and counts it, and it goes on."""
    known, stopped, other = about(), turn_of(database, "stopped"), Turn(database, NAME, "other")
    write(database, stream(10))

    def sleep(point):
        if point == "read":
            assert other.take(START + 60_000) and count(other, known) == 10

    with pytest.raises(LostTurnError):
        count(stopped, known, sleep)
    assert whole(database).requests == 10 and read_cursor(database, NAME, COUNT).records > 0


def test_a_tally_is_by_minute(quick):
    tally = counted(stream(150), about())
    assert [window.rows for window in tally.windows.values()] == [60, 60, 30]
    assert all(window.end_ms - window.start_ms == MINUTE for window in tally.windows.values())
    assert Counter(name for _, name in tally.counts) == {"availability": 3, "in_time": 3}
