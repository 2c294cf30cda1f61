"""Firm and fragile rows: does a row's discrete answer survive what floats are allowed to differ by?

The reference program is run up to the cut (runtimes/cut.py); there the values are moved 16 times to random corners of their
tolerance (1e-4 for numbers in [0, 1], else 1e-4 x IQR) and the rest of the program is run again. Rows whose discrete
outputs change are fragile, and so are rows with a NaN in the cut: a decision taken on NaN is none. Trees decide on their
features (runtimes/firm_trees.py). Outputs without a cut (host stages, native files, thresholds on the inputs themselves) have
firm rows only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..sdk.core.distances import differs
from ..sdk.core.kinds import scale_of
from ..sdk.core.manifest import Stage
from ..sdk.core.measures import LIMITS
from ..sdk.core.package import Package
from ..sdk.core.signature import Array
from .assemble import promote
from .canvas import program_inputs
from .cut import Cut, find
from .fidelity import batch_axis, rows_first
from .firm_trees import tree_tails
from .onnx_engine import OnnxEngine
from .onnx_extract import extract
from .onnx_weights import read_graph
from .opening import open_segments
from .segments import EngineOptions, Segment, stage_segment
from .session import ProgramSession, describe

DRAWS = 16
STEPS = (1.0, 10.0, 100.0, 1000.0)
"""Multiples of the tolerance that `margins` tries."""
_ENGINE = EngineOptions(threads=1, optimize="none", deterministic=True)
_CUT = "cut"


@dataclass(frozen=True)
class _Tail:
    """The part of a stage from a cut to one discrete output."""

    cut: Cut
    engine: OnnxEngine

    def run(self, values: Mapping[str, Array]) -> Array:
        return self.engine.run([self.cut.output], dict(values))[0]


class Firmness:
    """A package's program, opened once, that says which rows are firm.

    Args:
        package: trusted, where it has host stages.
        outputs: the discrete outputs to look at; others are ignored.
    """

    def __init__(self, package: Package, outputs: Iterable[str]) -> None:
        self._package, self._tails = package, list[_Tail]()
        wanted = set(outputs)
        segments = [self._open(stage, wanted) for stage in package.content.stages]
        info = describe(package.signature, "reference", package.digest, batch_invariant=False, host=False, cancellable=False)
        self._trees = tree_tails(package, segments)
        needed = [name for tail in self._tails for name in (*tail.cut.values, *tail.cut.others)]
        needed += [name for tail in self._trees for name in (tail.features, *tail.others)]
        self._session = ProgramSession(info, segments, taps={_CUT: tuple(dict.fromkeys(needed))})

    def mask(self, inputs: Mapping[str, Any], seed: int = 0) -> dict[str, Array]:
        """Output -> bool per row, for outputs that have a cut; all rows of the others are firm.

        Args:
            inputs: typed tensors, as for `Session.run`.
        """
        return self.answer(inputs, seed)[1] if self._tails or self._trees else {}

    def answer(self, inputs: Mapping[str, Any], seed: int = 0) -> tuple[dict[str, Array], dict[str, Array]]:
        """(outputs of the float program as the reference runtime gives them, `mask`), for one run of the program."""
        outputs, values = self._session.run_tapped(inputs, [_CUT])
        firm = {tail.cut.output: ~self._moved(tail, values, 1.0, seed) for tail in self._tails}
        for tail in self._trees:
            fragile = tail.fragile(self._package.signature, {name: values[name] for name in (tail.features, *tail.others)}, seed)
            firm |= {name: firm.get(name, np.ones(len(rows), bool)) & ~rows for name, rows in fragile.items()}
        return outputs, firm

    def margins(self, inputs: Mapping[str, Any], seed: int = 0) -> Array | None:
        """Per row how far the nearest decision is, in steps: 0 fragile, 1 flips within 10 tolerances, ... None without a cut."""
        if not self._tails:
            return None
        _, values = self._session.run_tapped(inputs, [_CUT])
        moved = [[self._moved(tail, values, step, seed) for step in STEPS] for tail in self._tails]
        return np.min([len(STEPS) - np.sum(steps, axis=0) for steps in moved], axis=0)

    def close(self) -> None:
        """Free the engines."""
        self._session.close()
        for tail in self._tails:
            tail.engine.close()

    def _open(self, stage: Stage, wanted: set[str]) -> Segment:
        if stage.kind == "graph" and (here := sorted(wanted.intersection(stage.outputs))):
            return self._open_graph(stage, here)
        return open_segments([stage_segment(stage, stage.file)], self._package.path, self._package.trusted, _ENGINE)[0]

    def _open_graph(self, stage: Stage, outputs: Sequence[str]) -> Segment:
        model = read_graph(self._package, stage)
        exact = program_inputs(self._package.signature)
        ends = self._package.content.boundaries.get("model", ())
        for cut in (find(model, output, ends, exact) for output in outputs):
            if cut.values:
                part = extract(model, [*cut.values, *cut.others], [cut.output])
                self._tails.append(_Tail(cut, OnnxEngine(part.SerializeToString(), _ENGINE)))
        inner = {name for tail in self._tails for name in (*tail.cut.values, *tail.cut.others)}
        return OnnxEngine(promote(model, inner).SerializeToString(), _ENGINE)

    def _moved(self, tail: _Tail, values: Mapping[str, Array], step: float, seed: int) -> Array:
        """Rows whose answer changes when the cut moves within `step` tolerances."""
        axis = batch_axis(self._package.signature, tail.cut.output)
        feeds = {name: values[name] for name in (*tail.cut.values, *tail.cut.others)}
        random = np.random.default_rng(seed)
        base = rows_first(tail.run(feeds), axis)
        changed = _undecided([feeds[name] for name in tail.cut.values], len(base))
        for _ in range(DRAWS):
            moved = {name: perturbed(feeds[name], step, random) for name in tail.cut.values}
            changed |= differs(base, rows_first(tail.run({**feeds, **moved}), axis)) > 0
        return changed


def perturbed(values: Array, step: float, random: np.random.Generator) -> Array:
    """Every number moved up or down by `step` times the float tolerance of its kind."""
    signs = random.integers(0, 2, values.shape).astype(values.dtype) * 2 - 1
    return (values + signs * np.asarray(tolerance(values) * step, values.dtype)).astype(values.dtype)


def tolerance(values: Array) -> float:
    """The float tolerance of inner values: that of scores for numbers in [0, 1], else that of values."""
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() >= 0 and finite.max() <= 1:
        return LIMITS["score"]["atol"]
    return LIMITS["value"]["max"] * scale_of(values)


def _undecided(values: Sequence[Array], rows: int) -> Array:
    """Rows with a NaN in the cut."""
    found = np.zeros(rows, bool)
    for held in values:
        if held.ndim and len(held) == rows:
            found |= np.isnan(held).reshape(rows, -1).any(axis=1)
    return found
