"""Who answers, and how fast, while the champion is wedged, slow, throwing, nonsensical or killed under load.

    python benchmarks/bench_failover.py [--calls 1000] [--clients 8] [--deadline-ms 50] [--hold-breaker]

One server (process isolation, a backup on threads, a default behind it); clients in threads of this process with one kept
connection each. Prints a table, a line of JSON with --json, and exits 1 when a request failed. Latency is the client's, in
milliseconds; "in service" is the receipt's own time. Times on a shared machine swing: read the spread.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "cloud"))
import packages
import started as servers

from portside.runtimes.timing import table

FAULTS = ("ok", "wedge", "slow", "throw", "nan", "exit")
BODY = json.dumps(servers.ROW).encode()


def client(port: int, calls: int) -> list[tuple[int, dict[str, Any], float]]:
    """One client with one connection: (status, receipt, milliseconds) per call."""
    connection, got = http.client.HTTPConnection("127.0.0.1", port, timeout=30), []
    for _ in range(calls):
        started = time.perf_counter()
        connection.request("POST", "/predict", BODY, {"content-type": "application/json"})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        got.append((answer.status, body.get("receipt", {}), (time.perf_counter() - started) * 1e3))
    connection.close()
    return got


def act(server: servers.Server, calls: int, clients: int) -> list[tuple[int, dict[str, Any], float]]:
    """`calls` calls by `clients` clients at once."""
    with ThreadPoolExecutor(clients) as pool:
        parts = list(pool.map(lambda _: client(server.port, calls // clients), range(clients)))
    return [item for part in parts for item in part]


def row(fault: str, answers: list[tuple[int, dict[str, Any], float]], probes: int) -> dict[str, Any]:
    """One line of the table."""
    waited = np.array([ms for _, _, ms in answers])
    inside = np.array([receipt.get("time_ms", np.nan) for _, receipt, _ in answers])
    cut = np.array([receipt["time_ms"] for _, receipt, _ in answers if receipt.get("reason") == "deadline"])
    return {
        "fault": fault, "calls": len(answers), "failed": sum(status != 200 for status, _, _ in answers),
        "p50": float(np.percentile(waited, 50)), "p99": float(np.percentile(waited, 99)), "max": float(waited.max()),
        "inside_p99": float(np.percentile(inside, 99)), "cut_p99": float(np.percentile(cut, 99)) if len(cut) else None, "cut": len(cut),
        "by": dict(Counter(receipt.get("model", "nobody") for _, receipt, _ in answers).most_common()),
        "why": dict(Counter(receipt.get("reason", "?") for _, receipt, _ in answers).most_common()), "probes": probes,
    }  # fmt: skip


def measure(calls: int = 1000, clients: int = 8, deadline_ms: int = 50, hold_breaker: bool = False) -> list[dict[str, Any]]:
    """Every fault in turn on one server; before each the champion must answer again. A held breaker never opens: all calls are cut."""
    text = packages.DEPLOYMENT.replace("failures = 3", "failures = 1000000") if hold_breaker else packages.DEPLOYMENT
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder) / "fault"
        control.write_text("ok")
        os.environ |= {"PORTSIDE_FAULT": str(control), "PORTSIDE_HOME": str(Path(folder) / "home")}
        file, rows = packages.deployment(Path(folder) / "d", deadline=deadline_ms, text=text), []
        with servers.serving(servers.SERVE, file.parent) as server:
            act(server, 10 * clients, clients)
            for fault in ("slow",) if hold_breaker else FAULTS:
                control.write_text("ok")
                server.wait_for("primary", 60)
                control.write_text(fault)
                answers = act(server, calls, clients)
                control.write_text("ok")
                rows.append(row(fault, answers, recovery(server)))
    return rows


def recovery(server: servers.Server) -> int:
    """Probes that failed after the fault was lifted, until the champion answered: 0 is "the first probe succeeded"."""
    failed = 0
    for _ in range(4000):
        reason = server.ask()[1].get("receipt", {}).get("reason")
        if reason == "primary":
            return failed
        failed += reason not in ("breaker-open", "down")
        time.sleep(0.01)
    return -1


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read; times in ms, as the client sees them and as the receipts state them."""
    head = ["champion", "calls", "failed", "p50", "p99", "max", "in service p99", "cut at the deadline", "their p99", "failed probes",
            "answered by, why"]  # fmt: skip
    return table([head, *map(_line, rows)])


def _line(row: dict[str, Any]) -> list[str]:
    cut = [str(row["cut"]), f"{row['cut_p99']:.1f}" if row["cut"] else "-"]
    figures = [f"{row[key]:.1f}" for key in ("p50", "p99", "max", "inside_p99")]
    return [row["fault"], str(row["calls"]), str(row["failed"]), *figures, *cut, str(row["probes"]), f"{row['by']} {row['why']}"]


def main() -> int:
    """Measure and print; 1 when a request failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--deadline-ms", type=int, default=50)
    parser.add_argument("--hold-breaker", action="store_true", help="only the slow champion, with a breaker that never opens")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.calls, options.clients, options.deadline_ms, options.hold_breaker)
    print(f"{options.clients} clients, deadline {options.deadline_ms} ms, {os.cpu_count()} CPUs")
    print(show(rows))
    if options.json:
        print(json.dumps(rows))
    return 1 if any(item["failed"] for item in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
