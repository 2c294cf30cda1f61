"""The controller: from records to what workers do, whatever comes in between."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from rolled import ABOUT, CHALLENGER, CHAMPION, DAY, MINUTE, NAME, OTHER, QUICK, START, Rig, World, number, record, rolled, write

from portside.cloud.deployment.traffic import FILE, Traffic, read_traffic, write_traffic
from portside.cloud.monitoring.turn import LEASE_MS, LostTurnError
from portside.cloud.records.database import Database
from portside.cloud.records.labelling import label as write_labels
from portside.cloud.rollout_evidence import Cell
from portside.cloud.rollout_policy import Policy
from portside.cloud.rollouts import mirror
from portside.cloud.rollouts.counting import observed
from portside.cloud.rollouts.log import read_log, verify_log
from portside.cloud.rollouts.storing import every, newest, points
from portside.cloud.rollouts.tables import SEEN
from portside.sdk.core.labels import Label

POLICY = Policy((CHALLENGER,), **QUICK)


def begun(database, folder, policy=POLICY, world=None, about=None, **more):
    """A rollout whose workers know of it."""
    rolled(database, policy, about=about)
    rig = Rig(database, folder / "workers", world, policy, **more)
    rig.look()
    return rig


def counts(database, policy=POLICY):
    with database.read() as connection:
        return observed(connection, "r1", policy, START)


def test_a_challenger_that_is_as_good_comes_to_everyone(database, tmp_path):
    rig = begun(database, tmp_path)
    assert rig.minutes(40, 150) == ["shadow", "canary 20%", "canary 50%", "switched", "promoted"]
    traffic = read_traffic(rig.folder)
    assert traffic.phase == "promoted" and traffic.challengers == (CHALLENGER,) and traffic.share == 1
    assert [entry.kind for entry in read_log(database, "r1")] == ["started", "begin", "advance", "advance", "switch", "promote"]
    verify_log(database, "r1")
    with database.read() as connection:
        assert connection.execute(SEEN.select()).first() is None, "nothing is kept of who was counted"
    shown = points(database, "r1")
    assert shown[0][1]["place"] == "shadow" and len(shown) > 4
    assert {verdict["measure"] for verdict in shown[0][1]["verdicts"]} == {"errors", "late", "disagreement", "accuracy"}


@pytest.mark.parametrize(("how", "measure"), [
    ({"fails": lambda caller: caller % 2 == 0}, "errors"), ({"slow": lambda caller: True}, "late"),
    ({"wrong": lambda caller: caller % 2 == 0}, "wrong answers"),
])  # fmt: skip
def test_a_challenger_that_is_worse_is_never_given_to_anybody(quick, tmp_path, how, measure):
    rig = begun(quick, tmp_path, Policy((CHALLENGER,), **{**QUICK, "limits": {**QUICK["limits"], "disagreement": 0.9}}), World(**how))
    assert rig.minutes(20) == ["rolled back"]
    assert read_traffic(rig.folder).challengers == ()
    last = [entry for entry in read_log(quick, "r1") if entry.kind == "roll back"]
    assert len(last) == 1 and measure.split(" ")[0] in last[0].why and last[0].evidence["verdicts"]


def test_a_challenger_that_is_broken_for_some_is_stopped_and_they_are_named(quick, tmp_path):
    policy = replace(POLICY, slices=("cell",), shadow_first=False)
    world = World(fails=lambda caller: caller % 10 == 0, cells=lambda caller: {"cell": "poly" if caller % 10 == 0 else "mono"})
    rig = begun(quick, tmp_path, replace(policy, limits={"errors": 0.3, "late": 0.3, "accuracy": 0.3}), world)
    assert rig.minutes(40)[-1] == "rolled back"
    assert "cell=poly" in read_log(quick, "r1")[-2].why


def test_an_entity_counts_once_and_nobody_every_time(database, tmp_path):
    rig = begun(database, tmp_path, replace(POLICY, shadow_first=False))
    traffic = read_traffic(rig.folder)
    for minute in range(3):
        rig.world.serve(database, traffic, range(40), START + minute)
    rig.world.named = lambda caller: False
    for minute in range(3):
        rig.world.serve(database, traffic, range(10), START + minute)
    rig.look(START + 1000)
    seen = counts(database)
    for measure in ("errors", "accuracy"):
        tally = seen.counts[Cell("canary", 0, CHALLENGER, measure)]
        assert tally.rows + tally.champion_rows == 40 + 3 * 10, measure
    assert sum(seen.assigned[0][1:]) == 70 and seen.assigned[0].share == 0.2


def test_the_first_outcome_of_an_entity_counts_whenever_its_label_comes(quick, tmp_path):
    rig = begun(quick, tmp_path, world=World(labelled=False))
    made = rig.world.serve(quick, read_traffic(rig.folder), range(5), START)
    ids = [one.id for one in made if one.parent is None]
    rig.look(START + 1)
    write_labels(quick, [Label(number(place, "late"), one, 0, {"label": "bad"}, "ana", 5) for place, one in enumerate(ids[:3])])
    rig.look(START + 2)
    write_labels(quick, [Label(number(9, "corrected"), ids[0], 0, {"label": "good"}, "ana", 9)])
    rig.look(START + 3)
    tally = counts(quick).counts[Cell("shadow", 0, CHALLENGER, "accuracy")]
    assert (tally.rows, tally.bad, tally.champion_bad, tally.both) == (3, 3, 3, 3), "what was decided by is not changed afterwards"


def test_labels_that_came_before_their_records_are_read_count_too(quick, tmp_path):
    """A label is committed, and counted, while its record waits in a server's queue."""
    rig = begun(quick, tmp_path, world=World(labelled=False))
    given = record(1, entity="ana")
    write_labels(quick, [Label(number(1, "early"), given.id, 0, {"label": "bad"}, "ana", 1)])
    rig.look(START + 1)
    traffic = read_traffic(rig.folder)
    write(quick, [given, rig.world.shadow(given, 1, 1, CHALLENGER, {"id": traffic.rollout})])
    rig.look(START + 2)
    assert counts(quick).counts[Cell("shadow", 0, CHALLENGER, "accuracy")].rows == 1


def test_everything_is_counted_once_however_it_comes_in_batches(quick, tmp_path, monkeypatch):
    rig = begun(quick, tmp_path)
    rig.world.serve(quick, read_traffic(rig.folder), range(100), START)
    monkeypatch.setattr("portside.cloud.rollouts.controller.BATCH", 7)
    monkeypatch.setattr("portside.cloud.rollouts.controller.MOST_BATCHES", 3)
    assert rig.controller.look().waiting
    rig.look(START + 1)
    rig.look(START + 2)
    assert all(tally.rows == 100 for cell, tally in counts(quick).counts.items()), counts(quick).counts


def test_of_two_controllers_one_acts_and_the_other_takes_over(database, tmp_path):
    rig = begun(database, tmp_path, holder="one")
    other = Rig(database, rig.folder, rig.world, POLICY, holder="two")
    other.now = START + 1
    assert not other.controller.look().acted
    rig.world.serve(database, read_traffic(rig.folder), range(50), START)
    assert rig.look(START + MINUTE // 4).units == 50 * 4
    other.now = START + MINUTE
    assert other.controller.look().acted, "the first one's lease has ended"
    rig.world.serve(database, read_traffic(rig.folder), range(50, 100), START + MINUTE)
    with pytest.raises(LostTurnError):
        rig.look(START + MINUTE // 4 + 1)
    assert other.look(START + MINUTE + 1).units == 50 * 4
    assert not rig.look(START + MINUTE // 4 + 2).acted


def test_a_lease_of_a_clock_that_was_set_back_holds_nobody_up(quick, tmp_path):
    rig = begun(quick, tmp_path, holder="one")
    rig.controller._taken_ms = -LEASE_MS
    rig.look(START + DAY)
    other = Rig(quick, rig.folder, rig.world, POLICY, holder="two")
    other.now = START + LEASE_MS + 1
    assert other.controller.look().acted


def test_who_was_stopped_while_it_told_workers_keeps_nobody_from_going_on(quick, tmp_path, monkeypatch):
    rig = begun(quick, tmp_path)
    monkeypatch.setattr(mirror, "WAIT_S", 0.1)
    with mirror._alone(rig.folder):
        (rig.folder / FILE).unlink()
        assert rig.look(START + 1).traffic == read_traffic(rig.folder) != Traffic()


def test_two_controllers_at_once_do_nothing_twice(quick, tmp_path):
    """Both look as fast as they can, and both believe that it is their turn."""
    rig = begun(quick, tmp_path)
    for minute in range(4):
        rig.world.serve(quick, read_traffic(rig.folder), range(minute * 50, minute * 50 + 50), START + minute)
    databases = [Database.open(tmp_path / "records.sqlite") for _ in range(2)]
    rigs = [Rig(one, rig.folder, rig.world, POLICY, holder=rig.controller.turn.holder) for one in databases]
    for one in rigs:
        one.now = START + 1000
    threads = [threading.Thread(target=lambda rig=rig: [rig.controller.look() for _ in range(5)]) for rig in rigs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in databases:
        one.close()
    assert {tally.rows for tally in counts(quick).counts.values()} == {200}
    assert [entry.kind for entry in read_log(quick, "r1")] == ["started", "begin"] and verify_log(quick, "r1")


def test_time_counts_while_somebody_looks(quick, tmp_path):
    """A clock that jumps by a day, or a controller that was away, ends no watch early; one that is set back stops nothing."""
    policy = replace(POLICY, mode="blue-green", shadow_first=False, watch_minutes=30.0)
    rig = begun(quick, tmp_path, policy, gap_ms=MINUTE)
    rig.minutes(1, 20)
    assert rig.look(rig.now + DAY).held.place == "switched"
    assert rig.minutes(10, 20)[-1] == "switched"
    rig.now -= 3 * DAY
    rig.controller._taken_ms = -LEASE_MS
    places = rig.minutes(25, 20)
    assert places[-1] == "promoted" and len(places) <= 2


def test_the_file_is_made_anew_whatever_became_of_it(quick, tmp_path):
    rig = begun(quick, tmp_path)
    wanted = read_traffic(rig.folder)
    for damage in (lambda: (rig.folder / FILE).unlink(), lambda: (rig.folder / FILE).write_text("{"),
                   lambda: write_traffic(rig.folder, Traffic(99, "r0", "promoted", (OTHER,), 1.0))):  # fmt: skip
        damage()
        assert rig.look(rig.now + 1).traffic == wanted == read_traffic(rig.folder)
    held = (rig.folder / FILE).stat().st_mtime_ns
    rig.look(rig.now + 1)
    assert (rig.folder / FILE).stat().st_mtime_ns == held, "it is not replaced where nothing has changed"


def test_a_rollout_stands_still_while_its_file_names_another_challenger(quick, tmp_path):
    rig = begun(quick, tmp_path)
    rig.world.serve(quick, read_traffic(rig.folder), range(50), START)
    away = Rig(quick, rig.folder, rig.world, Policy((OTHER,), **QUICK), holder=rig.controller.turn.holder)
    done = away.look(START + MINUTE)
    assert done.acted and done.units == 0 and done.held.place == "shadow"
    assert rig.look(START + 2 * MINUTE).units == 50 * 4


def test_a_switch_without_a_shadow_is_held_against_the_champion_before_it(quick, tmp_path):
    write(quick, [record(place, START - 1000, entity=f"e{place}") for place in range(300)])
    policy = replace(POLICY, mode="blue-green", shadow_first=False)
    begun(quick, tmp_path, policy)
    assert counts(quick, policy).champion(CHALLENGER, "errors", "") == (300, 0)


def test_several_challengers_are_compared_and_nobody_is_given_them(quick, tmp_path):
    policy = Policy((CHALLENGER, OTHER), "shadow", **{**QUICK, "steps": (0.2,)})
    about = {**ABOUT, "challengers": [*ABOUT["challengers"], {"digest": OTHER, "name": "net:3"}]}
    rig = begun(quick, tmp_path, policy, about=about)
    rig.world.shadow = lambda given, place, caller, digest, noted, real=rig.world.shadow: replace(
        real(given, place, caller, digest, noted), outputs={"label": [int(digest == OTHER)]})  # fmt: skip
    assert rig.minutes(20)[-1] == "ended"
    state = every(quick, NAME)[0].state
    assert state.challengers == (CHALLENGER,) and state.dropped == (OTHER,) and read_traffic(rig.folder).challengers == ()


def test_a_field_of_many_values_is_not_kept_apart_without_end(quick, tmp_path):
    policy = replace(POLICY, slices=("cell",))
    rig = begun(quick, tmp_path, policy, World(cells=lambda caller: {"cell": f"c{caller}"}))
    rig.world.serve(quick, read_traffic(rig.folder), range(200), START)
    rig.look(START + 1)
    seen = counts(quick, policy)
    assert len(seen.slices()) == 20 and seen.counts[Cell("shadow", 0, CHALLENGER, "errors")].rows == 200


def test_records_of_other_deployments_and_of_nobody_s_rollout_say_nothing(quick, tmp_path):
    rig = begun(quick, tmp_path, replace(POLICY, shadow_first=False))
    noted = {"rollout": {"id": "r1", "assigned": "challenger"}}
    write(quick, [record(1, entity="a", name="other", features=noted, propensity=0.2), record(2, entity="b"),
                  record(3, entity="c", features={"rollout": {"id": "r0", "assigned": "challenger"}}, propensity=0.2),
                  record(4, entity="d", features=noted, propensity=0.2, package=CHAMPION)])  # fmt: skip
    assert rig.look(START + 1).units == 1
    with quick.read() as connection:
        assert newest(connection, NAME).serial == 2


def test_where_no_rollout_was_ever_begun_the_champion_answers(quick, tmp_path):
    rig = Rig(quick, tmp_path / "workers", policy=POLICY)
    done = rig.look()
    assert done.acted and done.held is None and done.traffic == Traffic() == read_traffic(rig.folder)
