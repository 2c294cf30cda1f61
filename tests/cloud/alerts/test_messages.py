"""What is told, as CloudEvents and as Alertmanager wants it."""

from __future__ import annotations

import json
from dataclasses import replace

from portside.cloud.alerts.messages import alertmanager, cloud_event, moment
from portside.cloud.alerts.rule import Rule
from portside.cloud.alerts.state import Alert, Event, advance
from portside.cloud.monitor import Finding

FOUND = Finding("drift", "in.x", float("nan"), "breach", "x moved", evidence={"records": ["r1", "r2"], "plot": {"kind": "bars"}})


def fired() -> tuple[Alert, Event]:
    alert, event = advance(None, Rule("drift", "drift", runbook="look at x"), FOUND, 1_700_000_000_123, "cells")
    assert alert is not None and event is not None
    return alert, event


def test_a_cloud_event_has_what_the_specification_demands():
    _, event = fired()
    body = cloud_event(event)
    assert {"specversion", "id", "source", "type"} <= set(body) and body["specversion"] == "1.0"
    assert body["id"] == event.id and body["type"] == "portside.alert.firing" and body["time"] == "2023-11-14T22:13:20.123Z"
    assert body["data"]["records"] == ["r1", "r2"] and body["data"]["runbook"] == "look at x" and body["data"]["value"] is None
    assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_alertmanager_gets_labels_that_stay_and_times_that_end():
    alert, _ = fired()
    (firing,) = alertmanager([alert], 1_700_000_060_000)
    assert firing["labels"] == {"alertname": "drift", "deployment": "cells", "subject": "in.x", "severity": "warning"}
    assert firing["startsAt"] == moment(1_700_000_000_123) and firing["endsAt"] == moment(1_700_000_360_000)
    (ended,) = alertmanager([replace(alert, state="resolved", since_ms=1_700_000_900_000)], 1_700_000_960_000)
    assert ended["labels"] == firing["labels"] and ended["startsAt"] == firing["startsAt"] and ended["endsAt"] == moment(1_700_000_900_000)


def test_what_is_pending_is_not_told():
    alert, _ = fired()
    assert alertmanager([replace(alert, state="pending")], 0) == []


def test_an_alert_about_everything_has_no_subject():
    alert, _ = advance(None, Rule("records-lost", "records-lost"), Finding("records-lost", value=3.0, verdict="breach"), 0, "cells")
    assert alert is not None and "subject" not in alertmanager([alert], 0)[0]["labels"]
