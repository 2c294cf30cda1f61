"""Gates that travel: the limits a package was made within become a step of its recipe, which every compile of it asks again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..runtimes.gating import KIND
from ..runtimes.subjects import contract_of
from ..sdk.core.budget import Budget
from ..sdk.core.manifest import CONTRACT, CONTRACT_TENSORS
from ..sdk.core.package import Package
from .derive import derive


def gated(package: Package, gates: Budget, out: Path) -> Package:
    """The package with these gates in its recipe; itself where there are none.

    A limit on flips is the contract's as well: it replaces the kind's own, which trials were judged without and verifications read.

    Args:
        package: derived.
        gates: `max_drop`, `max_slice_drop`, `max_flips`; other limits are left out, for a compile cannot judge them.
        out: folder that does not exist yet.
    """
    limits = gates.gates.limits
    if not limits:
        return package
    files = _contract(package, limits["max_flips"]) if "max_flips" in limits else {}
    return derive(package, {"kind": KIND, **limits}, out, files=files)


def _contract(package: Package, max_flips: float) -> dict[str, bytes]:
    held = contract_of(package)
    rules = {name: replace(rule, limits={**rule.limits, "max_flips": max_flips}) if rule.kind in ("decision", "sequence") else rule
             for name, rule in held.rules.items()}  # fmt: skip
    return dict(zip((CONTRACT, CONTRACT_TENSORS), replace(held, rules=rules).to_bytes(), strict=True))
