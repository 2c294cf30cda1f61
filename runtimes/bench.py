"""`bench`: how fast, how large and how hungry an artifact is, measured here and now.

Latency comes from interleaved repeats in this process; cold start and memory from fresh processes that open the artifact
and answer once, because nothing else measures them honestly.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ..sdk.core.contract import Contract
from ..sdk.core.errors import EngineError, InputError
from ..sdk.core.signature import Array, Signature
from .artifact import Artifact, open_artifact
from .base import Measurable, Session
from .hardware import cores, cpu_class
from .invariance import take
from .loading import load
from .timing import Footprint, Samples, interleave, table

PROBE_S = 300


@dataclass(frozen=True)
class Timings:
    """What was measured.

    Attributes:
        name, target: of the artifact.
        threads: of the engine.
        latency: rows per call -> durations.
        size_mb: bytes of the engine's files / 10**6.
        memory_mb: peak resident memory above that of a Python process which has imported Portside, answering single rows; what the page
            holds where the engine is in one; None for a session.
        cold_start_ms: from starting a process (opening a page) to its first answer to one row, median; None for a session.
        cold_start_spread_ms: its lowest and highest.
        cpu, cores: where.
    """

    name: str
    target: str
    threads: int
    latency: Mapping[int, Samples]
    size_mb: float | None = None
    memory_mb: float | None = None
    cold_start_ms: float | None = None
    cold_start_spread_ms: tuple[float, float] | None = None
    cpu: str = ""
    cores: int = 0

    @property
    def p50_ms(self) -> float:
        """Median latency of the smallest batch."""
        return self.latency[min(self.latency)].percentile_ms(50)

    @property
    def p95_ms(self) -> float:
        """95th percentile of the smallest batch."""
        return self.latency[min(self.latency)].percentile_ms(95)

    @property
    def p99_ms(self) -> float:
        """99th percentile of the smallest batch."""
        return self.latency[min(self.latency)].percentile_ms(99)

    @property
    def rows_per_second(self) -> float:
        """The best throughput over the batch sizes, one call after the other."""
        return max(rows * samples.per_second() for rows, samples in self.latency.items())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        latency = {
            str(rows): samples.to_dict() | {"rows_per_second": rows * samples.per_second()}
            for rows, samples in self.latency.items()
        }  # fmt: skip
        rest = {key: value for key, value in self.__dict__.items() if key != "latency"}
        return {**rest, "latency": latency}

    def __str__(self) -> str:
        rows = [["rows", "p50 ms", "p95 ms", "p99 ms", "p50 over repeats", "rows/s"]]
        for count, samples in self.latency.items():
            low, high = samples.spread_ms()
            figures = [f"{samples.percentile_ms(q):.3f}" for q in (50, 95, 99)]
            rows.append([str(count), *figures, f"{low:.3f}-{high:.3f}", f"{count * samples.per_second():.0f}"])
        head = f"{self.name} on {self.target}, {self.threads} thread(s), {self.cpu} with {self.cores} core(s)"
        return "\n".join([head, table(rows), *self._footprint()])

    def _footprint(self) -> list[str]:
        size = [] if self.size_mb is None else [f"size {self.size_mb:.2f} MB"]
        memory = [] if self.memory_mb is None else [f"peak memory +{self.memory_mb:.0f} MB"]
        cold = [] if self.cold_start_ms is None else [f"cold start {self.cold_start_ms:.0f} ms"]
        return [", ".join([*size, *memory, *cold])] if size or memory or cold else []


def bench(subject: Artifact | Session | Path | str, inputs: Mapping[str, Array] | None = None, *, batches: tuple[int, ...] = (1, 8),
          repeats: int = 5, seconds: float = 0.5, threads: int = 1, trust: bool = False, processes: int = 3) -> Timings:  # fmt: skip
    """Measure an artifact, or a session that is open already.

    Args:
        subject: an artifact (its folder), or a session, of which only latency can be measured.
        inputs: typed inputs to call with; default: golden rows of the artifact.
        batches: rows per call; where the program's batch is fixed, the inputs as they are.
        repeats: interleaved turns per batch size.
        seconds: length of a turn.
        threads: of the engine.
        trust: host stages may run.
        processes: fresh processes for memory and cold start; 0 leaves them out.

    Raises InputError when there is nothing to call it with, and what `load` and `run` raise.
    """
    if isinstance(subject, Artifact | Path | str):
        artifact = subject if isinstance(subject, Artifact) else open_artifact(Path(subject))
        given = inputs or golden(artifact.contract())
        session = load(artifact, threads=threads, trust=trust)
        try:
            latency = _latency(session, given, batches, repeats, seconds)
            found = _footprint(artifact, session, given, threads, trust, processes) if processes else None
        finally:
            session.close()
        return Timings(artifact.name, artifact.target, threads, latency, artifact.size_bytes / 1e6, **(vars(found) if found else {}),
                       cpu=cpu_class(), cores=cores())  # fmt: skip
    if inputs is None:
        raise InputError("A session carries no golden rows to measure it with", fix="Pass inputs=, or bench the artifact.")
    latency = _latency(subject, inputs, batches, repeats, seconds)
    return Timings("session", subject.info.target, threads, latency, cpu=cpu_class(), cores=cores())


def golden(contract: Contract) -> dict[str, Array]:
    """Inputs of the contract's largest case. Raises InputError for an empty contract."""
    if not contract.cases:
        raise InputError("The artifact's contract has no cases to measure it with", fix="Pass inputs=.")
    return dict(max(contract.cases, key=lambda case: case.rows).inputs)


def of_rows(signature: Signature, inputs: Mapping[str, Array], rows: int) -> dict[str, Array] | None:
    """`inputs` repeated or cut to this many rows; None where the program's batch does not allow it."""
    axes = {spec.name: spec.batch_axis for spec in signature.inputs}
    batched = [spec for spec in signature.inputs if spec.batch_axis is not None and spec.name in inputs]
    if not batched or any(isinstance(spec.shape[spec.batch_axis or 0], int) for spec in batched):
        return None
    held = inputs[batched[0].name].shape[batched[0].batch_axis or 0]
    return take(inputs, axes, [row % held for row in range(rows)])


def one_row(signature: Signature, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """The first row alone, for a first answer; `inputs` as they are where the program's batch is fixed."""
    return of_rows(signature, inputs, 1) or inputs


def _latency(session: Session, inputs: Mapping[str, Array], batches: tuple[int, ...], repeats: int, seconds: float) -> dict[int, Samples]:
    signature = session.info.signature
    given = {name: np.asarray(value) for name, value in inputs.items()}
    calls = {rows: held for rows in batches if (held := of_rows(signature, given, rows)) is not None} or {1: given}
    if isinstance(session, Measurable):
        return {rows: session.measure(held, repeats, seconds) for rows, held in calls.items()}
    timed = interleave({str(rows): lambda held=held: session.run(held) for rows, held in calls.items()}, repeats, seconds)
    return {int(rows): samples for rows, samples in timed.items()}


def _footprint(artifact: Artifact, session: Session, inputs: Mapping[str, Array], threads: int, trust: bool, processes: int) -> Footprint:
    if isinstance(session, Measurable):
        return session.footprint(one_row(session.info.signature, inputs), processes)
    probes = [probe(artifact, threads, trust) for _ in range(processes)]
    starts = [found["cold_start_ms"] for found in probes]
    return Footprint(median(starts), (min(starts), max(starts)), median(found["memory_mb"] for found in probes))


def probe(artifact: Artifact, threads: int = 1, trust: bool = False) -> dict[str, float]:
    """Memory and cold start in a fresh process. Raises EngineError when it fails."""
    command = [sys.executable, "-m", "portside.runtimes.bench_probe", str(artifact.path), str(threads), str(int(trust))]
    start = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_S, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        raise EngineError(f"A fresh process could not run the artifact: {error}", reason="crashed") from error
    return {"memory_mb": found["memory_mb"], "cold_start_ms": (found["answered_at_s"] - start) * 1000}
