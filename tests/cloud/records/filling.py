"""Run under `lost_writes.c`: a disk that is full for a while, seen by the record writer and by the engine in front of it.

    python filling.py FOLDER LIBRARY

Prints JSON: what was answered, counted, and found in the end.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import faulty

from portside.cloud.answering.answers import Question
from portside.cloud.answering.chain import ModelEntry
from portside.cloud.answering.engine import Engine
from portside.cloud.records.labelling import label
from portside.cloud.records.reading import records
from portside.cloud.records.store import RecordStore
from portside.runtimes.isolation import Lane
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.errors import StoreError
from portside.sdk.core.failover import Entry, Policy
from portside.sdk.core.labels import Label
from portside.sdk.core.records import new_id

QUEUE, REQUESTS = 300, 1500


def main() -> None:
    folder, library = Path(sys.argv[1]), ctypes.CDLL(sys.argv[2])
    library.fault_arm.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_long, ctypes.c_int)
    live, synced = folder / "live", folder / "synced"
    live.mkdir()
    synced.mkdir()
    store = RecordStore(live / "records.sqlite", size=QUEUE)
    entry = ModelEntry("m", "sha256:m", "fake", "", "f", faulty.SIGNATURE, Codec(), Lane(faulty.Faulty(folder / "none"), threads=0))
    engine = Engine((entry,), Policy((Entry("model"),)), records=store, deployment="sha256:d", name="shop")

    def ask(count: int) -> int:
        async def go() -> int:
            wire = {"x": [[1.0, 2.0]] * 50}
            return sum([(await engine.answer(Question(wire, time.monotonic()))).receipt.reason == "primary" for _ in range(count)])

        return asyncio.run(go())

    ask(10)
    assert store.flush()
    library.fault_arm(str(live).encode(), str(synced).encode(), -1, os.open(os.devnull, os.O_WRONLY))
    library.fault_full(1)
    found = {"answered": ask(REQUESTS)}
    ends = time.monotonic() + 10
    while not store.failing and time.monotonic() < ends:
        time.sleep(0.02)
    found |= {"failing": store.failing, "fault": store.fault, "lost": store.lost, "page": engine.metrics.text()}
    said = Label(new_id(), "r", values={"y": 1}, author="ana", at_ms=5)
    try:
        label(store.database, [said, *(Label(new_id(), "r" * 5000, values={"y": 1}, author="ana", at_ms=5) for _ in range(50))])
    except StoreError as error:
        found["refused"] = str(error)
    library.fault_full(0)
    found["again"] = label(store.database, [said])
    assert store.flush(20)
    engine.close()
    found |= {"healed": not store.failing, "written": store.written, "lost in all": store.lost, "held": len(list(records(store.where)))}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
