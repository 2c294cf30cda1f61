"""One step, asked: its inputs gathered, cut into parts where it is split, answered by its engine, put together again."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...sdk.core.chain_answers import default_outputs
from ...sdk.core.errors import InputError, PortsideError
from ...sdk.core.records import Receipt
from ...sdk.core.refusal import refusal
from ..answering.answers import Answer, Answerer, NoAnswerError, OverloadedError, Question
from .fitting import RequestField
from .parts import Asked, Ended, Found, begun, given, joined, why_of
from .plan import DEADLINE, Start
from .receipts import StepReceipt, bounded
from .references import REQUEST
from .resolving import ResolvedStep
from .rows import Answered, Missing, Results, Rows, take

_PREFIX = re.compile(r"'[^']*'(, row \d+)?: ")
"""How a refusal begins, see sdk/core/refusal.py."""


class StepRunner:
    """A step with its engine.

    Args:
        step: checked.
        engine: answers for the step's package and its fallback.
        fields: of the request.
    """

    def __init__(self, step: ResolvedStep, engine: Answerer, fields: dict[str, RequestField]) -> None:
        self.name, self.engine, self._step, self._fields = step.plan.name, engine, step, fields
        self._axes = {spec.name: spec.batch_axis for spec in engine.signature.outputs}
        split = step.settings.split
        self._part_rows, self._ready = (split.rows, split.ready) if split is not None else (0, 0.0)
        self._deadline_ms = step.resolved.deployment.failover.deadline_ms
        self._behind = self._typed()

    async def run(self, asked: Asked, start: Start, results: Results, ends: float | None) -> Ended:
        """Answer these rows.

        Args:
            asked: the request.
            start: rows and budget.
            results: of the steps before.
            ends: monotonic seconds; what is not there by then is given up.

        Raises InputError where a field of the request is at fault.
        """
        began = time.monotonic()
        count = asked.total if start.rows is None else len(start.rows)
        if not self._part_rows or count <= self._part_rows:
            parts = [await self._ask(asked, start.rows, start.budget_ms, results)]
            return self._ended(asked, start, [start.rows], parts, began)
        whole = np.arange(asked.total) if start.rows is None else start.rows
        pieces: list[Rows] = [whole[at : at + self._part_rows] for at in range(0, count, self._part_rows)]
        tasks = [begun(self._ask(asked, piece, start.budget_ms, results)) for piece in pieces]
        try:
            await asyncio.wait(tasks, timeout=None if ends is None else max(ends - time.monotonic(), 0.0))
        finally:
            late = [task for task in tasks if not task.done()]
            for task in late:
                task.cancel()
        if late:
            await asyncio.wait(late)
        found = [DEADLINE if task.cancelled() else task.result() for task in tasks]
        return self._ended(asked, start, pieces, found, began)

    def filled(self, asked: Asked, rows: Rows, why: str, began: float) -> Ended:
        """The step's default for these rows."""
        count = asked.total if rows is None else len(rows)
        default = self._step.default
        assert default is not None  # noqa: S101  the plan says so
        outputs = default_outputs(default, self.engine.signature, count)
        receipt = StepReceipt(self.name, "default", why, count, count, (began - asked.question.arrived) * 1e3)
        return Ended(Answered(rows, outputs, self._axes), receipt)

    def lost(self, asked: Asked, start: Start, why: str, began: float) -> Ended:
        """A step that was given up: its default where it has one, else nothing."""
        if self._step.default is not None:
            return self.filled(asked, start.rows, why, began)
        count = asked.total if start.rows is None else len(start.rows)
        times = (began - asked.question.arrived) * 1e3, (time.monotonic() - began) * 1e3
        return Ended(Missing(why, fault=True), StepReceipt(self.name, "failed", why, 0, count, *times))

    async def _ask(self, asked: Asked, rows: Rows, budget_ms: float | None, results: Results) -> Found:
        """One part: the engine's answer, its refusal, or the word for a fault of the graph's own making."""
        question, now = asked.question, time.monotonic()
        behind = 0.0 if self._deadline_ms is None or budget_ms is None else (self._deadline_ms - budget_ms) / 1e3
        wire = self._wire(asked, rows, results)
        try:
            return await self.engine.answer(Question(wire, now, question.entity, question.event_ms, asked.parent, max(behind, 0.0)))
        except InputError as error:
            refused = self._refused(error, rows)
            if refused is not None:
                raise refused from error
            return "failed"
        except NoAnswerError as error:
            return error
        except PortsideError:
            return "failed"

    def _wire(self, asked: Asked, rows: Rows, results: Results) -> dict[str, Any]:
        wire: dict[str, Any] = {}
        for name, source in self._step.feeds.items():
            if source.step == REQUEST:
                if source.name in asked.wire:
                    wire[name] = take(asked.wire[source.name], rows, self._fields[source.name].axis)
            else:
                wire[name] = given(results[source.step], source, rows, asked.total)
        return wire

    def _ended(self, asked: Asked, start: Start, pieces: Sequence[Rows], found: Sequence[Found], began: float) -> Ended:
        """Put the parts together."""
        if len(found) == 1 and isinstance(one := found[0], Answer) and one.receipt.entry == 0:
            return self._whole(asked, start, one, began)
        answers = [(rows, one) for rows, one in zip(pieces, found, strict=True) if isinstance(one, Answer)]
        count = asked.total if start.rows is None else len(start.rows)
        kept = count if len(answers) == len(pieces) else sum(len(rows) for rows, _ in answers if rows is not None)
        receipts = tuple(bounded(one.receipt, start.budget_ms) for one in found if isinstance(one, Answer | NoAnswerError))
        why = next((why_of(one) for one in found if why_of(one)), "")
        if len(answers) < len(pieces) and self._step.default is not None:
            return self._patched(asked, start, pieces, found, began)
        good = bool(answers) and kept >= self._ready * count
        ready = sum(one.receipt.target != "default" for _, one in answers)
        by_default = good and not ready
        receipt = StepReceipt(
            self.name, "default" if by_default else "answered" if good else "failed", why, kept if good else 0, count,
            (began - asked.question.arrived) * 1e3, (time.monotonic() - began) * 1e3, ready, len(pieces), receipts,
        )  # fmt: skip
        if not good:
            waits = [one.retry_after_s for one in found if isinstance(one, OverloadedError)]
            return Ended(Missing(why, fault=True), receipt, wait_s=max(waits, default=0.0))
        rows = start.rows if kept == count else np.concatenate([rows for rows, _ in answers if rows is not None])
        outputs = answers[0][1].outputs if len(answers) == 1 else joined([one for _, one in answers], self._axes)
        return Ended(Answered(rows, outputs, self._axes), receipt, self._flags([*answers]))

    def _whole(self, asked: Asked, start: Start, one: Answer, began: float) -> Ended:
        """One part, answered as it should be: nothing to put together."""
        count = asked.total if start.rows is None else len(start.rows)
        times = (began - asked.question.arrived) * 1e3, (time.monotonic() - began) * 1e3
        receipt = StepReceipt(self.name, "answered", "", count, count, *times, 1, 1, (bounded(one.receipt, start.budget_ms),))
        flags = self._flags([(start.rows, one)]) if one.flags else ()
        return Ended(Answered(start.rows, one.outputs, self._axes), receipt, flags)

    def _patched(self, asked: Asked, start: Start, pieces: Sequence[Rows], found: Sequence[Any], began: float) -> Ended:
        """Parts that were given up are filled with the default."""
        default = self._step.default
        assert default is not None  # noqa: S101  asked by _ended
        sizes = [asked.total if rows is None else len(rows) for rows in pieces]
        filler = Receipt("default", "", "default", -1, DEADLINE)
        filled: list[Found] = [
            one if isinstance(one, Answer)
            else Answer(default_outputs(default, self.engine.signature, size), replace(filler, reason=why_of(one)))
            for one, size in zip(found, sizes, strict=True)
        ]  # fmt: skip
        return self._ended(asked, start, pieces, filled, began)

    def _typed(self) -> dict[str, str]:
        """Typed input or field of the package -> field."""
        codec = self._step.resolved.champion.codec
        fields = codec.wire_fields(self._step.resolved.signature)
        return {name: field.name for field in fields for name in (field.name, *field.inputs)}

    def _refused(self, error: InputError, rows: Rows) -> InputError | None:
        """The engine's refusal in the caller's terms, or None where the caller did not send what was refused."""
        source = self._step.feeds.get(self._behind.get(error.field or "", ""))
        if source is None or source.step != REQUEST:
            return None
        row = error.row if error.row is None or rows is None or error.row >= len(rows) else int(rows[error.row])
        own = _PREFIX.sub("", error.what) if error.row is not None or _PREFIX.match(error.what) else None
        if own is None:
            return InputError(error.what.replace(f"{error.field!r}", f"{source.name!r}"), field=source.name, row=row, got=error.got,
                              expected=error.expected, fix=error.fix)  # fmt: skip
        return refusal(own, source.name, row, got=error.got, expected=error.expected, fix=error.fix)

    def _flags(self, answers: Sequence[tuple[Rows, Answer]]) -> tuple[Any, ...]:
        """What the door noticed, in the caller's terms."""
        found: list[Any] = []
        for rows, one in answers:
            for flag in one.flags:
                source = self._step.feeds.get(self._behind.get(flag.field, ""))
                if source is not None and source.step == REQUEST:
                    row = flag.row if flag.row is None or rows is None else int(rows[flag.row])
                    found.append(flag._replace(field=source.name, row=row))
        return tuple(found)
