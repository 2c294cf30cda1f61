"""A request on its way down the chain of a device: the policy decides (sdk/core/failover.py), this file carries out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from ..sdk.core import failover
from ..sdk.core.chain_answers import default_outputs, reason_of, rows_of
from ..sdk.core.door import Checked
from ..sdk.core.errors import EngineError, InputError, PortsideError
from ..sdk.core.failover import Action, Attempt, Outcome, Request
from ..sdk.core.records import Receipt
from ..sdk.core.signature import Array, Signature
from .chain import Chain, Cloud, OpenModel
from .cloud_entry import ROWS
from .kept import Found, Kept, content_key
from .settings import Escalate

UNCERTAIN = "uncertain"


class NoAnswerError(EngineError):
    """Every entry of the chain failed and there is no default; `receipt` says which and why. reason: "busy" where all were."""

    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt
        reasons = {attempt.partition(":")[2] for attempt in receipt.attempts}
        busy = "busy" in reasons and reasons <= {"busy", "miss"}
        super().__init__("No model could answer", reason="busy" if busy else "failed", got=", ".join(receipt.attempts) or None,
                         fix="Try again." if busy else "A chain that ends with a default always answers.")  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """As the base, with the receipt."""
        return {**super().to_dict(), "error": "NoAnswer", "receipt": self.receipt.to_dict()}


class Walk:
    """One request; changed as it goes.

    Attributes:
        request: where the policy has it.
        checked, rows: the first model's typed inputs, and how many rows they hold.
        found: the kept answer that was given, where one was.
        outputs: of the answer, codes instead of names; place: of the entry that gave it, -1: none.
        uncertain: the answer of a model on this device was.
        began: monotonic seconds; when the entry that answered was asked.
    """

    def __init__(self, chain: Chain, wire: Mapping[str, Any], arrived: float) -> None:
        if chain.champion is None:
            raise EngineError("There is nothing on this device that could answer", got="; ".join(filter(None, chain.faults)),
                              fix="Install a release, or look at: portside edge status.")  # fmt: skip
        self.chain, self.wire, self.arrived, self.champion = chain, wire, arrived, chain.champion
        self.checked: Checked = self.champion.encode(wire)
        self.rows = rows_of(self.checked.arrays, self.champion.signature)
        self.request = Request(arrived * 1e3)
        self.found: Found | None = None
        self.outputs: Mapping[str, Array] = {}
        self.place, self.began, self.uncertain = -1, arrived, False
        self.reason = failover.PRIMARY

    def go(self, escalate: Escalate | None = None) -> None:
        """Walk until something answers; `place` stays -1 where nothing does. Raises InputError where the first model refuses."""
        while True:
            self.began = now = time.monotonic()
            down, chain = self.chain.unready(), self.chain
            with chain.lock:
                action, chain.breakers, self.request = failover.decide(chain.policy, chain.breakers, self.request, now * 1e3, down)
            if action.do == "give-up":
                self.reason = self.request.reason
                return
            if chain.entries[action.entry] is None:  # a cache or a default that cannot be had
                with chain.lock:
                    chain.breakers, self.request = failover.observe(chain.policy, chain.breakers, self.request, "miss", now * 1e3)
                continue
            outputs = self._take(action)
            if outputs is not None:
                self.outputs, self.place, self.reason = outputs, action.entry, self.request.reason
                break
        self._keep()
        self.uncertain = escalate is not None and isinstance(chain.entries[self.place], OpenModel) and is_uncertain(
            escalate, self.outputs, self.champion.signature)  # fmt: skip
        if self.uncertain and escalate is not None and escalate.ask:
            self._ask_cloud()

    def _take(self, action: Action) -> Mapping[str, Array] | None:
        """Carry out one action and tell the policy; None when the next entry is to be tried."""
        refused: InputError | None = None
        outputs: Mapping[str, Array] | None = None
        try:
            if action.do == "call":
                outputs = self._judged(self._asked(action.entry, action.until_ms))
                outcome: Outcome = "answered" if outputs is not None else "non-finite"
            else:
                outputs = self._held(action.entry)
                outcome = "answered" if outputs is not None else "miss"
        except PortsideError as error:
            refused = error if isinstance(error, InputError) and action.entry == self.chain.place else None
            outcome = "answered" if refused else reason_of(error)
        with self.chain.lock:
            now = time.monotonic() * 1e3
            self.chain.breakers, self.request = failover.observe(self.chain.policy, self.chain.breakers, self.request, outcome, now)
        if refused is not None:
            raise refused
        return outputs

    def _asked(self, place: int, until_ms: float | None) -> Mapping[str, Array]:
        """The answer of a model or an endpoint. Raises EngineError, InputError."""
        entry, until = self.chain.entries[place], None if until_ms is None else until_ms / 1e3
        if isinstance(entry, Cloud):
            return entry.lane.run(cast("Mapping[str, Array]", {**self.wire, ROWS: self.rows}), until=until)
        model = cast("OpenModel", entry)
        return model.ask(self.checked.arrays if model is self.champion else model.encode(self.wire).arrays, until)

    def _held(self, place: int) -> Mapping[str, Array] | None:
        entry = self.chain.entries[place]
        if isinstance(entry, Kept):
            self.found = entry.get(content_key(self.checked.arrays))
            return None if self.found is None else self.found.outputs
        return default_outputs(cast("Mapping[str, Array]", entry), self.champion.signature, self.rows)

    def _judged(self, outputs: Mapping[str, Array]) -> Mapping[str, Array] | None:
        """The first model's outputs of an answer, unless they hold NaN or infinity where that is not allowed: None."""
        specs = self.champion.signature.outputs
        return None if failover.flaw(outputs, specs) is not None else {spec.name: outputs[spec.name] for spec in specs}

    def _keep(self) -> None:
        if self.place == self.chain.place:
            for entry in self.chain.entries:
                if isinstance(entry, Kept):
                    entry.put(content_key(self.checked.arrays), self.outputs)

    def _ask_cloud(self) -> None:
        """A second opinion on an uncertain answer: one attempt within its own time and the deadline; without it the answer stands."""
        chain, now = self.chain, time.monotonic() * 1e3
        place = next((place for place, entry in enumerate(chain.entries) if isinstance(entry, Cloud)), None)
        if place is None or place in chain.unready() or any(attempt.entry == place for attempt in self.request.attempts):
            return
        until = now + float(chain.policy.chain[place].timeout_ms or 0)
        if chain.policy.deadline_ms is not None:
            until = min(until, self.arrived * 1e3 + chain.policy.deadline_ms)
        with chain.lock:
            admitted = failover.admit(chain.breakers[place], chain.policy.breaker, now) if until > now else None
            if admitted is None:
                return
            self._breaker(place, admitted)
        outputs, outcome = None, "answered"
        try:
            outputs = self._judged(self._asked(place, until))
            outcome = "answered" if outputs is not None else "non-finite"
        except PortsideError as error:
            outcome = reason_of(error)
        ended = time.monotonic() * 1e3
        with chain.lock:
            good = outputs is not None
            self._breaker(place, failover.settle(chain.breakers[place], chain.policy.breaker, admitted.epoch, good, ended, ended - now))
        if outputs is None:
            self.request = self.request._replace(attempts=(*self.request.attempts, Attempt(place, outcome)))
            return
        self.request = self.request._replace(attempts=(*self.request.attempts, Attempt(self.place, UNCERTAIN)))
        self.outputs, self.place, self.began, self.found = outputs, place, now / 1e3, None
        self.reason = self.request.reason

    def _breaker(self, place: int, breaker: failover.Breaker) -> None:
        held = self.chain.breakers
        self.chain.breakers = (*held[:place], breaker, *held[place + 1 :])


def is_uncertain(rule: Escalate, outputs: Mapping[str, Array], signature: Signature) -> bool:
    """A row's largest number of the rule's output is beyond its limit; NaN is. False where there is no such output of numbers."""
    spec = next((spec for spec in signature.outputs if spec.name == rule.output), None)
    if spec is None or rule.output not in outputs or outputs[rule.output].dtype.kind not in "fiu" or not outputs[rule.output].size:
        return False
    values = outputs[rule.output].astype(np.float64)
    turned = values[None] if spec.batch_axis is None else np.moveaxis(values, spec.batch_axis, 0)
    rows = turned.reshape(len(turned), -1)
    most = rows.max(axis=1)
    sure = most >= rule.below if rule.below is not None else most <= float(rule.above or 0.0)
    return not bool(sure.all())
