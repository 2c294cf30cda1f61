"""`compile`: lower a package for a target, prove the result, then publish it. Fails closed: what is not proven is not there.

The artifact is made in a staging folder beside its destination, loaded by its real runtime, measured for batch invariance
and held against the contract; one rename publishes it.
"""

from __future__ import annotations

import errno
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..sdk.core.budget import Budget
from ..sdk.core.codec.codec import Codec
from ..sdk.core.data import Data
from ..sdk.core.errors import ContractError, InputError, StoreError
from ..sdk.core.package import Package, sync_folder, sync_tree
from ..sdk.core.staging import staging
from .artifact import DESCRIPTION, Artifact, amend
from .base import CompileOptions, LoadOptions, Runtime
from .costs import costs_of
from .elsewhere import build_checked, compiler, unproven
from .evaluate import Subject
from .gating import gates_of, pass_gates
from .hardware import cpu_class
from .home import home
from .invariance import batch_invariant
from .report import Report
from .subjects import contract_for
from .verify import unproven_report, verify

_ATTEMPTS = 5


def compile(package: Package, target: str = "onnx-cpu", out: Path | str | None = None, *, allow_unproven: bool = False,  # noqa: A001 - the public name
            taps: Sequence[str] = (), data: Data | None = None, prove: bool = True, gates: Budget | None = None,
            ancestor: Subject | None = None, **extra: Any) -> Artifact:  # fmt: skip
    """Compile a package for a target, verified. What it costs beside float, or beside its parent, is in `verified["costs"]`.

    Args:
        package: opened; with trust, where it has host stages.
        target: name of a runtime, see `portside doctor`.
        out: the artifact's folder: new, empty, or an artifact that is replaced. Default: below $PORTSIDE_HOME/artifacts.
        allow_unproven: publish a lossy artifact although there is not enough data to judge it; the artifact says so.
        taps: boundaries that become optional outputs, e.g. ("features",).
        data: held-out rows, judged beside the contract; gates are judged on them, or on the package's evidence set.
        prove: False leaves out contract, batch invariance, the recipe's gates and costs; for benchmarks of the compile itself.
        gates: `max_drop`, `max_slice_drop`, `max_flips` against the ancestor; those in the package's recipe hold as well.
        ancestor: a package, folder or name; default: the package's first parent where it is at hand, else the package in float.
        extra: options of the target; unknown ones are errors.

    Raises:
        ContractError: the artifact does not answer like its package, fails a gate, or cannot be judged; nothing is written. Where the
            target cannot run here (no GPU), nothing can be judged: `allow_unproven` writes what its build check lets pass, and says so.
        UnsupportedError: no such target, or the target cannot hold the package.
        TrustError: host stages would have to run.
        StoreError: `out` is not empty, or cannot be written.
    """
    chosen = compiler(target)
    limits = gates_of(package, gates)
    if gates is not None and not prove:
        raise InputError("A compile that proves nothing cannot pass gates", got="prove=False", expected="prove=True, or no gates")
    if prove:
        package.require_trust()
    options = CompileOptions(taps=tuple(taps), allow_unproven=allow_unproven, verify=prove, extra=extra)
    destination = Path(out) if out is not None else default_out(package, target, taps)
    _check_free(destination)
    Codec.from_steps(package.content.codec, package.read)  # what could not answer a request is not compiled
    with _staging(destination) as folder:
        artifact = chosen.compile(package, options, folder / "artifact")
        if prove and (why := unproven(chosen)) is not None:
            artifact = _unproven(chosen, artifact, package, options, why, limits)
        elif prove:
            artifact = _proven(chosen, artifact, package, options, data)
            if limits is not None:
                passed = pass_gates(artifact, package, limits, ancestor, data)
                artifact = amend(artifact, verified={**artifact.verified, "audit": passed})
            if (costs := costs_of(artifact, package, chosen, options, folder / "other")) is not None:
                artifact = amend(artifact, verified={**artifact.verified, "costs": costs})
        sync_tree(artifact.path)
        _publish(artifact.path, destination)
    return replace(artifact, path=destination.resolve())


def default_out(package: Package, target: str, taps: Sequence[str] = ()) -> Path:
    """Where an artifact goes when nobody says: one folder per package digest and target; with taps, one of its own."""
    return home() / "artifacts" / package.digest.removeprefix("sha256:") / "+".join((target, *sorted(taps)))


def _proven(chosen: Runtime, artifact: Artifact, package: Package, options: CompileOptions, data: Data | None) -> Artifact:
    """The artifact with what was measured about it, or ContractError."""
    contract = contract_for(artifact, package)
    session = chosen.load(artifact.path, LoadOptions(trust=package.trusted, door=False))
    try:
        invariant = batch_invariant(session, contract)
    finally:
        session.close()
    artifact = amend(artifact, batch_invariant=invariant)
    report = verify(artifact, data, package=package, trust=package.trusted)
    unproven = report.verdict == "not enough data" and options.allow_unproven and artifact.lossy
    if report.verdict != "passed" and not unproven:
        raise _not_proven(artifact, package, report)
    verified = {"verdict": report.verdict, "rows": contract.rows, "cpu": cpu_class(), "allow_unproven": unproven}
    return amend(artifact, verified=verified)


def _not_proven(artifact: Artifact, package: Package, report: Report) -> ContractError:
    """Which output, example and how far; and what is to be done."""
    fix = ("Give rows of yours to judge it on: --data FILE (data=), labels are not needed; in a deployment serve an artifact that "
           "was compiled so. Or take it as it is: --allow-unproven (allow_unproven=True)."
           if report.verdict == "not enough data" and artifact.lossy else
           "The report (error.report.to_html) shows the worst rows; see ContractError in docs/troubleshooting.md.")  # fmt: skip
    faults = "; ".join(line for target in report.targets for line in target.faults)
    return ContractError(f"The {artifact.target} artifact of {package.name!r} is not proven", report=report,
                         got=faults or report.verdict, expected="passed", fix=fix)  # fmt: skip


def _unproven(chosen: Runtime, artifact: Artifact, package: Package, options: CompileOptions, why: str, limits: Budget | None) -> Artifact:
    """The artifact of a target that cannot run here, if the user takes it unproven; it says so. Raises ContractError otherwise."""
    checked = build_checked(chosen, artifact.path)
    if limits is not None or not options.allow_unproven:
        what = f"The {artifact.target} artifact of {package.name!r} is {why}"
        fix = "Compile it where it can run; gates are judged there." if limits is not None else (
            "Compile it where it can run, or take it as it is: --allow-unproven (allow_unproven=True).")  # fmt: skip
        report = Report(package.name, package.digest, (unproven_report(artifact, why, checked),))
        raise ContractError(what, report=report, got=checked, fix=fix)
    return amend(artifact, verified={"verdict": "not enough data", "rows": 0, "cpu": cpu_class(), "allow_unproven": True,
                                     "unproven": why, "check": checked})  # fmt: skip


def _check_free(out: Path) -> None:
    replaceable = (out / DESCRIPTION).is_file() or (out.is_dir() and not any(out.iterdir()))
    if out.exists() and not replaceable:
        raise StoreError("The output folder is not empty and is not an artifact", got=str(out),
                         fix="Name a new folder, or remove it first.")  # fmt: skip


@contextmanager
def _staging(out: Path) -> Generator[Path]:
    try:
        with staging(out) as folder:
            yield folder
    except OSError as error:
        raise _cannot_write(out, error) from error


def _publish(made: Path, out: Path) -> None:
    """Put `made` at `out` by one rename; an artifact that is there (again) is moved aside first."""
    for attempt in range(_ATTEMPTS):
        try:
            made.rename(out)
            break
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt == _ATTEMPTS - 1:
                raise
        with suppress(FileNotFoundError):  # another process has moved it meanwhile
            out.rename(made.with_name(f"replaced-{attempt}"))
    sync_folder(out.parent)


def _cannot_write(out: Path, error: OSError) -> StoreError:
    return StoreError(f"The artifact cannot be written: {error.strerror or error}", got=str(out),
                      fix="Free some space or choose another folder; nothing was left behind.")  # fmt: skip
