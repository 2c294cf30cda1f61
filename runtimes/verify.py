"""`verify`: does an artifact answer like its package, and how well does it answer at all?

*Fidelity* holds the target's answers against references: on the contract's golden rows, and with `data` on held-out rows,
whose references and firm rows come from the package's own float program. *Quality* is measured where data has labels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..sdk.core.codec.codec import Codec
from ..sdk.core.contract import Case, Contract, Rule
from ..sdk.core.data import Data
from ..sdk.core.errors import FormatError, PortsideError, StoreError, UnsupportedError
from ..sdk.core.package import Package
from ..sdk.store import Store
from .artifact import Artifact
from .base import CompileOptions, LoadOptions, Runtime, Session, installed, runtime
from .evaluate import answers
from .fidelity import Fidelity, check
from .quality import Quality, measure
from .reference import Reference
from .report import Report, TargetReport
from .subjects import contract_of, opened, rows_at_once


def verify(subject: Artifact | Package | Path | str, data: Data | None = None, targets: str | Sequence[str] = "all", *,
           package: Package | None = None, trust: bool = False) -> Report:  # fmt: skip
    """Verify an artifact, or a package on its targets.

    Args:
        subject: an artifact, a package, or the folder of either.
        data: held-out rows: flips against the float program, and metrics where there are labels.
        targets: for a package: "all" that work here, or names. Each is compiled into a temporary folder.
        package: where an artifact came from; without it `data` only gives metrics.
        trust: host stages may run.

    Returns:
        Report: truthy only when the verdict of every target is "passed".

    Raises:
        FormatError, IntegrityError: not an artifact or package, altered, or without a contract.
        TrustError: host stages would have to run.
        UnsupportedError: a target that does not exist or does not work here.
    """
    held = opened(subject, trust)
    if isinstance(held, Artifact):
        if package is not None and package.digest != held.package_digest:
            raise FormatError("The artifact was not compiled from this package", got=package.digest, expected=held.package_digest)
        return Report(held.name, held.package_digest, (_artifact(held, held.contract(), data, package, trust),))
    held.require_trust()
    names = _targets(held, targets)
    try:
        with tempfile.TemporaryDirectory(prefix="portside-verify-") as folder:
            return Report(held.name, held.digest, tuple(_compiled(held, name, Path(folder) / name, data) for name in names))
    except OSError as error:
        raise StoreError(f"The package cannot be compiled for verification: {error.strerror or error}", got=error.filename,
                         fix=f"Free some space in {tempfile.gettempdir()}, or set TMPDIR.") from error  # fmt: skip


def held_out(package: Package, data: Data, rules: Mapping[str, Rule]) -> Iterator[Case]:
    """Held-out rows as cases whose references and firm rows come from the package's float program, batch by batch."""
    from .firm import Firmness  # imports onnx, which a device that re-verifies its artifact does not have

    codec = Codec.from_steps(package.content.codec, package.read)
    firmness = Firmness(package, discrete(rules))
    try:
        for batch in data.batches(rows_at_once(package.signature)):
            typed: Any = codec.encode(batch.inputs)
            slices = {name: tuple(str(group) for group in groups) for name, groups in batch.slices.items()}
            outputs, firm = firmness.answer(typed)
            yield Case(typed, outputs, firm, ("held out",) * len(batch), slices)
    finally:
        firmness.close()


def discrete(rules: Mapping[str, Rule]) -> list[str]:
    """Outputs whose answers flip rather than drift."""
    return [name for name, rule in rules.items() if rule.kind in ("decision", "ranking", "sequence")]


def _targets(package: Package, targets: str | Sequence[str]) -> list[str]:
    if targets != "all":
        return [targets] if isinstance(targets, str) else list(targets)
    names = [name for name, kind in sorted(installed().items()) if name != Reference.name and kind().missing() is None]
    allowed = [name for name in names if all(not stage.only or name in stage.only for stage in package.content.stages)]
    if not allowed:
        raise UnsupportedError("No target of this package works here", expected=", ".join(names) or "none", fix="Run: portside doctor")
    return allowed


def _compiled(package: Package, target: str, folder: Path, data: Data | None) -> TargetReport:
    chosen = runtime(target)
    _check_present(chosen, target)
    contract = contract_of(package)
    try:
        artifact = chosen.compile(package, CompileOptions(), folder)
    except UnsupportedError as error:
        return TargetReport(target, Fidelity(fault=str(error)), notes=("the package does not compile for this target",))
    return _artifact(artifact, contract, data, package, package.trusted)


def _check_present(chosen: Runtime, target: str) -> None:
    if missing := chosen.missing():
        raise UnsupportedError(f"The target {target} does not work here", got=f"missing {missing}", fix="Run: portside doctor")


def _artifact(artifact: Artifact, contract: Contract, data: Data | None, package: Package | None, trust: bool) -> TargetReport:
    session = runtime(artifact.target).load(artifact.path, LoadOptions(trust=trust))
    try:
        golden = check(session, contract.cases, contract.rules, artifact.lossy)
        report = TargetReport(artifact.target, golden, lossy=artifact.lossy, artifact=artifact.digest, notes=contract.notes)
        rows, notes = (data, ()) if data is not None else _evidence(artifact, package)
        report = replace(report, notes=(*report.notes, *notes))
        return report if rows is None else _with_data(report, session, contract, rows, package)
    finally:
        session.close()


def _evidence(artifact: Artifact, package: Package | None) -> tuple[Data | None, tuple[str, ...]]:
    """The evidence set of a lossy artifact's package, which its decisions are judged on; and a note where it is absent."""
    if not artifact.lossy or package is None or package.content.evidence is None:
        return None, ()
    try:
        return Store().evidence(package.content.evidence), ()
    except StoreError as error:
        return None, (f"the package's evidence set is not in this store: {error}",)


def _with_data(report: TargetReport, session: Session, contract: Contract, data: Data, package: Package | None) -> TargetReport:
    if package is not None:
        found = check(session, held_out(package, data, contract.rules), contract.rules, report.lossy, sampled=True)
        report = replace(report, held_out=found)
    else:
        report = replace(report, notes=(*report.notes, "flips on held-out rows need the package beside the artifact"))
    return report if data.labels is None else replace(report, quality=_quality(session, data, contract.rules))


def _quality(session: Session, data: Data, rules: Mapping[str, Rule]) -> Quality | None:
    """Metrics of the session's own answers; None where it raises, which fidelity reports."""
    try:
        return measure(data, answers(session, data), rules, session.info.signature)
    except PortsideError:
        return None
