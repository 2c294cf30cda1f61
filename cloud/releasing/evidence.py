"""The gates on quality: the challenger against the champion, row by row, on a set that does not move and on what was labelled lately.

Rows that the challenger was trained on prove nothing. A retrained package names its dataset in its recipe; rows of that dataset count
only from its split "test".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from heapq import nlargest
from pathlib import Path
from typing import Any

from ...runtimes.audit import Audit, audit
from ...runtimes.expectations import stored
from ...sdk.core.budget import Budget
from ...sdk.core.data import Data
from ...sdk.core.decisions import NOT_ENOUGH
from ...sdk.core.errors import FormatError, StoreError
from ...sdk.core.expectations import Expectation
from ...sdk.core.gates import Gate
from ...sdk.core.package import Package
from ...sdk.dataset import MANIFEST, Dataset, dataset
from ...sdk.store import Store
from ..deployment.file import Deployment
from ..deployment.resolving import ResolvedModel
from ..records.database import Database
from ..review.gathering import Labelled
from .gates import ReleaseGate, outcome_of
from .labelled import Front, Rows, data_of

RETRAIN = "retrain"
"""Kind of the recipe's step that names the dataset."""
DAY_MS = 86_400_000


def quality_gates(deployment: Deployment, champion: ResolvedModel, challenger: ResolvedModel, champion_package: Package,
                  package: Package) -> tuple[ReleaseGate, ReleaseGate]:  # fmt: skip
    """(static, expectations). Raises PortsideError where the set cannot be answered."""
    declared = _declared(package, champion_package)
    held = _static(deployment, champion_package, package)
    if isinstance(held, str):
        expected = ReleaseGate("expectations", NOT_ENOUGH if declared else "not asked", held if declared else "none were declared")
        return ReleaseGate("static", NOT_ENOUGH, held), expected
    data, source = held
    found = audit(challenger.artifact, champion.artifact, data, gates=_limits(deployment, labelled=data.labels is not None),
                  expectations=declared, trust=champion.settings.trust or challenger.settings.trust)  # fmt: skip
    if not declared:
        return _gate("static", found, source), ReleaseGate("expectations", "not asked", "none were declared")
    gates = tuple(held.gate for held in found.expectations)
    why = "; ".join(str(gate) for gate in gates)
    return _gate("static", found, source), ReleaseGate("expectations", outcome_of(gates), why, gates, {"rows": found.rows})


def recent_gate(deployment: Deployment, champion: ResolvedModel, challenger: ResolvedModel, package: Package, now_ms: int) -> ReleaseGate:
    """Quality on the newest labelled records. Raises PortsideError."""
    settings = deployment.gates
    if settings.max_drop is None:
        return ReleaseGate("recent", "not asked", "[gates] has no max_drop")
    place = deployment.records.place(deployment.folder)
    if isinstance(place, Path) and not place.is_file():
        return ReleaseGate("recent", NOT_ENOUGH, "nothing was served yet, so nothing is labelled")
    front = Front.of(deployment.name, champion, deployment.review.output)
    trained, seen = _trained_on(deployment, package), Counter[bool]()
    with Database.open(place) as database:
        rows = Rows(database, front, now_ms - int(settings.recent_days * DAY_MS), now_ms + 1)
        kept = nlargest(settings.recent_rows, _new(rows, trained, seen), key=lambda row: (row.created_ms, row.key))
    figures = {"labelled": seen.total(), "trained_on": seen[False], "left_out": dict(rows.left_out), "rows": len(kept)}
    if not kept:
        return ReleaseGate("recent", NOT_ENOUGH, _nothing(figures, settings.recent_days), figures=figures)
    data = data_of(kept, front, deployment.rollout.slices if deployment.rollout is not None else ())
    found = audit(challenger.artifact, champion.artifact, data, gates=Budget(max_drop=settings.max_drop), expectations=(),
                  trust=champion.settings.trust or challenger.settings.trust, output=front.output)  # fmt: skip
    source = f"{len(kept)} rows labelled within {settings.recent_days:g} days" + _without(figures)
    return _gate("recent", found, source, {**figures, "reviewed": _reviewed(kept)})


def _new(rows: Iterable[Labelled], trained: Set[tuple[str, int]], seen: Counter[bool]) -> Iterator[Labelled]:
    """The rows that it was not trained on, one at a time, for their pictures are large; `seen` counts both kinds."""
    for row in rows:
        new = (row.record, row.row) not in trained
        seen[new] += 1
        if new:
            yield row


def datasets_of(deployment: Deployment) -> Path:
    """Where datasets that were made for retraining lie."""
    return deployment.folder / "datasets" / deployment.name


def find_dataset(deployment: Deployment, digest: str) -> Dataset | None:
    """The dataset of this digest among those; None: it is not here. Raises IntegrityError, FormatError."""
    folder = datasets_of(deployment) / digest.removeprefix("sha256:")
    return dataset(folder) if (folder / MANIFEST).is_file() else None


def _trained_on(deployment: Deployment, package: Package) -> set[tuple[str, int]]:
    """(record, row) of what the challenger, or a package that it was made from, saw in training.

    Raises FormatError where that is not known here.
    """
    seen = set[tuple[str, int]]()
    for step in package.content.recipe:
        if step.get("kind") != RETRAIN:
            continue
        found = find_dataset(deployment, str(step["dataset"]))
        if found is None:
            raise FormatError("The dataset that the challenger was trained on is not here, so no recent row is known to be new to it",
                              got=step["dataset"], expected=f"a folder below {datasets_of(deployment)}")  # fmt: skip
        seen |= {(row["record"], row["row"]) for row in found.rows if row["split"] != "test"}
    return seen


def _static(deployment: Deployment, champion: Package, package: Package) -> tuple[Data, str] | str:
    """(rows, where they are from), or why there are none."""
    said = deployment.gates.evidence
    if said is not None and not said.startswith("sha256:"):
        held = dataset(deployment.folder / said)
        return held.data("test"), f"the test split of {said}"
    digest = said or champion.content.evidence or package.content.evidence
    if digest is None:
        return "there is no static set: pack with evidence=, or say [gates] evidence"
    try:
        return Store().evidence(digest), f"the evidence set {digest[7:19]}"
    except StoreError:
        return f"the evidence set {digest[7:19]} is not in this store"


def _limits(deployment: Deployment, labelled: bool) -> Budget:
    held = deployment.gates
    return Budget(max_drop=held.max_drop, max_slice_drop=held.max_slice_drop, max_flips=held.max_flips)


def _declared(package: Package, champion: Package) -> tuple[Expectation, ...]:
    """The challenger's expectations, and the champion's that it does not carry: a successor does not shed them."""
    own, old = stored(package), stored(champion)
    kept = {str(held) for held in own}
    return (*own, *(held for held in old if str(held) not in kept))


def _gate(name: Any, found: Audit, source: str, figures: Mapping[str, Any] | None = None) -> ReleaseGate:
    changes = [f"{metric} {held.before.value:.4g} -> {held.after.value:.4g}" for metric, held in list(found.changes.items())[:2]]
    flips = [f"{held.rate.value:.2%} of {held.output} differ" for held in found.flips[:1]]
    why = "; ".join([*changes, *flips, *(str(gate) for gate in found.gates), f"on {source}"])
    more = {"rows": found.rows, "labelled": found.labelled, "changes": {key: held.to_dict() for key, held in found.changes.items()},
            "notes": list(found.notes)}  # fmt: skip
    return ReleaseGate(name, outcome_of(found.gates), why, _sorted(found.gates), {**more, **(figures or {})})


def _sorted(gates: Sequence[Gate]) -> tuple[Gate, ...]:
    return tuple(sorted(gates, key=lambda gate: gate.name))


def _nothing(figures: Mapping[str, Any], days: float) -> str:
    if not figures["labelled"]:
        left = "; ".join(f"{count}: {why}" for why, count in figures["left_out"].items())
        return f"no row of the last {days:g} days is labelled" + (f" and kept ({left})" if left else "")
    return f"all {figures['labelled']} labelled rows of the last {days:g} days were trained on"


def _without(figures: Mapping[str, Any]) -> str:
    return f", without {figures['trained_on']} that it was trained on" if figures["trained_on"] else ""


def _reviewed(rows: Sequence[Labelled]) -> int:
    """Rows that were chosen for a person: the hard ones are many among them."""
    return sum(bool(row.review) for row in rows)
