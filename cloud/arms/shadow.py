"""Shadows: challengers that are asked what the champion has answered, and whose answers nobody is given.

A shadow is never in the way. What it is asked waits in a short queue of its own, which the event loop only appends to; a thread asks its
process while no request is under way, at the lowest priority the system has, and then rests, so that all shadows together take a small
part of the server process's time and of the cores: that makes some to a hundred answers a second, and no more are needed to judge. What
is not asked (the queue is full, requests leave no gap, records wait) is dropped and counted; the answers that were given stay what they
were.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from ...runtimes.hardware import cores
from ...sdk.core.failover import PRIMARY
from ...sdk.core.records import Receipt, new_id
from ...sdk.core.signature import Array, TensorSpec
from ..answering.note import About
from ..answering.walk import Walk
from ..records.store import RecordStore
from .agreeing import agreements
from .asking import Said, ShadowModel, Shown
from .note import ShadowNote
from .slices import Fields

MOST, MOST_BYTES = 32, 32 << 20
"""Of one queue."""
DUTY, MOST_DUTY, MOST_REST_S = 0.005, 0.03, 0.5
"""The part of the time that all threads of shadows may work, for answers that take no time; for each millisecond that the champion needs as
much again, up to the most. While such a thread has the interpreter a request may have to wait for it, at most half a millisecond: of
answers that take longer anyway more may have to. And the longest rest."""
COMPUTED = 0.02
"""The part of the machine's cores that the processes of all shadows of a worker may keep busy. A core that computes at the lowest priority
still takes from its neighbours what they share, caches and memory, and often the very core: at a fifth of one core a champion of 7 ms
needed 4% longer."""
MOST_IDLE_S = 2.0
"""The longest rest for that: one whose calls take seconds shall be found out too."""
OLD_S = 5.0
"""What waited so long for a gap between requests is dropped."""
IDLE_S, GAP_S = 0.005, 0.002
"""How often a thread looks whether there is something to ask, and whether there is a gap. Nobody wakes it: that would cost a request."""
PATIENCE_S = 30.0
"""So long a process may take to start, or to start again, before that counts against the challenger."""
ROWS_WAITING = 2000
"""While so many records wait for the database, shadows make none."""


class Shadow:
    """One challenger, its queue and its thread.

    Args:
        model: who is asked.
        rollout: id of the rollout.
        records: where its answers go.
        specs: outputs by which it agrees or not.
        fields: by whose values records are judged apart.
        deadline_ms: of the deployment; for receipts.
        crowded: requests are under way.
        part: of the time that all shadows may work.

    Attributes:
        asked: questions by what became of them: "primary", why it failed, or why it was not asked ("full", "crowded", "records", "down").
        agreed, differed: rows.
    """

    def __init__(self, model: ShadowModel, rollout: str, records: RecordStore, specs: Sequence[TensorSpec], fields: Fields,
                 deadline_ms: float | None, crowded: Callable[[], bool], part: float = 1.0) -> None:  # fmt: skip
        self._part = part
        self.model, self._rollout, self._records, self._specs, self._fields = model, rollout, records, specs, fields
        self._deadline_ms, self._crowded = deadline_ms, crowded
        self.asked: Counter[str] = Counter()
        self.agreed = self.differed = 0
        self._waiting: deque[Shown] = deque()
        self._up_at = time.monotonic()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="portside-shadow", daemon=True)
        self._thread.start()

    def offer(self, shown: Shown, size: int) -> None:
        """Ask this when there is room. On the event loop; it appends, or counts."""
        if len(self._waiting) >= MOST or size * (len(self._waiting) + 1) > MOST_BYTES:
            self.asked["full"] += 1
        elif self._up(shown.at):
            self._waiting.append(shown)
        else:
            self.asked["down"] += 1

    def _up(self, now: float) -> bool:
        """It can be asked. One that is down for long is asked all the same: that it does not answer is an answer."""
        if self.model.ready:
            self._up_at = now
            return True
        return now - self._up_at > PATIENCE_S

    def close(self, seconds: float = 10.0) -> None:
        """End; what waits is dropped."""
        self._closed.set()
        self.model.close()  # a call under way ends with its process
        self._thread.join(seconds)

    def _work(self) -> None:
        while not self._closed.wait(IDLE_S):
            while self._waiting and not self._closed.is_set():
                shown = self._waiting.popleft()
                if why := self._obstacle(shown):
                    self.asked[why] += 1
                else:
                    began = time.thread_time()
                    computed_s = self._ask(shown)
                    worked_s = time.thread_time() - began
                    self._closed.wait(max(rest_s(worked_s, shown.answer_ms, self._part), idle_s(computed_s, self._part)))

    def _obstacle(self, shown: Shown) -> str:
        """Waits for a gap between requests; why the question is dropped, or ""."""
        if self._records.waiting > ROWS_WAITING:
            return "records"
        while self._crowded():
            if time.monotonic() - shown.at > OLD_S:
                return "crowded"
            if self._closed.wait(GAP_S):
                return "closed"
        return ""

    def _ask(self, shown: Shown) -> float:
        """Ask and write down; seconds that the model computed."""
        said = self.model.ask(shown)
        if self._closed.is_set():
            return 0.0  # ended in the middle of a call: that says nothing of the challenger
        self.asked[said.reason] += 1
        agrees = agreements(self._specs, shown.outputs, said.outputs, shown.rows) if self._specs and said.reason == PRIMARY else None
        if agrees is not None:
            self.agreed, self.differed = self.agreed + sum(agrees), self.differed + len(agrees) - sum(agrees)
        self._records.put(self._note(shown, said, agrees))
        return said.spent_s

    def _note(self, shown: Shown, said: Said, agrees: list[bool] | None) -> ShadowNote:
        model, spent_ms = self.model.model, said.spent_s * 1e3
        within = self._deadline_ms is None or spent_ms <= self._deadline_ms
        receipt = Receipt(model.name, model.digest, model.artifact.target, -1, said.reason, (), spent_ms, spent_ms, self._deadline_ms,
                          within, record=new_id())  # fmt: skip
        return ShadowNote(receipt, shown.entity, shown.event_ms, shown.record, model.digest, model.artifact.digest, shown.about,
                          time.time_ns() // 1_000_000, self._rollout, agrees, said.outputs, shown.arrays, self._fields)  # fmt: skip


class Shadows:
    """All challengers of a rollout. front: of the champion."""

    def __init__(self, shadows: Sequence[Shadow], front: str) -> None:
        self.held, self._front = tuple(shadows), front

    def offer(self, walk: Walk, outputs: Mapping[str, Array], receipt: Receipt, about: About) -> None:
        """What the champion was asked and has answered, to each of them."""
        if not receipt.record:
            return
        question, arrays = walk.question, walk.checked.arrays
        shown = Shown(question.wire, arrays, self._front, walk.rows, outputs, receipt.record, question.entity, question.event_ms, about,
                      receipt.model_ms, time.monotonic())  # fmt: skip
        size = sum(getattr(array, "nbytes", 1 << 16) for array in arrays.values())
        for shadow in self.held:
            shadow.offer(shown, size)

    def lines(self) -> Iterable[str]:
        """Of the metrics page."""
        yield from ("# HELP portside_shadow_questions_total Questions to challengers in the shadow, by what became of them.",
                    "# TYPE portside_shadow_questions_total counter")  # fmt: skip
        for shadow in self.held:
            yield from (f'portside_shadow_questions_total{{{_label(shadow)},outcome="{outcome}"}} {count}'
                        for outcome, count in list(shadow.asked.items()))  # fmt: skip
        yield from ("# HELP portside_shadow_rows_total Rows by whether the challenger decides as the champion.",
                    "# TYPE portside_shadow_rows_total counter")  # fmt: skip
        for shadow in self.held:
            yield f'portside_shadow_rows_total{{{_label(shadow)},agrees="true"}} {shadow.agreed}'
            yield f'portside_shadow_rows_total{{{_label(shadow)},agrees="false"}} {shadow.differed}'

    def close(self) -> None:
        """End all."""
        for shadow in self.held:
            shadow.close()


def rest_s(worked_s: float, answer_ms: float, part: float) -> float:
    """How long a thread rests after so much work. answer_ms: what the champion needed; part: of what all shadows may do."""
    return min(worked_s / (part * min(DUTY * (1.0 + answer_ms), MOST_DUTY)), MOST_REST_S)


def idle_s(computed_s: float, part: float) -> float:
    """How long a process rests after it computed so long. part: of what all shadows may do."""
    return min(computed_s / (part * COMPUTED * cores()), MOST_IDLE_S)


def _label(shadow: Shadow) -> str:
    return f'challenger="{shadow.model.model.digest[:19]}"'
