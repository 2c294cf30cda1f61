"""What an answer of a graph leaves behind: its receipt and its record."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...sdk.core.records import UNANSWERED, Record
from ...sdk.core.signature import MISSING_CODE, Array
from ..answering.note import flags_kept, hidden_fields
from ..records.store import Draft
from .parts import Asked
from .receipts import GraphReceipt, StepReceipt, reason_of
from .resolving import ResolvedGraph


class GraphBooks:
    """The books of one graph.

    Args:
        resolved: the graph.
        deadline_ms: that its receipts are held against.
    """

    def __init__(self, resolved: ResolvedGraph, deadline_ms: float | None) -> None:
        self._name, self._digest, self._deadline_ms = resolved.deployment.name, resolved.digest, deadline_ms
        self._signature, self._outputs = resolved.signature, resolved.signature.outputs
        self._hidden = hidden_fields(resolved.signature)
        self._tensors = tuple(name for name, held in resolved.fields.items() if held.spec is not None)

    def receipt(self, asked: Asked, steps: tuple[StepReceipt, ...], good: bool = True) -> GraphReceipt:
        """Of the whole, with those of the steps. `good`: there is an answer."""
        attempts = tuple([f"{step.name}:{step.why}" for step in steps if step.fault])
        spent, whole = sum([step.time_ms for step in steps]), (time.monotonic() - asked.question.arrived) * 1e3
        deadline = self._deadline_ms
        return GraphReceipt(self._name if good else "", self._digest, "graph", 0, reason_of(steps), attempts, whole, spent, deadline,
                            deadline is None or whole <= deadline, record=asked.parent or "", steps=steps)  # fmt: skip

    def draft(self, asked: Asked, receipt: GraphReceipt, outputs: Mapping[str, Array], flags: Sequence[Any]) -> Draft:
        """The graph's record: tensors of the request, and what was answered. What a codec takes is in the records of the steps."""
        question, now_ms = asked.question, time.time_ns() // 1_000_000
        record = Record(
            receipt.record, now_ms, question.event_ms or now_ms, question.entity, deployment=self._digest, name=self._name,
            arm="champion" if receipt.reason == "primary" else "fallback", receipt=receipt.to_dict(),
            flags=flags_kept(flags, self._hidden),
        )  # fmt: skip
        inputs = {name: np.asarray(asked.wire[name]) for name in self._tensors if name in asked.wire}
        coded = {spec.name: _coded(outputs[spec.name], spec.categories) for spec in self._outputs if spec.name in outputs}
        return Draft(record, inputs, coded, self._signature)

    def unanswered(self, asked: Asked, receipt: GraphReceipt, flags: Sequence[Any]) -> Draft:
        """The record of a request that has no answer: as another one's, without outputs."""
        draft = self.draft(asked, receipt, {}, flags)
        return replace(draft, record=replace(draft.record, arm=UNANSWERED, decided_by="none", exposed=False))


def _coded(array: Array, categories: tuple[str, ...] | None) -> Array:
    """Names of categories as codes, as records keep them."""
    if categories is None:
        return array
    codes = {name: code for code, name in enumerate(categories)}
    flat = [codes.get(name, MISSING_CODE) for name in array.reshape(-1)]
    return np.asarray(flat, np.int64).reshape(array.shape)
