"""`compress`: a recipe run on a package; with a target and held-out rows, precision climbs the ladder until what comes out holds.

What is measured is held against the package that the recipe began with, whatever passes came before precision.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..sdk.core.data import Data
from ..sdk.core.package import Package
from ..sdk.core.temporary import temporary_folder
from .base import Pass, PassContext
from .derive import finished
from .foresight import check_places, look_ahead
from .gated import gated
from .judgement import Judge
from .kept_steps import KeptSteps
from .ladder import Climb
from .quantize import Quantize
from .recipe import Recipe, recipe_of
from .resuming import Kept

LADDER = "annotations/ladder.json"
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Compressed:
    """What came out, and the climb that led there.

    Attributes:
        package: derived; the parent itself where nothing lower than float32 held, or what passes made breaks a gate.
        climb: None without a target: then nothing was measured. One rung where a recipe ends in another pass than `quantize`.
    """

    package: Package
    climb: Climb | None = None


def compress(package: Package, recipe: Recipe | Pass | str | Path, data: Data, *, target: str | None = None, held_out: Data | None = None,
             out: Path | str | None = None, seed: int = 0, resume: Path | str | None = None,
             progress: Progress = lambda done, of, what: None) -> Package:  # fmt: skip
    """Run a recipe, which is looked at before any work: what cannot run is refused before passes in front of it have trained.

    Args:
        package: float, opened; with trust, where it has host stages.
        recipe: a `Recipe`, one pass, a TOML or JSON file, or a class of precision ("int8-static").
        data: rows that passes learn from: calibration, training.
        target: the runtime to measure on. With it, precision climbs the ladder: layers that hurt go back to float, other
            calibrations and classes are tried, until fidelity and the recipe's gates hold on `held_out`, not slower or larger than float.
            What a recipe without `quantize` at its end makes is measured once, and where it does not hold nothing is written.
        held_out: rows to judge on, with labels where there are any; needed with `target`, and of no use without.
        out: a new folder; default: the store, under the package's name.
        seed: of everything random.
        resume: a folder that keeps finished passes, and of the one under way the checkpoints of training or the steps that are done
            (rows that were looked at, rungs that were measured): the same call goes on from them.
        progress: called with (done, of, what).

    Returns:
        Package: derived, with lineage and recipe. `package` itself where the ladder ended at float32, or what passes made does not hold.

    Raises:
        InputError: a recipe that means nothing, too little data, one of `target` and `held_out` without the other.
        UnsupportedError: no node can take the class; no such target, or a pass that the package cannot take.
        StoreError: `out` is not empty, or cannot be written; what `resume` keeps is damaged.
    """
    return compressed(package, recipe, data, target=target, held_out=held_out, out=out, seed=seed, resume=resume, progress=progress).package


def compressed(package: Package, recipe: Recipe | Pass | str | Path, data: Data, *, target: str | None = None, held_out: Data | None = None,
               out: Path | str | None = None, seed: int = 0, resume: Path | str | None = None,
               progress: Progress = lambda done, of, what: None) -> Compressed:  # fmt: skip
    """As `compress`, with the climb beside the package."""
    steps, kept = recipe_of(recipe), Kept(None if resume is None else Path(resume), data, seed, package.digest)
    judge = None if target is None or held_out is None else Judge(package, target, held_out, data, steps.gates, seed, progress,
                                                                  KeptSteps(kept.checkpoints))  # fmt: skip
    check_places(target, held_out, None if out is None else Path(out))
    look_ahead(steps.passes, package, data)
    climb: Climb | None = None
    with temporary_folder("portside-compress-") as work:
        made = package
        for number, step in enumerate(steps.passes):
            climbs = isinstance(step, Quantize) and judge is not None
            place = None if climbs else kept.place(made, step)  # a climb keeps its rungs, and is told from them again
            if (before := kept.found(place, package.trusted)) is not None:
                made = before
                continue
            context = PassContext(place or work / f"{number}", seed, progress=progress, checkpoints=kept.checkpoints, origin=package)
            if isinstance(step, Quantize) and judge is not None:
                made, climb = judge.climb(made, steps.passes[:number], step, context.out)
                if not climb.chosen.trial.passed:
                    return Compressed(package, climb)
            else:
                made = step.run(made, data, context)
        if made.digest == package.digest:
            return Compressed(package, climb)
        if judge is not None and not isinstance(steps.passes[-1], Quantize):
            climb = judge.measure(made, steps.passes)
            if not climb.chosen.trial.passed:
                return Compressed(package, climb)
        made = gated(made, steps.gates, work / "gated")
        notes = {} if climb is None else {LADDER: json.dumps(climb.to_dict(), indent=1, allow_nan=False).encode()}
        return Compressed(finished(made, package, None if out is None else Path(out), notes), climb)
