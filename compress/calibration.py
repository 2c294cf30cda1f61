"""Calibration: what range does each inner value of a program take on the user's data? Batch by batch, featurize included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..runtimes.assemble import LowerStage, promote
from ..runtimes.onnx_engine import OnnxEngine
from ..runtimes.onnx_weights import read_graph
from ..runtimes.opening import open_segments
from ..runtimes.segments import EngineOptions, stage_segment
from ..runtimes.session import ProgramSession, describe
from ..runtimes.subjects import rows_at_once
from ..sdk.core import golden
from ..sdk.core.codec.codec import Codec
from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest
from ..sdk.core.door import Door
from ..sdk.core.errors import InputError
from ..sdk.core.manifest import Stage
from ..sdk.core.package import Package
from ..sdk.core.plan import Means, Range
from ..sdk.core.signature import Array, Signature
from .averages import Average
from .histogram import Histogram, Method
from .kept_steps import NOWHERE, Held, KeptSteps

ROWS = 512
"""Rows that are looked at unless the caller says how many."""
FEW_ROWS = 100
"""Fewer rows than this are reported as few."""
AT_ONCE = 32
"""Most rows of one call: inner values of more would not fit into caches."""
KIND = _TAP = "calibration"
_ENGINE = EngineOptions(threads=1, optimize="none", deterministic=True)
QUICK = EngineOptions(threads=1, optimize="all", deterministic=True)
"""For what bits do not matter to: ranges, factors, damages."""


@dataclass(frozen=True)
class Calibration:
    """What was seen.

    Attributes:
        histograms: "stage/value" -> histogram.
        rows: rows that were run.
        digest: of those rows, as they were given.
        means: "stage/value" -> mean of each channel, of the values whose channels' axis was given.
        warnings: what a user should know about the data: few rows, one class, values that never varied, NaN.
    """

    histograms: Mapping[str, Histogram]
    rows: int
    digest: str
    warnings: tuple[str, ...] = ()
    means: Mapping[str, Means] = field(default_factory=dict[str, Means])

    def ranges(self, method: Method = "min-max", percentile: float = 99.99) -> dict[str, Range]:
        """Value -> range by a method. Values that were never finite are left out."""
        return {name: held.range(method, percentile) for name, held in self.histograms.items() if held.seen}

    def describe(self, method: Method, percentile: float) -> dict[str, Any]:
        """What a plan keeps of it, warnings included: whoever opens the package later has not seen the rows."""
        found = {"method": method, "rows": self.rows, "data": self.digest} | ({"percentile": percentile} if method == "percentile" else {})
        return found | ({"warnings": list(self.warnings)} if self.warnings else {})


@dataclass
class Probe:
    """A package's float program with inner values as further outputs.

    Args:
        package: trusted, where it has host stages.
        values: stage -> names of values of its graph.
        precision: what becomes of a stage's graph beforehand; None: float as it is.
        engine: of the graphs; the default is the reference's.
    """

    package: Package
    values: Mapping[str, Iterable[str]]
    precision: LowerStage | None = None
    engine: EngineOptions = _ENGINE
    session: ProgramSession = field(init=False)

    def __post_init__(self) -> None:
        package = self.package
        package.require_trust()
        self.names = {f"{stage}/{name}": name for stage, names in self.values.items() for name in names}
        segments = [self._open(stage) for stage in package.content.stages]
        info = describe(package.signature, "reference", package.digest, batch_invariant=False, host=False, cancellable=False)
        self.session = ProgramSession(info, segments, door=False, taps={_TAP: tuple(dict.fromkeys(self.names.values()))})
        self._codec, self._door = Codec.from_steps(package.content.codec, package.read), Door(package.signature)

    def _open(self, stage: Stage) -> Any:
        wanted = set(self.values.get(stage.name, ()))
        if stage.kind != "graph" or not (wanted or self.precision):
            return open_segments([stage_segment(stage, stage.file)], self.package.path, self.package.trusted, self.engine)[0]
        model = promote(read_graph(self.package, stage), wanted)
        return OnnxEngine((model if self.precision is None else self.precision(stage.name, model)).SerializeToString(), self.engine)

    def run(self, wire: Mapping[str, Any]) -> tuple[dict[str, Array], dict[str, Array]]:
        """(outputs, "stage/value" -> array) for wire inputs."""
        typed = self._door.check(self._codec.encode(wire)).arrays
        outputs, inner = self.session.run_tapped(typed, [_TAP])
        return outputs, {key: inner[name] for key, name in self.names.items()}

    def close(self) -> None:
        """Free the engines."""
        self.session.close()


def calibrate(package: Package, data: Data, values: Mapping[str, Iterable[str]], rows: int = ROWS, seed: int = 0,
              progress: Callable[[int, int, str], None] = lambda done, of, what: None,
              axes: Mapping[str, int] | None = None, steps: KeptSteps = NOWHERE) -> Calibration:  # fmt: skip
    """Run a sample of the data through the float program and keep a histogram of each value.

    Args:
        package: its codec and featurize are used, so `data` is what a user has.
        data: without labels too; with labels, every class is sampled by its share and coverage is looked at.
        values: stage -> names of values.
        rows: at most this many rows, chosen at random.
        seed: of the choice.
        progress: called with (rows done, rows, what).
        axes: "stage/value" -> the axis of its channels, for values whose means are wanted.
        steps: keeps what was seen so far, batch by batch.

    Raises InputError for data without rows or of other fields, TrustError for host stages.
    """
    if not len(data):
        raise InputError("There are no rows to calibrate with", fix="Pass Data with at least 100 rows of what the model will meet.")
    at_once = rows_of_call(package.signature)
    chosen = _sample(data, whole_calls(package.signature, min(rows, len(data))), seed)
    sample = data.take(chosen)
    seen = Seen({f"{stage}/{name}": Histogram() for stage, names in values.items() for name in names},
                 {name: Average(axis) for name, axis in (axes or {}).items()})  # fmt: skip
    digest = data_digest(sample)
    key = {"package": package.digest, "rows": digest, "at_once": at_once, "values": sorted(seen.histograms), "axes": dict(axes or {})}
    if (held := steps.read(KIND, key)) is not None:
        seen = Seen.of(held)
    if seen.rows < len(sample):
        with closing(Probe(package, values, engine=QUICK)) as probe:
            for batch in sample.take(range(seen.rows, len(sample))).batches(at_once):
                progress(seen.rows, len(sample), "calibration")
                seen.add(probe.run(batch.inputs)[1], len(batch))
                if steps.due or seen.rows == len(sample):
                    steps.write(KIND, key, seen.held())
    means = {name: held.mean for name, held in seen.averages.items() if held.mean}
    return Calibration(seen.histograms, len(sample), digest, tuple(_warnings(data, chosen, seen.histograms)), means)


@dataclass
class Seen:
    """What the first `rows` rows of a sample showed."""

    histograms: dict[str, Histogram]
    averages: dict[str, Average]
    rows: int = 0

    def add(self, values: Mapping[str, Array], rows: int) -> None:
        """The next rows."""
        for name, value in values.items():
            self.histograms[name].add(value)
            if name in self.averages:
                self.averages[name].add(value)
        self.rows += rows

    def held(self) -> Held:
        """As a file holds it: the histograms, then the averages."""
        items = [*(held.to_tensors() for held in self.histograms.values()), *(held.to_tensors() for held in self.averages.values())]
        return Held(items, {"rows": self.rows, "histograms": [*self.histograms], "averages": [*self.averages]})

    @classmethod
    def of(cls, held: Held) -> Seen:
        """What `held` made."""
        names, averaged = held.said["histograms"], held.said["averages"]
        histograms = {name: Histogram.from_tensors(item) for name, item in zip(names, held.items, strict=False)}
        averages = {name: Average.from_tensors(item) for name, item in zip(averaged, held.items[len(names) :], strict=True)}
        return cls(histograms, averages, held.said["rows"])


def rows_of_call(signature: Signature, most: int = AT_ONCE) -> int:
    """Rows of one call of the program: as many as it takes where that number is fixed, and few otherwise."""
    return _fixed(signature) or min(rows_at_once(signature), most)


def whole_calls(signature: Signature, rows: int) -> int:
    """Of so many rows, those that fill whole calls of a program that takes a fixed number. Raises InputError where there is none."""
    fixed = _fixed(signature) or 1
    if rows < fixed:
        raise InputError("The program takes more rows at once than there are", got=rows, expected=f"at least {fixed}")
    return rows - rows % fixed


def _fixed(signature: Signature) -> int | None:
    return golden.fixed_rows(signature) if golden.batched(signature) else None


def _sample(data: Data, rows: int, seed: int) -> Array:
    return np.sort(np.random.default_rng(seed).permutation(len(data))[:rows])


def _warnings(data: Data, chosen: Array, histograms: Mapping[str, Histogram]) -> Iterator[str]:
    if len(chosen) < FEW_ROWS:
        yield f"calibrated on {len(chosen)} rows: ranges of rare inputs are likely too narrow; {FEW_ROWS} or more are better"
    if data.labels is not None and np.asarray(data.labels).ndim == 1 and np.asarray(data.labels).dtype.kind in "iubOUS":
        labels = np.asarray(data.labels).astype(str)
        absent = sorted(set(np.unique(labels)) - set(labels[chosen]))
        if absent:
            yield f"calibration saw no row of the classes {', '.join(absent[:8])}"
    for what, held in data.slices.items():
        absent = sorted(set(np.unique(held.astype(str))) - set(held.astype(str)[chosen]))
        if absent:
            yield f"calibration saw no row of the slices {', '.join(f'{what}={group}' for group in absent[:8])}"
    if odd := [name for name, held in histograms.items() if held.odd]:
        yield f"{len(odd)} values were NaN or infinite on some row, first {odd[0]}: those numbers were left out"
    if flat := [name for name, held in histograms.items() if held.seen and held.low == held.high]:
        yield f"{len(flat)} values never varied, first {flat[0]}: the data does not exercise the model"
