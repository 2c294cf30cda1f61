"""`diff`: what is different between two packages or artifacts, read from their manifests and files; nothing of them runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, TypeAlias, cast

from ..sdk.core.contract import Contract
from ..sdk.core.errors import FormatError, StoreError
from ..sdk.core.manifest import WEIGHTS, FileEntry
from ..sdk.core.package import Package
from ..sdk.core.plan import plan_of
from ..sdk.core.signature import Signature
from ..sdk.store import Store
from .artifact import Artifact
from .evaluate import digest_of
from .subjects import contract_of

Subject: TypeAlias = Package | Artifact
Pair: TypeAlias = "dict[str, Any]"
"""{"a": ..., "b": ...}: one thing on both sides."""
_DTYPES = {
    "F64": "double", "F32": "float", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


@dataclass(frozen=True)
class Diff:
    """Two subjects side by side; what is equal is left out.

    Attributes:
        a, b: name, kind, target, digest, package and bytes of each.
        relation: how B stands to A, in words.
        signature: "in x.shape" -> what it is on both sides; a tensor that one side lacks is None there.
        stages: name -> kind and file on both sides.
        files: path -> bytes on both sides, for files whose content differs; None where there is no such file.
        weights_bytes: dtype -> bytes of weights on both sides.
        plan: "stage/node" -> precision class on both sides; "nodes in ..." where a target counts them only.
        recipe: steps that only one side has, in order.
        contract: "rows", and "rule of y" where rules differ, on both sides.
        codec: steps on both sides, where they differ.
    """

    a: Mapping[str, Any]
    b: Mapping[str, Any]
    relation: str
    signature: Mapping[str, Pair]
    stages: Mapping[str, Pair]
    files: Mapping[str, Pair]
    weights_bytes: Mapping[str, Pair]
    plan: Mapping[str, Pair]
    recipe: Pair
    contract: Mapping[str, Pair]
    codec: Mapping[str, Pair]

    @property
    def same(self) -> bool:
        """Both have the same digest."""
        return self.a["digest"] == self.b["digest"]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"same": self.same, **vars(self)}


def diff(a: Subject, b: Subject) -> Diff:
    """Compare two opened packages or artifacts. Raises FormatError, IntegrityError for files that cannot be read."""
    recipes = [_recipe(held) for held in (a, b)]
    shared = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(*recipes, strict=False))))
    rest = [list(map(dict, held[shared:])) for held in recipes]
    return Diff(
        _about(a), _about(b), relation(a, b), _differing(_tensors(a.signature), _tensors(b.signature)),
        _differing(_stages(a), _stages(b)), _files(_listed(a), _listed(b)), _differing(_weights(a), _weights(b)),
        _differing(_plan(a), _plan(b)), {"a": rest[0], "b": rest[1]} if any(rest) else {},
        _differing(_contract(a), _contract(b)), _differing({"steps": _codec(a)}, {"steps": _codec(b)}),
    )  # fmt: skip


def relation(a: Subject, b: Subject) -> str:
    """How B stands to A: the same package, derived in so many steps, from a common ancestor, or unrelated as far as is known here."""
    one, two = digest_of(a), digest_of(b)
    if one == two:
        return {(False, False): "the same package", (True, True): "two artifacts of one package"}.get(
            (isinstance(a, Artifact), isinstance(b, Artifact)), f"{'A' if isinstance(a, Artifact) else 'B'} is compiled from the other"
        )
    before, after = _ancestors(a), _ancestors(b)
    for side, digest, parents in (("B is derived from A", one, after), ("A is derived from B", two, before)):
        if digest in parents:
            steps = len(parents) - parents.index(digest)
            return f"{side}, in {steps} step{'s' if steps > 1 else ''}"
    common = [digest for digest in after if digest in before]
    return f"both are derived from {common[-1][:19]}" if common else "no common ancestor is known"


def _ancestors(subject: Subject) -> list[str]:
    """Digests, nearest last: what a package says itself, what the store knows of an artifact's."""
    if isinstance(subject, Package):
        return list(subject.content.parents)
    with suppress(StoreError):
        return [held.digest for held in reversed(Store().lineage(subject.package_digest).ancestors)]
    return []


def _about(subject: Subject) -> dict[str, Any]:
    listed = _listed(subject)
    return {
        "name": subject.name, "kind": "package" if isinstance(subject, Package) else "artifact",
        "target": None if isinstance(subject, Package) else subject.target, "digest": subject.digest, "package": digest_of(subject),
        "bytes": sum(entry.size for entry in listed.values()),
    }  # fmt: skip


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Pair]:
    names = [*a, *(name for name in b if name not in a)]
    return {name: {"a": a.get(name), "b": b.get(name)} for name in names if a.get(name) != b.get(name)}


def _tensors(signature: Signature) -> dict[str, Any]:
    """ "in x.shape" -> value, for every field of every tensor."""
    sides = (("in", signature.inputs), ("out", signature.outputs))
    return {f"{side} {spec.name}.{name}": held for side, specs in sides for spec in specs for name, held in spec.to_dict().items()
            if name != "name"}  # fmt: skip


def _stages(subject: Subject) -> dict[str, str]:
    stages = subject.content.stages if isinstance(subject, Package) else subject.stages
    return {stage.name: f"{stage.kind}: {', '.join(stage.inputs)} -> {', '.join(stage.outputs)}" for stage in stages}


def _listed(subject: Subject) -> Mapping[str, FileEntry]:
    return subject.content.files if isinstance(subject, Package) else subject.files


def _files(a: Mapping[str, FileEntry], b: Mapping[str, FileEntry]) -> dict[str, Pair]:
    sides = {name: [held[name].size if name in held else None for held in (a, b)] for name in _differing(a, b)}
    return {name: {"a": held[0], "b": held[1]} for name, held in sorted(sides.items())}


def _weights(subject: Subject) -> dict[str, int]:
    """dtype -> bytes: of an artifact what its runtime read from the compiled files, of a package its stored tensors."""
    if isinstance(subject, Artifact):
        return dict(subject.engine.get("weights_bytes", {}))
    if WEIGHTS not in subject.content.files:
        return {}
    found: dict[str, int] = {}
    for dtype, size in _tensor_sizes(subject.read(WEIGHTS)):
        found[dtype] = found.get(dtype, 0) + size
    return found


def _tensor_sizes(blob: bytes) -> Sequence[tuple[str, int]]:
    """(dtype, bytes) of every tensor in a safetensors file, from its head."""
    head = cast("dict[str, dict[str, Any]]", json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")]))
    held = [(str(tensor["dtype"]), tensor["data_offsets"]) for name, tensor in head.items() if name != "__metadata__"]
    return [(_DTYPES.get(dtype, dtype), int(end) - int(start)) for dtype, (start, end) in held]


def _plan(subject: Subject) -> Mapping[str, Any]:
    """Node -> precision class: what a package asks for, what an artifact says that it achieved."""
    if isinstance(subject, Package):
        return plan_of(subject.content.plan).nodes
    found = cast("Mapping[str, Mapping[str, Any]]", subject.engine.get("precision", {}))
    return found.get("nodes") or {f"nodes in {name}": count for name, count in found.get("achieved", {}).items()}


def _recipe(subject: Subject) -> Sequence[Mapping[str, Any]]:
    return subject.content.recipe if isinstance(subject, Package) else ()


def _codec(subject: Subject) -> list[dict[str, Any]]:
    return [dict(step) for step in (subject.content.codec if isinstance(subject, Package) else subject.codec)]


def _contract(subject: Subject) -> dict[str, Any]:
    """Golden rows and the rule of every output; nothing for an artifact that travels without them."""
    with suppress(FormatError):
        held: Contract = contract_of(subject) if isinstance(subject, Package) else subject.contract()
        return {"rows": held.rows, **{f"rule of {name}": rule.to_dict() for name, rule in held.rules.items()}}
    return {}
