"""Records: what one costs on the request path, how many a second go into the database, and what a reader gets out of it.

    python benchmarks/bench_records.py [--records 40000] [--url postgresql://...]

A request path that is paced (a pause after every hundred records, as between requests) while the writer writes, and the same
with what a deployment may add: traits of a picture of 64 x 64, values of a boundary. Ingestion is from the first `put` to the moment
at which everything is durable, with every sync there is; the queue is as large as the run. Three rounds; the fastest second and the
median are shown. A record has one row of 8 numbers, two outputs and a receipt, made as an engine makes it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from portside.cloud.answering.consistency import Author
from portside.cloud.answering.note import About, Note
from portside.cloud.records.labelling import label
from portside.cloud.records.reading import after, labels_after
from portside.cloud.records.store import RecordStore
from portside.cloud.turns import short_turns
from portside.runtimes.timing import table
from portside.sdk.core.labels import Label
from portside.sdk.core.records import Receipt, new_id
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("x", "f32", ("batch", 8)),),
    (TensorSpec("label", "i64", ("batch",), categories=("good", "bad")), TensorSpec("confidence", "f32", ("batch",))),
)
PICTURES = Signature((TensorSpec("photo", "u8", ("batch", 64, 64, 3)),), SIGNATURE.outputs)
AUTHOR = Author(0, "model", "sha256:" + "1" * 64, "onnx-cpu", "sha256:" + "1" * 64, "sha256:" + "2" * 64, "champion", "model")
ROUNDS, PATH = 3, 2000
AIM_US, AIM_PER_S = 20.0, 40_000.0
Make = Callable[[], Note]


def maker(kind: str) -> Make:
    """Notes as the books of an engine make them: a receipt, an id, a tuple."""
    pictured = kind == "traits"
    about = About("bench", "sha256:" + "3" * 64, PICTURES if pictured else SIGNATURE, {"photo": "image"} if pictured else {})
    inputs = {"photo": np.zeros((1, 64, 64, 3), np.uint8)} if pictured else {"x": np.linspace(0, 1, 8, dtype=np.float32)[None]}
    outputs = {"label": np.array([1]), "confidence": np.array([0.75], np.float32)}
    tapped = {"features/features": np.linspace(0, 1, 16, dtype=np.float32)[None]} if kind == "boundary" else {}

    def make() -> Note:
        receipt = Receipt("model", AUTHOR.version, "onnx-cpu", 0, "primary", (), 1.5, 1.25, 50.0, True, False, new_id())
        return Note(receipt, "entity", None, None, AUTHOR, (), time.time_ns() // 1_000_000, about, inputs, outputs, tapped)

    return make


def on_the_path(where: Path | str, kind: str) -> dict[str, Any]:
    """Microseconds of one record on the request path: the note, its weight, the queue."""
    store, make = RecordStore(where), maker(kind)
    took: list[float] = []
    for number in range(PATH):
        began = time.perf_counter()
        kept = store.put(make())
        took.append((time.perf_counter() - began) * 1e6)
        assert kept
        if number % 100 == 99:
            time.sleep(0.02)
    assert store.flush(60) and store.lost == 0
    store.close()
    low, middle, high = statistics.quantiles(took, n=100)[24], statistics.median(took), statistics.quantiles(took, n=100)[98]
    return {"what": f"request path, {kind}", "unit": "us", "p25": round(low, 2), "median": round(middle, 2), "p99": round(high, 2),
            "aim": f"<= {AIM_US:g}", "held": middle <= AIM_US}  # fmt: skip


def ingested(where: Path | str, kind: str, count: int) -> dict[str, Any]:
    """Records a second that became durable, notes made beforehand."""
    rates: list[float] = []
    for _ in range(ROUNDS):
        store, make = RecordStore(where, size=count, size_bytes=1 << 40), maker(kind)
        notes = [make() for _ in range(count)]
        began = time.perf_counter()
        for note in notes:
            store.put(note)
        assert store.flush(120) and store.written == count, store.fault
        rates.append(count / (time.perf_counter() - began))
        store.close()
    best = max(rates)
    aim = {"aim": f">= {AIM_PER_S:g}", "held": statistics.median(rates) >= AIM_PER_S} if kind == "plain" else {"aim": "", "held": None}
    return {"what": f"ingested, {kind}", "unit": "records/s", "median": round(statistics.median(rates)), "best": round(best), **aim}


def read_back(where: Path | str, labels: int) -> list[dict[str, Any]]:
    """Records a second through a cursor, and labels a second in hundreds, each hundred durable."""
    store, cursor, seen, ids = RecordStore(where), 0, 0, list[str]()
    began = time.perf_counter()
    while batch := after(store.database, cursor, 1000):
        cursor, seen = batch[-1][0], seen + len(batch)
        ids += [record.id for _, record in batch[:50]]
        if seen >= 20_000:
            break
    read = seen / (time.perf_counter() - began)
    said = [Label(new_id(), ids[place % len(ids)], 0, {"label": "bad"}, "ana", 5) for place in range(labels)]
    began = time.perf_counter()
    for start in range(0, labels, 100):
        label(store.database, said[start : start + 100])
    wrote = labels / (time.perf_counter() - began)
    assert len(labels_after(store.database, 0, labels + 1)) == labels
    store.close()
    return [{"what": "read by a cursor", "unit": "records/s", "median": round(read), "aim": "", "held": None},
            {"what": "labelled, 100 at once", "unit": "labels/s", "median": round(wrote), "aim": "", "held": None}]  # fmt: skip


def measure(short: bool = False, count: int = 40_000, url: str | None = None) -> list[dict[str, Any]]:
    """SQLite, and PostgreSQL where a URL of an empty database is given (or in PORTSIDE_BENCH_POSTGRESQL)."""
    short_turns()  # as a serving process does
    count, rows = 8000 if short else count, list[dict[str, Any]]()
    url = url or os.environ.get("PORTSIDE_BENCH_POSTGRESQL")
    with tempfile.TemporaryDirectory() as folder:
        for database, where in (("sqlite", Path(folder) / "records.sqlite"), *((("postgresql", url),) if url else ())):
            found = [on_the_path(where, kind) for kind in ("plain", "traits", "boundary")]
            found += [ingested(where, "plain", count), ingested(where, "boundary", count // 4), ingested(where, "traits", count // 20)]
            rows += [{"database": database, **row} for row in [*found, *read_back(where, 1000 if short else 5000)]]
            print(f"{database} done", file=sys.stderr)
    return rows


def show(rows: list[dict[str, Any]]) -> str:
    """One line per figure."""
    head = ["database", "what", "unit", "median", "p25", "p99", "best", "aim", "held"]
    return table([head, *([str(row.get(name, "") if row.get(name) is not None else "") for name in head] for row in rows)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=40_000)
    parser.add_argument("--url", help="an empty PostgreSQL database")
    asked = parser.parse_args()
    print(show(measure(count=asked.records, url=asked.url)))
