"""Records as tests write them."""

from __future__ import annotations

from typing import Any

import numpy as np

from portside.cloud.records.store import Draft, RecordStore
from portside.sdk.core.labels import Label
from portside.sdk.core.records import Receipt, Record, new_id
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(TensorSpec("x", "f32", ("batch", 2)), TensorSpec("secret", "f32", ("batch",), redact=True)),
    outputs=(TensorSpec("y", "f32", ("batch",)), TensorSpec("label", "i64", ("batch",), categories=("mono", "poly"), missing=True)),
)
NAME, DIGEST = "cells", "sha256:d"


def draft(entity: str | None = None, rows: int = 1, **more: Any) -> Draft:
    """A record of `rows` rows; `more`: other fields."""
    receipt = Receipt("m", "sha256:1", "onnx-cpu", 0, "primary", time_ms=1.5).to_dict()
    given = {"id": new_id(), "server_ms": 5, "event_ms": 4, "package": "sha256:p", "artifact": "sha256:a", "deployment": DIGEST,
             "name": NAME, "receipt": receipt, "flags": ({"field": "x"},)}  # fmt: skip
    record = Record(entity=entity, **{**given, **more})
    inputs = {"x": np.array([[1, np.nan]] * rows, np.float32), "secret": np.full(rows, 1234.5, np.float32)}
    return Draft(record, inputs, {"y": np.full(rows, 0.5, np.float32), "label": np.arange(rows) % 2}, SIGNATURE)


def filled(place: object, drafts: list[Draft], known: bool = True) -> list[str]:
    """Write drafts, durably; their ids."""
    store = RecordStore(place)  # type: ignore[arg-type]
    if known:
        store.introduce(NAME, DIGEST, SIGNATURE)
    assert all(store.put(item) for item in drafts) and store.flush() and store.lost == 0, store.fault
    store.close()
    return [item.record.id for item in drafts]


def label(record: str, row: int = 0, **more: Any) -> Label:
    """A label by ana."""
    return Label(**{"id": new_id(), "record": record, "row": row, "values": {"label": 1}, "author": "ana", "at_ms": 10, **more})
