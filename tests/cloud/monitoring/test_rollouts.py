"""Alerts of a rollout: it went back, it needs somebody, it asks for a yes; each fires once, and is resolved when that is over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import text

from portside.cloud.alerts.defaults import RULES
from portside.cloud.alerts.judging import judged as alerts_after
from portside.cloud.monitoring.rollouts import TOLD_MS, findings, judged
from portside.cloud.records.database import Database
from portside.cloud.rollout import State, start, step
from portside.cloud.rollout_policy import Policy
from portside.cloud.rollouts.control import wall_ms
from portside.cloud.rollouts.log import SYSTEM, Entry
from portside.cloud.rollouts.storing import Held, begin, move_on
from portside.cloud.rollouts.tables import prepare

ONE, NOW = "sha256:" + "ab" * 32, 1_800_000_000_000
POLICY = Policy((ONE,), approve=("promote",))
ABOUT = {"champion": {"digest": "sha256:c0", "name": "net:1"}, "challengers": [{"digest": ONE, "name": "net:2"}]}


def held(phase: Any, **more: Any) -> Held:
    return Held("r1", 1, "cells", POLICY, State("r1", phase, NOW, NOW, (ONE,), **more), 1, NOW, NOW, 0, NOW, NOW, 1, "", ABOUT)


def entry(kind: str, before: str, after: str, why: str) -> Entry:
    return Entry("r1", 1, NOW, kind, SYSTEM, before, after, why)


def breached(one: Held, log: list[Entry], now_ms: int = NOW) -> dict[str, str]:
    return {finding.name: finding.what for finding in judged(one, log, now_ms) if finding.verdict == "breach"}


def test_each_of_the_three_is_told_with_what_it_is_about():
    back = [entry("roll back", "canary 5%", "rolled back", "errors in line=test: at least 2.9% more"),
            entry("paged", "canary 5%", "rolled back", "x")]  # fmt: skip
    assert breached(held("rolled back"), back) == {"rollout-back": "net:2 was rolled back: errors in line=test: at least 2.9% more"}
    assert breached(held("rolled back"), back, NOW + TOLD_MS) == {}, "after an hour it is no news"
    late = [entry("paged", "canary 5%", "canary 5%", "nothing goes on after 14 days")]
    assert breached(held("canary", paged=("overdue",)), late) == {
        "rollout-paged": "The rollout of net:2 needs somebody: nothing goes on after 14 days"}  # fmt: skip
    asks = [entry("paged", "canary 5%", "canary 5%", "it waits for a person: promote")]
    assert breached(held("canary", asks="promote", paged=("approve promote",)), asks) == {
        "rollout-asks": "The rollout of net:2 asks a person for a yes: promote"}  # fmt: skip
    assert breached(held("canary"), []) == breached(held("promoted"), []) == {}


def test_the_figures_of_the_broken_limit_stand_in_the_alert():
    held_beyond = {"told": "beyond", "measure": "errors", "slice": "line=test", "rows": 103, "estimate": 0.16, "low": 0.04, "high": 0.37,
                   "limit": 0.02}  # fmt: skip
    log = [replace(entry("roll back", "canary 5%", "rolled back", "errors"), evidence={"verdicts": [{"told": "within"}, held_beyond]})]
    back = judged(held("rolled back"), log, NOW)[0]
    assert (back.value, back.low, back.high, back.limit) == (0.16, 0.04, 0.37, 0.02)
    assert back.evidence == {"rollout": "r1", "place": "rolled back", "measure": "errors", "slice": "line=test", "units": 103}


def test_one_that_its_gates_stopped_wakes_nobody():
    assert breached(held("rolled back"), [entry("roll back", "gates", "rolled back", "net:2: failed")]) == {}


def test_an_alert_fires_once_and_is_resolved_by_the_next_rollout():
    log = [entry("roll back", "canary 5%", "rolled back", "errors")]
    kept, told = alerts_after({}, RULES, judged(held("rolled back"), log, NOW), NOW, "cells")
    assert [(event.alert.name, event.alert.state, event.alert.severity) for event in told] == [("rollout-back", "firing", "critical")]
    kept, told = alerts_after(kept, RULES, judged(held("rolled back"), log, NOW + 1000), NOW + 1000, "cells")
    assert not told, "the same is not told twice"
    fresh = judged(held("canary"), [], NOW + 2000)
    kept, told = alerts_after(kept, RULES, fresh, NOW + 2000, "cells")
    kept, more = alerts_after(kept, RULES, fresh, NOW + 3000, "cells")
    assert [(event.alert.name, event.alert.state) for event in (*told, *more)] == [("rollout-back", "resolved")]


def test_the_newest_rollout_of_a_database_counts(tmp_path):
    with Database.open(tmp_path / "records.sqlite") as database:
        assert findings(database, "cells", NOW) == []
        prepare(database)
        assert findings(database, "cells", NOW) == []
        now = wall_ms()
        with database.write() as connection:
            made = begin(connection, "cells", POLICY, start(POLICY, "r1", now), ABOUT, "ana", "", now)
            made = move_on(connection, made, step(POLICY, made.state, "gates passed", now), now, now)
            move_on(connection, made, step(POLICY, made.state, "roll back", now, "complaints"), now, now, "rolled back by hand", "ana")
        (back,) = [finding for finding in findings(database, "cells", now) if finding.verdict == "breach"]
        assert back.name == "rollout-back" and "rolled back by ana: complaints" in back.what and back.evidence["rollout"] == "r1"
        assert back.severity == "info", "nobody is woken by what a person did on purpose"
        assert [rule.severity for rule in RULES if rule.name == back.name] == [None], "the finding says it"
        with database.write() as connection:
            begin(connection, "cells", POLICY, start(POLICY, "r2", now + 1), ABOUT, "ana", "", now + 1)
        assert all(finding.verdict == "ok" for finding in findings(database, "cells", now + 1))


def test_a_state_of_a_newer_version_is_told_and_stops_nobody(tmp_path):
    with Database.open(tmp_path / "records.sqlite") as database:
        prepare(database)
        with database.write() as connection:
            begin(connection, "cells", POLICY, start(POLICY, "r1", NOW), ABOUT, "ana", "", NOW)
            connection.execute(text("UPDATE rollouts SET state = '{\"novel\": 1}'"))
        (found,) = findings(database, "cells", NOW)
        assert found.verdict == "breach" and found.name == "rollout-paged"
