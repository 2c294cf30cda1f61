"""The contract of a whole graph: golden requests, their reference answers, and whether the graph still answers so.

It lies beside the deployment as one file (`graph.golden` for `graph.toml`): a safetensors file whose metadata hold the rules. The steps'
own contracts say that each package answers as its source does; this one says that the links, conditions and cuts between them do.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from ...runtimes.fidelity import batch_axis, rows_first
from ...sdk.core.contract import Contract
from ...sdk.core.decisions import Judgement, Verdict, combine, judge, merge
from ...sdk.core.errors import ContractError, FormatError, PortsideError
from ...sdk.core.failover import Entry, Policy
from ...sdk.core.signature import Array, Signature
from ..answering.answers import Answerer, Question
from ..answering.engine import Engine
from .engine import GraphEngine
from .resolving import ResolvedGraph

METADATA = "portside"
"""Key of the file's metadata."""


@dataclass(frozen=True)
class GraphReport:
    """Does the graph answer as its packages do? Truthy only where it does.

    Attributes:
        checks: by output.
        rows: golden rows.
        made_with: steps whose package is another one than the golden answers were made with.
        fault: what stopped the check, or "".
    """

    checks: Mapping[str, Judgement]
    rows: int
    made_with: tuple[str, ...] = ()
    fault: str = ""

    @property
    def verdict(self) -> Verdict:
        """"passed", "failed" or "not enough data"."""
        return "failed" if self.fault else combine([check.verdict for check in self.checks.values()])

    def __bool__(self) -> bool:
        return self.verdict == "passed"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        checks = {name: check.to_dict() for name, check in self.checks.items()}
        return {"verdict": self.verdict, "rows": self.rows, "fault": self.fault, "other_packages": list(self.made_with), "outputs": checks}


def golden_file(resolved: ResolvedGraph) -> Path:
    """Where the contract of a graph lies."""
    return resolved.deployment.path.with_suffix(".golden")


def check_golden(resolved: ResolvedGraph, engine: GraphEngine) -> GraphReport:
    """Judge the graph as it runs here: its own models, without deadlines and fallbacks. Blocking, not for an event loop.

    Raises FormatError for a file that is malformed or of another graph.
    """
    contract, packages = _read(golden_file(resolved))
    if set(contract.rules) != {spec.name for spec in resolved.signature.outputs}:
        raise FormatError("The golden file is of a graph with other outputs", got=", ".join(contract.rules),
                          fix="Run: portside graph golden")  # fmt: skip
    now = {step.plan.name: step.resolved.champion.digest for step in resolved.steps}
    others = tuple(sorted(name for name in {*now, *packages} if now.get(name) != packages.get(name)))
    trials = {name: _trial(one) for name, one in engine.engines.items()}
    whole, parts = GraphEngine(resolved, trials, hurry=False), dict[str, list[Judgement]]()
    lossy = any(step.resolved.champion.artifact.lossy for step in resolved.steps)
    try:
        for case in contract.cases:
            answer = asyncio.run(whole.answer(Question(dict(_wire(case.inputs)), time.monotonic())))
            if answer.receipt.attempts:
                return GraphReport({}, contract.rows, others, f"a step did not answer: {', '.join(answer.receipt.attempts)}")
            got = rows_in_front(resolved.signature, answer.outputs)
            for name, rule in contract.rules.items():
                parts.setdefault(name, []).append(judge(rule, case.outputs[name], got[name], case.firm.get(name), lossy))
    except PortsideError as error:
        return GraphReport({}, contract.rows, others, str(error))
    finally:
        for trial in trials.values():
            trial.close(records=False)
    return GraphReport({name: merge(contract.rules[name], held) for name, held in parts.items()}, contract.rows, others)


def require(resolved: ResolvedGraph, engine: GraphEngine) -> None:
    """Raise ContractError unless the graph has no golden file, or answers as it says."""
    if not golden_file(resolved).is_file():
        return
    report = check_golden(resolved, engine)
    if not report:
        first = next((f"{name}: {check.note}" for name, check in report.checks.items() if not check), report.fault)
        changed = f" It was made with other packages of: {', '.join(report.made_with)}." if report.made_with else ""
        raise ContractError(f"The graph does not answer as {golden_file(resolved).name} says", report=report, got=first,
                            fix=f"portside graph verify shows it; portside graph golden makes the file again.{changed}")  # fmt: skip


def rows_in_front(signature: Signature, outputs: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs with rows in front; names of categories as codes (missing: -1)."""
    found: dict[str, Array] = {}
    for spec in signature.outputs:
        array = np.asarray(outputs[spec.name])
        if spec.categories is not None:
            codes = {name: code for code, name in enumerate(spec.categories)}
            array = np.asarray([codes.get(name, -1) for name in array.reshape(-1)], np.int64).reshape(array.shape)
        found[spec.name] = rows_first(array, batch_axis(signature, spec.name))
    return found


def _wire(inputs: Mapping[str, Array]) -> Any:
    return ((name, array.tolist() if array.dtype.kind in "OUS" else array) for name, array in inputs.items())


def _read(path: Path) -> tuple[Contract, dict[str, str]]:
    try:
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        held = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][METADATA])
        return Contract.from_bytes(held["contract"].encode(), content), dict(held["packages"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"The golden file cannot be read: {error}", got=path.name, fix="Run: portside graph golden") from error


def _trial(engine: Answerer) -> Engine:
    """A step's own model without deadline and fallback."""
    champion = cast("Engine", engine).champion  # each step of an opened graph has an engine of its own
    return Engine((champion,), Policy((Entry("model"),)), max_rows=1 << 30, borrowed=True)
