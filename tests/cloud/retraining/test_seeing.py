"""What the triggers are told, on both databases: labels of this deployment's traffic, alerts that fire, packages in the store."""

import json

import pytest
from released import made

from portside.cloud.alerts.state import Alert
from portside.cloud.deployment.retrain import Retrain
from portside.cloud.monitor import Finding
from portside.cloud.monitoring.tables import ALERTS, prepare
from portside.cloud.records.database import Database
from portside.cloud.records.draft import Draft
from portside.cloud.records.labelling import label
from portside.cloud.records.store import RecordStore
from portside.cloud.retraining.run import Runs
from portside.cloud.retraining.seeing import see, settings_of, upstream_of
from portside.cloud.retraining.triggers import DAY_MS, HOUR_MS, Past
from portside.sdk.core.labels import Label
from portside.sdk.core.records import Record, uuid7
from portside.sdk.core.signature import Signature
from portside.sdk.store import Store

NOW = 1_700_000_000_000


def name(number):
    return uuid7(NOW + number, bytes(10))


def fill(place):
    """Records 0 to 5 of "tester", 6 of another deployment, 7 a shadow; all are labelled, some twice, some late."""
    store = RecordStore(place)
    for number in range(8):
        more = {"exposed": False} | ({"arm": "shadow"} if number == 7 else {"decided_by": "both"}) if number > 4 else {}
        record = Record(name(number), NOW + number * DAY_MS, NOW + number * DAY_MS, name="other" if number == 6 else "tester", **more)
        store.put(Draft(record, {}, {}, Signature((), ())))
    store.close()
    database = Database.open(place)
    label(database, [Label(uuid7(NOW + number, b"b" * 10), name(number), 0, {"label": 1}, "ana", NOW + number * DAY_MS + 5)
                     for number in range(8)])  # fmt: skip
    label(database, [Label(uuid7(NOW + 9, b"c" * 10), name(1), 0, {"label": 0}, "ben", NOW + 20 * DAY_MS)])
    return database


def test_labels_are_rows_of_the_traffic_each_once(place):
    with fill(place) as database:
        found = see(database, "tester", Retrain(command="x"), Past(), NOW + 30 * DAY_MS)
        assert (found.labels, found.rows, found.first_ms, found.alerts, found.upstream) == (6, 6, NOW + 5, (), {})
        since = see(database, "tester", Retrain(command="x"), Past(done_ms=NOW + 4 * DAY_MS), NOW + 30 * DAY_MS)
        assert (since.labels, since.rows) == (3, 6)  # of days 4 and 5, and the one that was corrected since
        few = see(database, "tester", Retrain(command="x", rows={"days": 26.5}), Past(), NOW + 30 * DAY_MS)
        assert few.rows == 2
        assert see(database, "nobody", Retrain(command="x"), Past(), NOW).first_ms is None


def test_alerts_that_fire_are_seen_and_others_not(place):
    with fill(place) as database:
        prepare(database)
        finding = Finding("drift", "in.x", 0.3, "breach", "it moved")
        for key, state, deployment in (("a", "firing", "tester"), ("b", "resolved", "tester"), ("c", "firing", "other")):
            alert = Alert(key, deployment, "drift", f"in.{key}", state, NOW, NOW, "critical", finding, NOW)
            with database.write() as connection:
                connection.execute(ALERTS.insert().values(deployment=deployment, name="drift", subject=f"in.{key}", id=key, state=state,
                                                          since_ms=NOW, severity="critical", data=json.dumps(alert.to_dict())))  # fmt: skip
        found = see(database, "tester", Retrain(command="x"), Past(), NOW)
    assert [(fired.id, fired.name, fired.subject, fired.since_ms) for fired in found.alerts] == [("a", "drift", "in.a", NOW)]


def test_upstream_packages_are_remembered_from_the_first_look_on(tmp_path):
    Store().push(made(tmp_path, "main"))
    runs = Runs(tmp_path / "runs")
    assert upstream_of(["main:1", "nowhere:1"]) == {"main:1": Store().resolve("main:1")}
    runs.note_upstream(upstream_of(["main:1"]))
    runs.note_upstream({"main:1": "sha256:other", "backbone": "sha256:new"})
    assert runs.past().upstream == {"main:1": Store().resolve("main:1"), "backbone": "sha256:new"}
    done = runs.save(runs.begin("tester", NOW, upstream={"main:1": "sha256:other"}), stage="done")
    assert runs.past() == Past(NOW, NOW, frozenset(), {"main:1": "sha256:other"}) and runs.unfinished() is None
    assert runs.all() == [done]


def test_the_section_in_milliseconds():
    section = Retrain(command=["python", "a b.py"], every_days=0.5, cooldown_hours=2.0, on_alerts=[], on_upstream=["a:1"], on_labels=7)
    found = settings_of(section)
    assert (found.every_ms, found.cooldown_ms, found.on_labels) == (DAY_MS // 2, 2 * HOUR_MS, 7)
    assert (found.on_alerts, found.on_upstream) == ((), ("a:1",))
    assert section.words == ["python", "a b.py"] and Retrain(command="python 'a b.py'").words == section.words


@pytest.mark.parametrize("wrong", [{"command": " "}, {"command": []}, {"command": "x", "rows": {"fractions": {"train": 1.0}}},
                                   {"command": "x", "rows": {"fractions": {"train": 0.5, "test": 0.4}}}])  # fmt: skip
def test_a_section_that_cannot_be_meant_is_refused(wrong):
    with pytest.raises(ValueError, match=r"command|fractions|at least 1"):
        Retrain(**wrong)
