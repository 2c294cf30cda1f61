"""The outbox: what an append costs, what a record takes on the disk and on the line, how fast it goes home, what a summary saves.

    python benchmarks/bench_outbox.py [--records 4000]

Appends with the syncs of a power cut (synchronous = FULL, what the outbox does) and with those of a crash alone (NORMAL, which it does not,
because a power cut could give a number out twice). The way home is to a server process of its own, SQLite, over loopback; what is
acknowledged is durable there. Three rounds; the median is shown, with the slowest and the fastest. A record has 8 numbers and two outputs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from portside.cloud.fleet.devices import enrol
from portside.cloud.fleet.doors import FleetApp
from portside.edge.leaving import leaving
from portside.edge.outbox import Entry, Outbox
from portside.edge.outbox_writer import OutboxWriter
from portside.edge.summing import Summaries
from portside.edge.upload_http import Uploader, UploadSettings
from portside.runtimes.timing import table
from portside.sdk.core.records import Receipt, Record, new_id
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("x", "f32", ("batch", 8)),),
    (TensorSpec("label", "i64", ("batch",), categories=("good", "bad")), TensorSpec("confidence", "f32", ("batch",))),
)
ROUNDS, QUOTA = 3, 64 << 20
SERVER = """
import sys, uvicorn
from portside.cloud.fleet.doors import FleetApp
uvicorn.run(FleetApp(sys.argv[1]), port=int(sys.argv[2]), log_level="error")
"""


def records(count: int) -> list[Record]:
    """Answers as an agent makes them."""
    draw, now = np.random.default_rng(3), time.time_ns() // 1_000_000
    receipt = Receipt("model", "sha256:" + "1" * 64, "tflite", 0, "primary", (), 1.5, 1.25, 50.0, True).to_dict()
    blank: dict[str, Any] = {"package": "sha256:" + "1" * 64, "artifact": "sha256:" + "2" * 64, "deployment": "sha256:" + "3" * 64}
    made = []
    for _ in range(count):
        outputs = {"label": draw.integers(0, 2, 1), "confidence": draw.random(1, np.float32)}
        record = Record(new_id(), now, now, name="bench", receipt=receipt, **blank)
        made.append(leaving(record, {"x": draw.random((1, 8), np.float32)}, outputs, SIGNATURE))
    return made


def entries(count: int) -> list[Entry]:
    """The same as entries, not yet JSON."""
    return [Entry("record", record.to_dict(), record.id) for record in records(count)]


def appending(folder: Path, count: int, group: int, sync: str) -> float:
    """Entries a second."""
    with Outbox(folder / "outbox.sqlite", QUOTA) as outbox:
        outbox._store.connection.execute(f"PRAGMA synchronous = {sync}")
        given = entries(count)
        began = time.perf_counter()
        for start in range(0, count, group):
            outbox.append(given[start : start + group])
        return count / (time.perf_counter() - began)


def putting(folder: Path, count: int) -> tuple[float, float]:
    """(microseconds of a `put` on the way of an answer, entries a second until all are durable)."""
    with Outbox(folder / "outbox.sqlite", QUOTA) as outbox:
        writer, given = OutboxWriter(outbox, count), records(count)
        began = time.perf_counter()
        for record in given:
            writer.put("record", lambda record=record: Entry("record", record.to_dict(), record.id))
        path = time.perf_counter() - began
        writer.flush(60)
        whole = time.perf_counter() - began
        writer.close()
        return path / count * 1e6, count / whole


def going_home(folder: Path, count: int) -> tuple[float, float, float]:
    """(entries a second acknowledged, bytes of each on the disk, on the line)."""
    place = folder / "records.sqlite"
    app = FleetApp(place)
    key = enrol(app.desk.database, "cam-1", {}, 0)
    app.desk.close()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-c", SERVER, place, str(port)])
    try:
        _wait(port)
        with Outbox(folder / "outbox.sqlite", QUOTA) as outbox:
            outbox.append(entries(count))
            outbox._store._empty_log()
            size = (folder / "outbox.sqlite").stat().st_size / count
            line = len(gzip.compress(b",".join(one.body for one in outbox.batch(1 << 30, 500)))) / 500
            sender = Uploader(outbox, "cam-1", UploadSettings(f"http://127.0.0.1:{port}", key))
            began = time.perf_counter()
            if not sender.turn() or sender.sent != count:
                raise SystemExit(f"the upload failed: {sender.fault}")
            rate = count / (time.perf_counter() - began)
            sender.close()
            return rate, size, line
    finally:
        server.terminate()
        server.wait()


def summing(count: int) -> tuple[float, float]:
    """(microseconds an answer that is counted instead of sent, bytes of the summary an answer on the line)."""
    sums, given = Summaries("bench", SIGNATURE), records(count)
    began = time.perf_counter()
    for record in given:
        sums.add(record, 0.0)
    body = sums.due(0.0, closing=True)
    spent = time.perf_counter() - began
    return spent / count * 1e6, len(gzip.compress(json.dumps(body).encode())) / count


def _wait(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the server does not start")


def rounds(what: list[str], work: Callable[[Path], tuple[float, ...]]) -> list[dict[str, Any]]:
    """Each figure of the work: median, least and most."""
    found: list[tuple[float, ...]] = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            found.append(work(Path(folder)))
    return [{"what": name, "median": statistics.median(held), "least": min(held), "most": max(held)}
            for name, held in zip(what, zip(*found, strict=True), strict=True)]  # fmt: skip


def measure(short: bool = False, count: int = 4000) -> list[dict[str, Any]]:
    """Medians of three rounds; in short form of a tenth of the records."""
    count = count // 10 if short else count
    rows: list[dict[str, Any]] = []
    for group, sync in [(1, "FULL"), (1, "NORMAL"), (10, "FULL"), (100, "FULL"), (100, "NORMAL")]:
        some = min(count, 400) if group == 1 and sync == "FULL" else count
        rows += rounds([f"append {group} at once, {sync}, entries/s"],
                       lambda folder, some=some, group=group, sync=sync: (appending(folder, some, group, sync),))  # fmt: skip
    rows += rounds(["put on the way of an answer, us", "the same until durable, entries/s"], lambda folder: putting(folder, count))
    rows += rounds(["way home, entries/s acknowledged", "bytes of an entry on the disk", "bytes of an entry on the line, gzip"],
                   lambda folder: going_home(folder, count))  # fmt: skip
    return rows + rounds(["counted in a summary, us an answer", "bytes of the summary an answer, gzip"], lambda folder: summing(count))


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read."""
    said = [[row["what"], f"{row['median']:,.1f} ({row['least']:,.1f} to {row['most']:,.1f})"] for row in rows]
    return table([["what", f"median of {ROUNDS} rounds (range)"], *said])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=4000)
    print(show(measure(count=parser.parse_args().records)))


if __name__ == "__main__":
    main()
