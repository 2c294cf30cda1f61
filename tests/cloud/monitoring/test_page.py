"""What is shown and exported: Prometheus text, OpenTelemetry, a Grafana dashboard, rules."""

from __future__ import annotations

import json
import re
import threading
import time

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from watched import MINUTE, NAME, START, Watch, about, record, stream, write

from portside.cloud.monitoring import grafana, prometheus_rules
from portside.cloud.monitoring.gauges import ABOUT
from portside.cloud.monitoring.otlp import exported
from portside.cloud.monitoring.page import STALE_MS, Page, text
from portside.cloud.records.database import Database
from portside.sdk.core.errors import FormatError

SETTINGS = {"slo": {"p99_ms": 20.0, "availability": 0.99}, "spans": {"rows": 100, "minutes": 60}, "drift": {"looks_a_month": 1000},
            "quality": {"label": {"min_accuracy": 0.9}}}  # fmt: skip


@pytest.fixture
def watch(quick):
    held = Watch(quick, about(**SETTINGS))
    write(quick, [*stream(300), record(900, START + 60_000, flags=({"field": 'x"\n\\', "why": "range", "row": 0},), time_ms=99.0)])
    held.until(START + 7 * MINUTE)
    return held


def test_the_page_is_prometheus_text_with_the_deployments_name(watch, quick):
    lines = Page({NAME: lambda: quick}, lambda: watch.now).read()
    families = {family.name: family for family in text_string_to_metric_families("\n".join(lines) + "\n")}
    assert {sample.labels["deployment"] for family in families.values() for sample in family.samples} == {NAME}
    assert families["portside_monitor_window_requests"].samples[0].value == 301
    assert families["portside_monitor_flagged_rows"].samples[0].labels["field"] == 'x"\n\\'
    assert families["portside_monitor_up"].samples[0].value == 1
    assert all(family.documentation for family in families.values())


def test_old_figures_are_not_shown_and_a_database_that_is_gone_is_nobody_who_watches(watch, quick):
    def gone():
        raise FormatError("no database")

    page = Page({NAME: lambda: quick, "other": gone}, lambda: watch.now + STALE_MS + 1)
    assert [line for line in page.read() if not line.startswith("#")] == [
        'portside_monitor_up{deployment="cells"} 0', 'portside_monitor_up{deployment="other"} 0']  # fmt: skip


def test_the_page_never_waits(tmp_path):
    def slow():
        gate.wait(60)
        return Database.open(tmp_path / "records.sqlite")

    gate, page = threading.Event(), Page({NAME: slow})
    began = time.monotonic()
    assert page.lines() == [] and time.monotonic() - began < 30
    gate.set()
    ends = time.monotonic() + 60
    while not page.lines() and time.monotonic() < ends:
        time.sleep(0.05)
    assert page.lines()[-1] == 'portside_monitor_up{deployment="cells"} 0'
    page.close()


def test_every_figure_says_what_it_is(watch):
    assert {name for name, _ in watch.pipeline.figures} <= set(ABOUT)
    assert text([("portside_monitor_up", "{}", 1.0)])[0] == "# HELP portside_monitor_up A monitor acts."


def test_open_telemetry_gets_gauges_in_the_json_of_its_protocol(watch):
    body = exported(watch.pipeline.figures, NAME, watch.now)
    (resource,) = body["resourceMetrics"]
    assert {"key": "service.name", "value": {"stringValue": NAME}} in resource["resource"]["attributes"]
    metrics = {metric["name"]: metric["gauge"]["dataPoints"] for metric in resource["scopeMetrics"][0]["metrics"]}
    (point,) = metrics["portside_monitor_window_requests"]
    assert point == {"timeUnixNano": str(watch.now * 1_000_000), "asDouble": 301.0, "attributes": []}
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    assert sum(map(len, metrics.values())) == len(watch.pipeline.figures)


def test_the_dashboard_asks_only_for_metrics_there_are():
    board = grafana.dashboard(about(**SETTINGS))
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    names = {name for panel in panels for target in panel["targets"] for name in re.findall(r"portside_\w+", target["expr"])}
    served = {"portside_requests_total", "portside_request_seconds_bucket", "portside_refused_total", "portside_failovers_total"}
    assert names - served <= set(ABOUT) and len(panels) == 15 and len({panel["id"] for panel in board["panels"]}) == 20
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places) and all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"])
    assert json.loads(json.dumps(board)) == board and board["uid"] == grafana.dashboard(about())["uid"]


def test_the_rules_are_yaml_with_one_alert_for_each_of_the_deployments():
    known = about(alert=[{"name": "dark.photos", "when": "too-dark", "runbook": 'say "stop": now'}])
    (group,) = yaml.safe_load(prometheus_rules.rules(known))["groups"]
    alerts = {rule["alert"]: rule for rule in group["rules"]}
    assert len(alerts) == len(known.rules) + 1
    assert alerts["PortsideDarkPhotos"]["annotations"]["runbook"] == 'say "stop": now'
    assert alerts["PortsideDarkPhotos"]["expr"].endswith('(portside_alert{deployment="cells",alert="dark.photos"}) == 1')
    assert alerts["PortsideMonitorSilent"]["for"] == "5m"
