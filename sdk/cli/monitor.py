"""`portside monitor`: watch a deployment, show what its monitor has found, replay records, export for Grafana and Prometheus."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

from ...cloud.deployment.file import Deployment, read
from ...cloud.deployment.resolving import reference_of
from ...cloud.monitoring import grafana, prometheus_rules, reading
from ...cloud.monitoring.about import About, about
from ...cloud.monitoring.process import main as keep
from ...cloud.monitoring.replay import Replay
from ...cloud.monitoring.sources import Replayed, Table, is_table, records_of, rows_of
from ...cloud.monitoring.tables import prepare
from ...cloud.records.database import Database
from ...cloud.records.finding import open_records
from ..core.errors import FormatError, InputError
from ..opening import open as open_package
from .console import Exit, Result, progress
from .monitor_text import moment, shown_alerts, shown_replay, shown_status

EXAMPLE = """
  portside monitor deployment.toml                        watch it here until Ctrl-C: [monitor] with run = "apart"
  portside monitor status deployment.toml                 what was served, drift, quality, budgets, alerts
  portside monitor alerts deployment.toml                 that fire, with evidence and the first step; exit code 1: one does
  portside monitor replay deployment.toml weather.csv --label rain --rows-per-minute 20
  portside monitor export deployment.toml --out monitoring     a Grafana dashboard and rules for Prometheus
"""
ACTIONS = ("status", "alerts", "replay", "export")
"""First words that are no deployment file."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, of which deployment."""
    parser.add_argument("words", nargs="+", metavar="[status|alerts|replay|export] DEPLOYMENT.toml [FILE ...]",
                        help="FILE: records (SQLite, .parquet) or a table (.csv, .parquet) to replay")  # fmt: skip
    parser.add_argument("--all", action="store_true", help="alerts: also those that are resolved")
    parser.add_argument("--out", type=Path, help="export: the folder to write to (default: monitoring); replay: keep its database here")
    parser.add_argument("--label", help="replay of a table: the column with the truth")
    parser.add_argument("--output", help="replay of a table: the output that the truth is about (default: the first one)")
    parser.add_argument("--time", help="replay of a table: the column that says when (default: rows come evenly)")
    parser.add_argument("--rows-per-minute", type=float, default=60.0, help="replay of a table without times (default: 60)")
    parser.add_argument("--minutes", type=int, default=1, help="replay: of the records' time between two rounds (default: 1)")


def run(args: argparse.Namespace) -> Result:
    """Do it. Raises FormatError, InputError."""
    action, words = (args.words[0], args.words[1:]) if args.words[0] in ACTIONS else ("watch", args.words)
    if not words or (len(words) > 1 and action != "replay"):
        raise InputError("One deployment file is needed", field="DEPLOYMENT.toml", got=" ".join(words) or "none")
    deployment = read(words[0])
    return {"watch": _watch, "status": _status, "alerts": _alerts, "replay": _replay, "export": _export}[action](deployment, args, words)


def _watch(deployment: Deployment, args: argparse.Namespace, words: list[str]) -> Result:
    progress(f"watching {deployment.name}; Ctrl-C ends it")
    keep(deployment.path)
    return Result({"deployment": deployment.name}, f"{deployment.name} is not watched any more")


def _status(deployment: Deployment, args: argparse.Namespace, words: list[str]) -> Result:
    with _opened(deployment) as database:
        status = reading.latest(database, deployment.name)
    data = {"deployment": status.deployment, "at_ms": status.at_ms, "monitored": status.monitored, "gauges": status.gauges,
            "last_hour": {"requests": status.last_hour.requests, "rows": status.last_hour.rows},
            "last_day": {"requests": status.last_day.requests, "rows": status.last_day.rows},
            "alerts": [alert.to_dict() for alert in status.alerts]}  # fmt: skip
    return Result(data, shown_status(status), Exit.DONE if status.at_ms else Exit.NOT_ENOUGH_DATA)


def _alerts(deployment: Deployment, args: argparse.Namespace, words: list[str]) -> Result:
    with _opened(deployment) as database:
        found = [alert for alert in reading.alerts(database, deployment.name) if args.all or alert.state != "resolved"]
    firing = any(alert.state == "firing" for alert in found)
    return Result([alert.to_dict() for alert in found], shown_alerts(found), Exit.NO if firing else Exit.DONE)


def _export(deployment: Deployment, args: argparse.Namespace, words: list[str]) -> Result:
    known, folder = about(deployment), args.out or Path("monitoring")
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        folder / f"{known.name}-grafana.json": json.dumps(grafana.dashboard(known), indent=2, ensure_ascii=False) + "\n",
        folder / f"{known.name}-rules.yml": prometheus_rules.rules(known),
    }
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return Result([str(path) for path in files], "\n".join(map(str, files)))


def _replay(deployment: Deployment, args: argparse.Namespace, words: list[str]) -> Result:
    if len(words) < 2 or args.minutes < 1 or not args.rows_per_minute > 0:
        raise InputError("A replay needs records, and time that passes", field="FILE", got=" ".join(words[1:]) or "no file")
    known = about(deployment)
    known = replace(known, settings=known.settings.model_copy(update={"webhook": None, "alertmanager": None, "otlp": None}))
    source = chain.from_iterable(_records(deployment, known, word, args) for word in words[1:])
    with _database(args.out) as database:
        result = Replay(database, known, args.minutes).run(source, _said())
    data = {"records": result.records, "labels": result.labels, "spans": result.spans, "events": list(result.events),
            "start_ms": result.start_ms, "end_ms": result.end_ms}  # fmt: skip
    return Result(data, shown_replay(result), Exit.DONE if result.records else Exit.NOT_ENOUGH_DATA)


def _records(deployment: Deployment, known: About, word: str, args: argparse.Namespace) -> Replayed:
    if not is_table(word):
        return records_of(word)
    champion = deployment.champion
    if champion is None:
        raise FormatError("Rows of a table are asked of a champion, and a graph has none", got=word, fix="Replay its records.")
    package = open_package(reference_of(deployment, champion.package), champion.digest, champion.trust)
    return rows_of(word, package, known.name, Table(args.label, args.output, args.time, args.rows_per_minute))


def _said(every: int = 5000) -> Callable[[int, int], None]:
    """Progress, now and then."""
    last = [0]

    def say(done: int, at_ms: int) -> None:
        if done - last[0] >= every:
            last[0] = done
            progress(f"{done} records, {moment(at_ms)}")

    return say


@contextmanager
def _database(out: Path | None) -> Generator[Database]:
    """A fresh database for a replay. Raises InputError where `out` is there already."""
    if out is not None and out.exists():
        raise InputError("A replay begins in a new file", field="out", got=str(out))
    with tempfile.TemporaryDirectory() as folder, Database.open(out or Path(folder) / "replay.sqlite") as database:
        yield database


@contextmanager
def _opened(deployment: Deployment) -> Generator[Database]:
    with open_records(deployment.path) as database:
        prepare(database)
        yield database
