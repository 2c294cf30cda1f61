"""Rollouts are read as they stand: from a real story on a real database, also where there never was one."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from rolled import CHALLENGER as NEW
from rolled import NAME, QUICK, START, Rig, World, rolled

from portside.cloud.records.database import Database
from portside.cloud.rollout_policy import Policy
from portside.cloud.rollouts.showing import LOOKS, counted, line, looks, seen, thinned
from portside.cloud.rollouts.storing import every
from portside.cloud.rollouts.words import percent


def test_a_story_is_read_as_it_went(quick, tmp_path):
    policy = Policy((NEW,), **QUICK, slices=("line",))
    held = rolled(quick, policy)
    rig = Rig(quick, tmp_path, World(fails=lambda place: place % 4 == 1, cells=lambda place: {"line": "ab"[place % 2]}), policy)
    rig.look()
    places = rig.minutes(12)
    found = seen(quick, NAME)
    assert found is not None and found.held.id == held.id and places[-1] == "rolled back" == found.held.place
    assert any(one.told == "beyond" for one in found.verdicts) and found.broken == "" and found.names[NEW] == "net:2"
    assert "net:2 was taken back 3 min ago; nobody was given its answers. Why: errors" in found.why(found.held.phase_ms + 180_000)
    shown = looks(quick, held.id)
    assert shown and {look.phase for look in shown} <= {"shadow", "canary"}
    assert [look.at_ms for look in shown] == sorted(look.at_ms for look in shown)
    errors = [one for one in counted(quick, held.id) if (one.measure, one.slice) == ("errors", "")]
    assert sum(one.bad for one in errors) > 0 and all(one.bad <= one.rows for one in errors)
    assert line(found.held)["challengers"] == [{"digest": NEW, "name": "net:2"}]
    assert seen(quick, NAME, "another") is None and seen(quick, "another") is None


def test_time_in_a_phase_counts_by_the_controllers_clock_and_a_missing_controller_is_said(quick):
    held = rolled(quick, Policy((NEW,), **QUICK))
    found = seen(quick, NAME)
    assert found is not None and "asked in shadow" in found.why(START)
    away = found.told(START + 3_600_000)
    assert away.here_ms == held.clock_ms - held.state.since_ms == 0 and away.unseen_ms == 3_600_000
    assert "No controller has looked for 1 h" in found.why(START + 3_600_000)
    closed = replace(found, held=replace(held, state=replace(held.state, phase="rolled back")))
    assert closed.told(START + 3_600_000).here_ms == 3_600_000 and closed.told(START + 3_600_000).unseen_ms == 0


def test_where_there_never_was_a_rollout(tmp_path):
    with Database.open(tmp_path / "empty.sqlite") as database:
        assert every(database, NAME) == [] and seen(database, NAME) is None
        assert looks(database, "r1") == [] and counted(database, "r1") == []


@given(st.lists(st.integers(0, 10**6), max_size=900, unique=True).map(sorted), st.integers(1, LOOKS))
def test_thinning_keeps_both_ends_and_the_order(held, most):
    kept = thinned(held, most)
    assert kept == sorted(kept) and set(kept) <= set(held) and len(kept) <= most + 1
    assert not held or (kept[0], kept[-1]) == (held[0], held[-1])


@given(st.floats(-1, 1))
def test_a_share_in_words_is_the_share(share):
    said = percent(share)
    assert said.endswith("%") and abs(float(said[:-1]) - share * 100) <= 0.051 and said != "-0%"
