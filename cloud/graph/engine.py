"""The engine of a graph: carries out what the plan says. The same face as the engine of one model; each step has one of those.

Failover, breakers, caches and batches are the steps' engines' own. Independent steps run at once; one that runs alone costs no task.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from ...sdk.core.records import new_id
from ...sdk.core.signature import Array, Signature
from ..answering.answers import Answer, Answerer, Question, no_answer, overloaded
from ..records.store import RecordStore
from .asking import StepRunner
from .books import GraphBooks
from .covering import answer_rows, standing
from .merging import merged
from .metrics import GraphMetrics
from .parts import Asked, Ended, begun
from .plan import DEADLINE, Fill, Skip, Start, decide
from .receipts import GraphReceipt, StepReceipt
from .references import REQUEST
from .request import RequestReader
from .resolving import ResolvedGraph
from .rows import Answered, Missing

_Running: TypeAlias = tuple[Start, "asyncio.Task[Ended]", float]


@dataclass
class _Run:
    """One request: what has ended, what is under way, what the door noticed, how long a busy step asks to wait."""

    asked: Asked
    results: dict[str, Answered | Missing] = field(default_factory=dict[str, "Answered | Missing"])
    receipts: dict[str, StepReceipt] = field(default_factory=dict[str, StepReceipt])
    running: dict[str, _Running] = field(default_factory=dict[str, "_Running"])
    flags: list[Any] = field(default_factory=list[Any])
    wait_s: float = 0.0

    def end(self, name: str, ended: Ended) -> None:
        self.results[name], self.receipts[name] = ended.result, ended.receipt
        self.flags += ended.flags
        self.wait_s = max(self.wait_s, ended.wait_s)


class GraphEngine:
    """Answers questions by a graph of steps.

    Args:
        resolved: the graph, checked.
        engines: by step.
        records: where the graph's own records go; None: nowhere. The engines write the steps'.
        metrics: of an earlier version, to go on with; `report` shows this one's steps there.
        hurry: keep the deadline; False for a run that is compared with references.
        proof: asked once the steps are warm; raises ContractError where the graph does not answer as it should.

    Attributes:
        inflight: questions that are being answered.
        engines: by step.
    """

    def __init__(self, resolved: ResolvedGraph, engines: Mapping[str, Answerer], records: RecordStore | None = None,
                 metrics: GraphMetrics | None = None, hurry: bool = True,
                 proof: Callable[[GraphEngine], None] | None = None) -> None:  # fmt: skip
        self.plan, self.records, self._front = resolved.plan, records, resolved.front
        self._name, self.engines, self.inflight = resolved.deployment.name, engines, 0
        self._proof = proof
        self.metrics = metrics or GraphMetrics()
        if metrics is None:
            self.report()
        self._steps = {step.plan.name: StepRunner(step, engines[step.plan.name], dict(resolved.fields)) for step in resolved.steps}
        self._reader = RequestReader(resolved.fields, resolved.plan.answer, resolved.deployment.server.max_rows)
        self._outputs = [(spec, resolved.plan.answer[spec.name]) for spec in self._front.signature.outputs]
        self._deadline_ms = resolved.plan.deadline_ms if hurry else None
        self._books = GraphBooks(resolved, self._deadline_ms)

    @property
    def signature(self) -> Signature:
        """What callers see."""
        return self._front.signature

    async def answer(self, question: Question) -> Answer:
        """Run the steps that the request needs, until its answer stands or its time is up.

        Raises:
            InputError: a step that was reached refuses a field of the request.
            NoAnswerError: an output has no value, and nothing stands in for it; OverloadedError where that is only for busy steps.
        """
        self.inflight += 1
        try:
            return await self._walked(question)
        finally:
            self.inflight -= 1

    async def _walked(self, question: Question) -> Answer:
        wire, total = self._reader.read(question)
        run = _Run(Asked(question, wire, total, new_id() if self.records is not None else None))
        if (kept := self._reader.kept(wire, total)) is not None:
            run.results[REQUEST] = kept
        try:
            while (stands := standing(self.plan, total, run.results)) == "wait":
                await self._advance(run)
        finally:
            for _, task, _ in run.running.values():
                task.cancel()
        for name, (start, _, began) in run.running.items():  # the answer stands without them
            run.receipts[name] = StepReceipt(name, "skipped", "not-needed", 0, 0 if start.rows is None else len(start.rows),
                                             (began - question.arrived) * 1e3)  # fmt: skip
        return self._finish(run, stands == "answer")

    async def _advance(self, run: _Run) -> None:
        """Take every step that the plan names now, or wait until one of those under way ends."""
        asked, now = run.asked, time.monotonic()
        spent = (now - asked.question.arrived) * 1e3
        left = None if self._deadline_ms is None else self._deadline_ms - self.plan.reserve_ms - spent
        ends = None if self._deadline_ms is None else asked.question.arrived + self._deadline_ms / 1e3
        starts: list[Start] = []
        moves = decide(self.plan, asked.total, run.results, run.running, left)
        for move in moves:
            if isinstance(move, Start):
                starts.append(move)
            elif isinstance(move, Fill):
                run.end(move.step.name, self._steps[move.step.name].filled(asked, move.rows, move.why, now))
            else:
                run.end(move.step.name, _skipped(move, spent))
        if len(starts) == 1 and not run.running:
            name = starts[0].step.name
            run.end(name, await self._steps[name].run(asked, starts[0], run.results, ends))
            return
        for start in starts:
            name = start.step.name
            task = begun(self._steps[name].run(asked, start, dict(run.results), ends))
            run.running[name] = (start, task, now)
        if len(starts) == len(moves):
            await self._wait(run, ends)

    async def _wait(self, run: _Run, ends: float | None) -> None:
        """Until a step ends; at the deadline, those that have not are given up."""
        timeout = None if ends is None else max(ends - time.monotonic(), 0.0)
        tasks = {task: name for name, (_, task, _) in run.running.items()}
        done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del run.running[tasks[task]]
            run.end(tasks[task], task.result())
        if not done:
            for name, (start, task, began) in list(run.running.items()):
                task.cancel()
                del run.running[name]
                run.end(name, self._steps[name].lost(run.asked, start, DEADLINE, began))

    def _finish(self, run: _Run, good: bool) -> Answer:
        outputs: dict[str, Array] = {}
        if good:
            rows, total = answer_rows(self.plan, run.asked.total, run.results), run.asked.total
            outputs = {spec.name: merged(spec, sources, rows, total, run.results) for spec, sources in self._outputs}
        receipt = self._books.receipt(run.asked, tuple(run.receipts[name] for name in self._steps if name in run.receipts), good)
        self.metrics.settled(receipt.steps)
        self.metrics.answered(self._name if good else "none", receipt.reason, receipt.time_ms / 1e3, receipt.attempts)
        if not good:
            raise no_answer(self._noted(run, receipt), lambda: run.wait_s)
        if self.records is not None:
            self.records.put(self._books.draft(run.asked, receipt, outputs, run.flags))
        return Answer(outputs, receipt, tuple(dict.fromkeys(run.flags)) if run.flags else ())

    def _noted(self, run: _Run, receipt: GraphReceipt) -> GraphReceipt:
        """Write down that there was no answer, unless the steps were only busy; the receipt names that record."""
        store = self.records
        if store is None or (not overloaded(receipt) and store.put(self._books.unanswered(run.asked, receipt, run.flags))):
            return receipt
        return replace(receipt, record="")

    def warm(self, seconds: float) -> None:
        """Warm every step, then ask for proof. Raises EngineError where one cannot be loaded, ContractError."""
        ends = time.monotonic() + seconds
        for runner in self._steps.values():
            runner.engine.warm(max(ends - time.monotonic(), 0.1))
        if self._proof is not None:
            self._proof(self)

    def report(self) -> None:
        """Let the metrics page show this graph's steps and records."""
        self.metrics.engines = self.engines
        self.metrics.show(self._gauges, list[str])

    def _gauges(self) -> dict[str, float]:
        return {} if self.records is None else self.records.gauges()

    def close(self, records: bool = True) -> None:
        """End the engines, then the record writer unless another version goes on with it."""
        for runner in self._steps.values():
            runner.engine.close()
        if records and self.records is not None:
            self.records.close()


def _skipped(move: Skip, spent_ms: float) -> Ended:
    state = "failed" if move.fault and move.why == DEADLINE else "skipped"
    return Ended(Missing(move.why, move.fault), StepReceipt(move.step.name, state, move.why, began_ms=spent_ms))
