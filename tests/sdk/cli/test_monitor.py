"""`portside monitor`: what it shows and writes, and its exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import portside as ps
from portside.cloud.deployment.file import read
from portside.cloud.monitoring.about import about
from portside.cloud.monitoring.pipeline import Pipeline
from portside.cloud.monitoring.reading import Status
from portside.cloud.monitoring.tables import prepare
from portside.cloud.monitoring.turn import Turn
from portside.cloud.records.database import Database
from portside.sdk.cli.main import main
from portside.sdk.cli.monitor_text import shown_status
from portside.sdk.core.window import Window


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment of a small package, with a table of rows in which x moves away at row 300."""
    import torch

    class Net(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return {"label": (x > 0).long(), "score": torch.sigmoid(x)}

    folder = tmp_path_factory.mktemp("monitor")
    draws = np.random.default_rng(0).normal(size=2000).astype(np.float32)
    ps.pack(Net(), name="net", examples={"x": draws}, out=folder / "net")
    (folder / "deployment.toml").write_text(
        'name = "nets"\n[champion]\npackage = "net"\n[monitor]\nspans = { rows = 50, minutes = 60 }\nwebhook = "http://127.0.0.1:9/"\n'
        "drift = { looks_a_month = 1000 }\nslo = { p99_ms = 200 }\n"
    )
    rows = np.concatenate([draws[:300], draws[300:600] + 4])
    (folder / "rows.csv").write_text("x,truth\n" + "".join(f"{x:.4f},{int(x > 0)}\n" for x in rows))
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, Any]:
    code = main(["monitor", *map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_replay_shows_what_would_have_been_told(folder, capsys, tmp_path):
    words = ("replay", folder / "deployment.toml", folder / "rows.csv", "--label", "truth", "--rows-per-minute", 10)
    code, told = run(capsys, *words, "--out", tmp_path / "kept.sqlite")
    assert code == 0 and told["records"] == 600 and told["labels"] == 600
    assert [event["name"] for event in told["events"] if event["subject"] == "in.x"][:1] == ["drift"]
    assert (tmp_path / "kept.sqlite").stat().st_size > 10_000
    assert run(capsys, *words, "--out", tmp_path / "kept.sqlite")[0] == 2, "it begins in a new file"
    assert main(["monitor", *map(str, words)]) == 0
    assert "firing" in capsys.readouterr().out


def test_status_and_alerts_of_what_a_monitor_wrote(folder, capsys):
    path = folder / "deployment.toml"
    assert run(capsys, "status", path)[0] == 3, "there are no records yet"
    with Database.open(folder / "records.sqlite") as database:
        prepare(database)
        assert run(capsys, "status", path)[0] == 4
        pipeline = Pipeline(Turn(database, "nets"), about(read(path)), lambda: 1_800_000_000_000)
        from portside.cloud.alerts.state import Alert
        from portside.cloud.monitor import Finding
        from portside.cloud.monitoring.raising import save

        pipeline.step()
        found = Finding("drift", "in.x", 0.5, "breach", "x moved", evidence={"records": ["r1", "r2", "r3", "r4"]})
        alert = Alert("a", "nets", "drift", "in.x", "firing", 1_800_000_000_000, 1_800_000_000_000, "warning", found, 0, "look at x")
        with database.write() as connection:
            old = replace(alert, name="old", subject="", state="resolved")
            save(connection, "nets", {}, {alert.key: alert, ("old", ""): old}, [], [], 0)
    code, status = run(capsys, "status", path)
    assert code == 0 and status["monitored"] and status["alerts"][0]["name"] == "drift"
    code, alerts = run(capsys, "alerts", path)
    assert code == 1 and [alert["name"] for alert in alerts] == ["drift"]
    assert [alert["name"] for alert in run(capsys, "alerts", path, "--all")[1]] == ["drift", "old"]
    assert main(["monitor", "alerts", str(path)]) == 1
    shown = capsys.readouterr().out
    assert "FIRING  drift (in.x)" in shown and "first: look at x" in shown and "records: r1, r2, and 2 more with --json\n" in shown


def test_export_writes_a_dashboard_and_rules(folder, capsys, tmp_path):
    code, files = run(capsys, "export", folder / "deployment.toml", "--out", tmp_path / "out")
    assert code == 0 and [Path(file).name for file in files] == ["nets-grafana.json", "nets-rules.yml"]
    assert json.loads(Path(files[0]).read_text())["title"] == "Portside: nets"
    assert yaml.safe_load(Path(files[1]).read_text())["groups"][0]["name"] == "portside-nets"


@pytest.mark.parametrize("words", [("status",), ("status", "a.toml", "b.toml"), ("replay", "deployment.toml"), ("nothing.toml",)], ids=str)
def test_what_is_not_meant_is_refused(folder, capsys, monkeypatch, words):
    monkeypatch.chdir(folder)
    code, error = run(capsys, *words)
    assert code in (2, 3) and error["what"]


def test_a_deployment_without_records_is_not_monitored(folder, capsys, tmp_path):
    path = tmp_path / "deployment.toml"
    path.write_text('name = "nets"\n[champion]\npackage = "net"\n[monitor]\n[records]\nenabled = false\n')
    code, error = run(capsys, "status", path)
    assert code != 0 and "reads records" in error["what"]


def test_a_budget_that_is_gone_is_overspent() -> None:
    left = {json.dumps({"subject": name}): value for name, value in (("availability", -0.35), ("p99_ms", 0.2), ("in_time", -1e-12))}
    shown = shown_status(Status("nets", 0, True, Window(), Window(), {"portside_monitor_slo_budget_left": left}, []))
    rows = [line.split(maxsplit=1) for line in shown.splitlines() if line.split()[:1] in (["availability"], ["p99_ms"], ["in_time"])]
    told = [(name, text.strip()) for name, text in rows]
    assert told == [("availability", "overspent by 35.0%"), ("in_time", "0.0%"), ("p99_ms", "20.0%")]


def test_where_no_monitor_was_nothing_is_said_to_be_zero():
    shown = shown_status(Status("nets", 0, False, Window(), Window(), {}, []))
    assert "nets" in shown and "[monitor]" in shown and "0 requests" not in shown
