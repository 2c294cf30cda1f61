"""`portside inspect`: what a package or an artifact holds, without running any of it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...runtimes.artifact import Artifact, open_artifact
from ...runtimes.costs import said as costs_said
from ..core.contract import Contract
from ..core.manifest import CONTRACT, CONTRACT_TENSORS, FileEntry, Stage
from ..core.package import Package
from ..core.plan import plan_of
from ..core.signature import Signature, TensorSpec
from .console import Result, fields, size, table, terminal_width, wrapped
from .places import is_artifact, open_package_at

EXAMPLE = """
  portside inspect inspector                 a folder
  portside inspect inspector:3 --json        a name in the store; as data
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to look at."""
    parser.add_argument("model", metavar="PACKAGE|ARTIFACT", help="a folder, or a name in the store")


def run(args: argparse.Namespace) -> Result:
    """Audit it, then describe it."""
    if is_artifact(args.model):
        return _artifact(open_artifact(args.model))
    return _package(open_package_at(args.model))


def _package(package: Package) -> Result:
    content, notes, plan = package.content, package.manifest.annotations, plan_of(package.content.plan)
    contract = Contract.from_bytes(package.read(CONTRACT), package.read(CONTRACT_TENSORS)) if CONTRACT in content.files else None
    about = {
        "package": package.name, "digest": package.digest, "program": content.program_digest, "path": package.path,
        "size": size(_total(content.files)), "parents": ", ".join(package.lineage), "evidence": content.evidence,
        "contract": _contract(contract), "runs code": ", ".join(package.trust_needed()),
        "trains with": _training(content.files),
        "precision": _precision(plan.counts, plan.kept) if plan.lossy or plan.kept else None,
        "smoothed": f"activations of {len(plan.smoothing)} values" if plan.smoothing else None,
        "calibrated": _plain({name: held for name, held in plan.calibration.items() if name != "warnings"}),
        **{name: value for name, value in notes.fields.items() if isinstance(value, str | int | float)},
    }  # fmt: skip
    data = {"kind": "package", "digest": package.digest, "path": str(package.path), **content.to_dict(), "annotations": notes.to_dict()}
    parts = [fields(about), _warned(plan.warnings), _tensors(content.signature), _stages(content.stages), _kept(plan.kept)]
    return Result(data, "\n\n".join(filter(None, parts)))


def _warned(warnings: Sequence[str]) -> str:
    """What calibration warned of when the plan was made."""
    return table([["calibration:", held] for held in warnings]) if warnings else ""


def _training(files: Mapping[str, FileEntry]) -> str:
    """Python of the package that passes run where they are trusted; the folder alone where its functions are installed ones."""
    held = sorted(name for name in files if name.startswith("training/"))
    return ", ".join([name for name in held if name.endswith(".py")] or held)


def _artifact(artifact: Artifact) -> Result:
    said = artifact.engine.get("precision", {})
    kept = said.get("kept", {})
    about = {
        "artifact": artifact.name, "target": artifact.target, "digest": artifact.digest, "package": artifact.package_digest,
        "path": artifact.path, "engine": size(artifact.size_bytes),
        "precision": _precision(said.get("achieved", {}), kept) if artifact.lossy else "float",
        "weights": _plain({name: size(held) for name, held in artifact.engine.get("weights_bytes", {}).items()}),
        "batch invariant": "yes" if artifact.batch_invariant else "no", "verified": artifact.verified.get("verdict"),
        **{name: artifact.verified[name] for name in ("unproven", "check") if artifact.verified.get(name)},
        **({} if (costs := costs_said(artifact)) is None else {"costs": costs}),
        **{f"built {name}": _plain(value) for name, value in artifact.built.items()},
    }  # fmt: skip
    data = {"kind": "artifact", "digest": artifact.digest, "path": str(artifact.path), **artifact.to_dict()}
    parts = [_fields(about), _tensors(artifact.signature), _stages(artifact.stages), _kept(kept)]
    return Result(data, "\n\n".join(filter(None, parts)))


def _precision(counts: Mapping[str, int], kept: Mapping[str, str]) -> str:
    """Classes with their numbers of nodes: "lossy: int8-static 51 nodes, 2 kept in float32"."""
    held = [f"{name} {number} nodes" for name, number in counts.items() if name != "float32"]
    held += [f"{len(kept)} kept in float32"] if kept else []
    return f"lossy: {', '.join(held)}" if held else "lossy"


def _kept(kept: Mapping[str, str]) -> str:
    """Nodes that stayed float32, and why."""
    return table([[name, why] for name, why in sorted(kept.items())], head=["kept in float32", "why"]) if kept else ""


def _plain(value: object) -> str:
    """What people read of a list or an object of the description."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {held}" for name, held in cast("Mapping[str, object]", value).items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, cast("Sequence[object]", value)))
    return str(value)


def _fields(values: Mapping[str, object]) -> str:
    return wrapped([[name, value] for name, value in values.items() if value not in (None, "")], width=terminal_width())


def _tensors(signature: Signature) -> str:
    rows = [["in", *_tensor(spec)] for spec in signature.inputs] + [["out", *_tensor(spec)] for spec in signature.outputs]
    return table(rows, head=["", "name", "dtype", "shape", "notes"])


def _tensor(spec: TensorSpec) -> list[str]:
    notes = [f"kind {spec.kind}" if spec.kind else "", spec.unit or "", "missing allowed" if spec.missing else ""]
    notes += [f"range {spec.range[0]:g} to {spec.range[1]:g} ({spec.on_range})" if spec.range else "", _names(spec.categories)]
    notes += [f"canvas {spec.canvas[0]} x {spec.canvas[1]}" if spec.canvas else "", "" if spec.required else f"default {spec.default}"]
    return [spec.name, spec.dtype, "(" + ", ".join(map(str, spec.shape)) + ")", ", ".join(filter(None, notes))]


def _names(categories: tuple[str, ...] | None) -> str:
    if categories is None:
        return ""
    return "one of " + " | ".join(categories[:6]) + (f" | {len(categories) - 6} more" if len(categories) > 6 else "")


def _stages(stages: tuple[Stage, ...]) -> str:
    rows = [[stage.kind, stage.name, stage.file, ", ".join(stage.only) or "every target"] for stage in stages]
    return table(rows, head=["stage", "name", "file", "runs on"])


def _contract(contract: Contract | None) -> str:
    if contract is None:
        return "none"
    rules = ", ".join(f"{name}: {rule.kind}" for name, rule in contract.rules.items())
    return f"{contract.rows} rows ({rules}){', shareable' if contract.shareable else ''}"


def _total(files: Mapping[str, FileEntry]) -> Any:
    return sum(entry.size for entry in files.values())
