"""The rim of a trial: loads the new release beside the active one, runs its contract here, and compares live answers.

The old release has answered before anything is asked of the new one, and nobody is given what that says.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..runtimes.artifact import Artifact, open_artifact, read_artifact
from ..runtimes.base import Isolation, Session
from ..runtimes.bench import golden, one_row
from ..runtimes.fidelity import batch_axis, rows_first
from ..runtimes.loading import load
from ..runtimes.verify import verify
from ..sdk.core.contract import Contract
from ..sdk.core.decisions import NOT_ENOUGH
from ..sdk.core.errors import PortsideError
from ..sdk.core.signature import NUMPY, Array
from .health import SLOW_SHARE, Evidence, Limits, comparable, differ, verdict
from .installer import Health
from .sequential import judge_rate
from .trial_file import TrialFile, Which
from .update_state import Wanted

MOST_CALLS = 300
"""Golden calls by which latency is judged, at most: fewer where they settle it."""
Clock = Callable[[], float]


@dataclass
class _Trial:
    """A trial that is loaded."""

    wanted: Wanted
    session: Session | None
    contract: Contract | None
    evidence: Evidence
    which: Which | None = None


class TrialJudge:
    """Judges trials on this device (`installer.Judge`).

    Args:
        limits: what is asked of a release.
        threads: of the engine.
        isolation: where the trial's calls run; "process" keeps a crash of its engine out of this process.
        trust: host stages may run.
        file: keeps what was counted over restarts; None: they begin anew.
        clock: seconds, for latency.
    """

    def __init__(self, limits: Limits | None = None, threads: int = 1, isolation: Isolation = "inline", *, trust: bool = False,
                 file: TrialFile | None = None, clock: Clock = time.perf_counter) -> None:  # fmt: skip
        self.limits, self.threads, self.trust, self.file, self.clock = limits or Limits(), threads, trust, file, clock
        self.isolation: Isolation = isolation
        self._trial: _Trial | None = None
        self._lock = threading.Lock()

    @property
    def evidence(self) -> Evidence | None:
        """What was seen of the trial under way, for status."""
        held = self._trial
        return held.evidence if held else None

    def judge(self, trial: Path, wanted: Wanted, active: Path | None) -> Health:
        """As `installer.Judge`: the first call loads the trial and runs its contract and its golden calls."""
        with self._lock:
            if self._trial is None or self._trial.wanted != wanted:
                self._close()
                self._trial = self._begin(trial, wanted, active)
            self._save()
            return verdict(self._trial.evidence, self.limits)

    def observe(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """Ask the trial what the active release has answered already; nothing happens where there is no trial.

        From any thread; callers that answer people call it from another than the one that answers. Rows that come while the trial
        is busy, with its contract or with others, are left out: nobody waits for a trial.

        Args:
            inputs: typed tensors, by name.
            outputs: what the active release made of them.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            if (held := self._trial) is not None and held.evidence.compared:
                self._ask(held, inputs, outputs)
        finally:
            self._lock.release()

    def _ask(self, held: _Trial, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        if held.session is None or held.contract is None:
            return
        begun = self.clock()
        try:
            found = held.session.run(inputs)
        except PortsideError:
            found = None
        seen = held.evidence.with_call((self.clock() - begun) * 1e3, self.limits.p95_ms)
        held.evidence = seen.with_rows(*_differences(held.session, held.contract, outputs, found))

    def end(self) -> None:
        """Let the trial go."""
        with self._lock:
            self._close()

    def _begin(self, path: Path, wanted: Wanted, active: Path | None) -> _Trial:
        session: Session | None = None
        try:
            artifact = open_artifact(path)
            contract = artifact.contract()
            seen = replace(self._proof(artifact), compared=self._comparable(artifact, contract, active), missing=_missing(artifact, active))
            which = Which(wanted.release, wanted.sequence, read_artifact(active).digest if active else "", self.limits.p95_ms)
            if seen.contract != "failed":
                seen = seen if self.file is None else self.file.restored(seen, which)
                session = load(artifact, threads=self.threads, isolation=self.isolation, trust=self.trust)
                seen = self._timed(session, contract, seen)
        except Exception as error:  # recorded: a release that cannot be loaded here is refused, with what it said
            if session is not None:
                session.close()
            said = str(error) if isinstance(error, PortsideError) else repr(error)
            return _Trial(wanted, None, None, Evidence("failed", why=said))
        return _Trial(wanted, session, contract, seen, which)

    def _proof(self, artifact: Artifact) -> Evidence:
        """The contract on this device's own runtime."""
        report = verify(artifact, trust=self.trust).targets[0]
        bad = [f"{check.output}: {check.judgement.note}" for check in report.golden.checks if check.judgement.verdict == "failed"]
        proven = artifact.lossy and (artifact.verified.get("verdict") == "passed" or bool(artifact.verified.get("allow_unproven")))
        return Evidence(report.verdict, proven, report.golden.fault or "; ".join(bad))

    def _timed(self, session: Session, contract: Contract, seen: Evidence) -> Evidence:
        """Golden calls of one row, until they settle the latency budget."""
        if self.limits.p95_ms is None:
            return seen
        inputs = one_row(session.info.signature, golden(contract))
        session.run(inputs)
        while seen.calls.rows < MOST_CALLS and judge_rate(seen.calls, SLOW_SHARE) == NOT_ENOUGH:
            begun = self.clock()
            session.run(inputs)
            seen = seen.with_call((self.clock() - begun) * 1e3, self.limits.p95_ms)
        return seen

    def _comparable(self, artifact: Artifact, contract: Contract, active: Path | None) -> bool:
        """There is a release to compare with, and an output by which to; a model with a memory answers on more than the row it is asked."""
        if active is None or artifact.signature.state:
            return False
        before = {spec.name: spec.dtype for spec in read_artifact(active).signature.outputs}
        shared = [spec for spec in artifact.signature.outputs if before.get(spec.name) == spec.dtype and spec.name in contract.rules]
        return any(self.limits.asks(spec.name) and comparable(contract.rules[spec.name], NUMPY[spec.dtype]) for spec in shared)

    def _save(self, closing: bool = False) -> None:
        held = self._trial
        if self.file is not None and held is not None and held.which is not None and held.session is not None:
            self.file.save(held.evidence, held.which, closing)

    def _close(self) -> None:
        self._save(closing=True)
        if self._trial is not None and self._trial.session is not None:
            self._trial.session.close()
        self._trial = None


def _missing(artifact: Artifact, active: Path | None) -> tuple[str, ...]:
    if active is None:
        return ()
    given = {spec.name for spec in artifact.signature.outputs}
    return tuple(spec.name for spec in read_artifact(active).signature.outputs if spec.name not in given)


def _differences(session: Session, contract: Contract, old: Mapping[str, Array],
                 new: Mapping[str, Array] | None) -> tuple[int, dict[str, Array]]:  # fmt: skip
    """(rows, output -> per row whether it differs); where the trial raised, every row of every output that the old release gave does."""
    found: dict[str, Array] = {}
    signature, rows = session.info.signature, 0
    for spec in signature.outputs:
        if spec.name not in old or spec.name not in contract.rules:
            continue
        axis = batch_axis(signature, spec.name)
        before = rows_first(np.asarray(old[spec.name]), axis)
        after = before if new is None else rows_first(np.asarray(new[spec.name]), axis)
        rows = max(rows, len(before))
        if (off := differ(contract.rules[spec.name], before, after)) is not None:
            found[spec.name] = off | (new is None)
    return rows, found
