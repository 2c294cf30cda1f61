"""The freshness experiment: does it matter how old the training data are? The same command is run on older and older windows of labelled
rows, and each model answers today's rows.

- Rows are ordered by when they were asked. The newest share is "today"; what is before is cut into windows of equally many rows, so that
  only age differs between them.
- Every model is held against the one of the newest window, row by row: the loss by age comes with a paired 95% interval.
- Nothing is pushed, gated or tried. A window that was trained is not trained again when the experiment is taken up.

Source: He et al. (2014), "Practical Lessons from Predicting Clicks on Ads at Facebook", section 3.1 (data freshness).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...runtimes.evaluate import Evaluation, evaluate
from ...runtimes.quality import LOW_IS_GOOD
from ...sdk.core.canonical import digest_of
from ...sdk.core.data import Data
from ...sdk.core.errors import InputError
from ...sdk.core.package import Package, open_folder
from ...sdk.core.replacing import replace_file
from ...sdk.core.statistics import MIN_ROWS, Estimate
from ...sdk.dataset import Dataset
from ..releasing.labelled import Front, data_of
from ..review.dataset import Options, write
from ..review.gathering import Labelled
from .triggers import DAY_MS

Load = Callable[[Sequence[Labelled]], Iterable[Labelled]]
"""The same rows with what is in them, one at a time."""
Train = Callable[[Dataset, Path], None]
"""Runs the command on a dataset and leaves a package at a folder."""


@dataclass(frozen=True)
class Point:
    """One window.

    Attributes:
        start_ms, end_ms: when its first and last row were asked.
        age_days: from its last row to today's first.
        rows: labelled rows in it, all splits.
        quality: the metric on today's rows.
        loss: what it loses against the newest window, paired; positive is worse. None: it is the newest.
    """

    start_ms: int
    end_ms: int
    age_days: float
    rows: int
    quality: Estimate
    loss: Estimate | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**vars(self), "quality": self.quality.to_dict(), "loss": self.loss.to_dict() if self.loss else None}


@dataclass(frozen=True)
class Freshness:
    """What was found.

    Attributes:
        metric: "accuracy", or "mae".
        today: rows that all were asked.
        champion: the package that answers now, on the same rows.
        points: the newest window first.
    """

    metric: str
    today: int
    champion: Estimate
    points: tuple[Point, ...]

    @property
    def verdict(self) -> str:
        """What a reader may take from it: "age costs" where the oldest window is surely worse, "age does not show" else."""
        last = self.points[-1].loss
        return "age costs" if last is not None and last.low > 0 else "age does not show"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"metric": self.metric, "today": self.today, "champion": self.champion.to_dict(), "verdict": self.verdict,
                "points": [point.to_dict() for point in self.points]}  # fmt: skip


@dataclass(frozen=True)
class Windows:
    """Rows by time: `today`, and windows before it, the newest first."""

    today: tuple[Labelled, ...]
    parts: tuple[tuple[Labelled, ...], ...]

    @classmethod
    def of(cls, rows: Sequence[Labelled], count: int, share: float) -> Windows:
        """Cut rows. Raises InputError where there are too few: every part has `MIN_ROWS` at least."""
        ordered = sorted(rows, key=lambda row: (row.created_ms, row.key))
        held = round(len(ordered) * share)
        size = (len(ordered) - held) // count
        if min(held, size) < MIN_ROWS:
            raise InputError("There are too few labelled rows to cut into windows", got=f"{len(ordered)}: {size} a window, {held} of today",
                             expected=f"{MIN_ROWS} in each, or fewer --windows")  # fmt: skip
        before = ordered[: len(ordered) - held]
        parts = [tuple(before[len(before) - size * (place + 1) : len(before) - size * place]) for place in range(count)]
        return cls(tuple(ordered[len(ordered) - held :]), tuple(parts))


def experiment(windows: Windows, front: Front, options: Options, champion: Package, train: Train, key: Mapping[str, Any], folder: Path,
               load: Load = lambda rows: rows, progress: Callable[[str], None] = lambda text: None) -> Freshness:  # fmt: skip
    """Train on every window and ask today's rows.

    Args:
        windows: see Windows.
        front: of the deployment.
        options: how the rows of a window are split for the command.
        champion: answers now.
        train: runs the command.
        key: what else a model depends on (the command, its weights), for taking the experiment up again.
        folder: for datasets and models; those that are there are not made again.
        load: where the windows hold rows without what is in them, for pictures are large.
        progress: told of each window.

    Raises what the command and the evaluation raise.
    """
    today = data_of(list(load(windows.today)), front)
    names = front.signature.output(front.output).categories
    made: list[Package] = []
    for place, part in enumerate(windows.parts, 1):
        progress(f"window {place} of {len(windows.parts)}: {len(part)} rows")
        dataset, _ = write(load(part), folder / "datasets", f"{front.name}-window", options, names)
        made.append(_trained(dataset, train, folder / "models" / digest_of({**key, "dataset": dataset.digest})[7:39], champion.trusted))
    progress(f"{len(today)} rows of today are asked")
    old = evaluate(champion, today, trust=champion.trusted)
    points = _points(windows, made, today)
    found = Freshness(old.quality.primary, len(today), old.metrics[old.quality.primary], points)
    replace_file(folder / "freshness.json", (json.dumps(found.to_dict(), indent=1) + "\n").encode())
    return found


def _trained(dataset: Dataset, train: Train, place: Path, trust: bool) -> Package:
    if not place.is_dir():
        draft = place.with_name(f"{place.name}.{os.getpid()}.new")
        for left in place.parent.glob(f"{place.name}.*.new"):
            shutil.rmtree(left, ignore_errors=True)
        draft.parent.mkdir(parents=True, exist_ok=True)
        train(dataset, draft)
        draft.rename(place)
    return open_folder(place, trust=trust)


def _points(windows: Windows, made: Sequence[Package], today: Data) -> tuple[Point, ...]:
    first_ms, found = windows.today[0].created_ms, list[Point]()
    for place, (part, package) in enumerate(zip(windows.parts, made, strict=True)):
        held = evaluate(package, today, made[0] if place else None, trust=package.trusted)
        age = (first_ms - part[-1].created_ms) / DAY_MS
        found.append(Point(part[0].created_ms, part[-1].created_ms, age, len(part), held.metrics[held.quality.primary],
                           _loss(held) if place else None))  # fmt: skip
    return tuple(found)


def _loss(held: Evaluation) -> Estimate:
    """The difference to the newest window, turned so that more is worse."""
    name = held.quality.primary
    gap = held.difference[name]
    return gap if name in LOW_IS_GOOD else Estimate(-gap.value, -gap.high, -gap.low, gap.rows)
