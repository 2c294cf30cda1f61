"""The gate on cost: latency in turns with the champion, size, memory; one row, one thread, on this machine as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...runtimes.artifact import Artifact
from ...runtimes.base import Session
from ...runtimes.bench import golden, one_row, probe
from ...runtimes.loading import load
from ...runtimes.timing import Samples, interleave, ratio
from ...sdk.core.decisions import NOT_ENOUGH, Verdict
from ...sdk.core.gates import Gate
from ...sdk.core.signature import Array
from ..deployment.file import Deployment
from ..deployment.resolving import ResolvedModel
from .gates import ReleaseGate, outcome_of

REPEATS, SECONDS, LONGEST_S = 3, 0.2, 20.0
CALLS = {"p95_ms": 20, "p99_ms": 100, "slower": 15}
"""Calls without which a figure says nothing."""


def bench_gate(deployment: Deployment, champion: ResolvedModel, challenger: ResolvedModel) -> ReleaseGate:
    """Measure both in turns. Without `[gates]` p99_ms the deployment's deadline is the limit. Raises what loading and running raise."""
    held = deployment.gates
    limits = {"p95_ms": held.p95_ms, "p99_ms": held.p99_ms or deployment.failover.deadline_ms, "slower": held.slower,
              "size_mb": held.size_mb, "memory_mb": held.memory_mb}  # fmt: skip
    measured = _measured(champion, challenger)
    if held.memory_mb is not None:
        measured["memory_mb"] = probe(challenger.artifact, trust=challenger.settings.trust)["memory_mb"]
    gates = tuple(_judged(name, limit, measured) for name, limit in limits.items() if limit is not None)
    why = (f"p50 {measured['p50_ms']:.3g} ms ({measured['slower']:.2f}x the champion's), p99 {measured['p99_ms']:.3g} ms, "
           f"{measured['size_mb']:.3g} MB")  # fmt: skip
    over = "; ".join(str(gate) for gate in gates if not gate)
    return ReleaseGate("bench", outcome_of(gates), "; ".join(filter(None, (why, over or ("" if gates else "no budget is stated")))),
                       gates, measured)  # fmt: skip


def _measured(champion: ResolvedModel, challenger: ResolvedModel) -> dict[str, Any]:
    one, two = _session(champion), _session(challenger)
    try:
        calls = {"champion": (one, _row(champion.artifact)), "challenger": (two, _row(challenger.artifact))}
        taken = _timed(calls)
    finally:
        one.close()
        two.close()
    new, times = taken["challenger"], ratio(taken["challenger"], taken["champion"])
    return {"p50_ms": new.percentile_ms(50), "p95_ms": new.percentile_ms(95), "p99_ms": new.percentile_ms(99), "slower": times[0],
            "slower_spread": [times[1], times[2]], "calls": new.calls, "size_mb": challenger.artifact.size_bytes / 1e6,
            "champion_p50_ms": taken["champion"].percentile_ms(50)}  # fmt: skip


def _timed(calls: Mapping[str, tuple[Session, Mapping[str, Array]]]) -> Mapping[str, Samples]:
    """Both in turns; once more and longer, where a model is so slow that its tail was not seen."""
    run = {name: lambda session=session, inputs=inputs: session.run(inputs) for name, (session, inputs) in calls.items()}
    taken = interleave(run, REPEATS, SECONDS)
    fewest = min(samples.calls for samples in taken.values())
    if fewest >= CALLS["p99_ms"]:
        return taken
    slowest = max(samples.percentile_ms(50) for samples in taken.values()) / 1000
    return interleave(run, REPEATS, min(LONGEST_S, 1.1 * CALLS["p99_ms"] * slowest) / REPEATS)


def _session(model: ResolvedModel) -> Session:
    return load(model.artifact, trust=model.settings.trust)


def _row(artifact: Artifact) -> Mapping[str, Array]:
    return one_row(artifact.signature, {name: np.asarray(held) for name, held in golden(artifact.contract()).items()})


def _judged(name: str, limit: float, measured: Mapping[str, Any]) -> Gate:
    figure, calls = float(measured[name]), int(measured["calls"])
    few = calls < CALLS.get(name, 0)
    verdict: Verdict = "failed" if figure > limit else NOT_ENOUGH if few else "passed"
    return Gate(name, limit, verdict, figure, calls, note=f"{calls} calls" if few else "")
