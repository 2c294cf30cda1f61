"""Firm rows behind trees: a threshold on a *computed* feature is a decision too.

Where featurize computes what a tree compares (sums, means, a resize), targets differ in the last bits of the feature, and a
row that lies on a threshold takes another path: its score jumps, on any engine and in the source itself. Such rows are
found like other fragile ones: the features are moved within their tolerance and the rest of the program is run again.
Features that are only moved, looked up or compared are the same bits everywhere; behind them every row is firm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..sdk.core.distances import differs
from ..sdk.core.kinds import scale_of
from ..sdk.core.measures import LIMITS
from ..sdk.core.package import Package
from ..sdk.core.signature import Array, Signature
from .canvas import program_inputs
from .cut import is_exact
from .fidelity import batch_axis, rows_first
from .onnx_weights import read_graph
from .segments import Segment

DRAWS = 16


@dataclass(frozen=True)
class TreeTail:
    """The program from the features of a tree ensemble to the outputs behind it.

    Attributes:
        features: the value that is moved.
        others: further values that the segments read.
        segments: opened, the trees first.
        outputs: outputs of the package that depend on the trees.
    """

    features: str
    others: tuple[str, ...]
    segments: tuple[Segment, ...]
    outputs: tuple[str, ...]

    def run(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs for these values of the features and the others."""
        held = dict(values)
        for segment in self.segments:
            made = segment.run(list(segment.outputs), {name: held[name] for name in segment.inputs}, None)
            held.update(zip(segment.outputs, made, strict=True))
        return {name: held[name] for name in self.outputs}

    def fragile(self, signature: Signature, values: Mapping[str, Array], seed: int) -> dict[str, Array]:
        """Output -> rows whose answer leaves its tolerance when the features move within theirs."""
        random, base = np.random.default_rng(seed), self.run(values)
        steps = steps_of(values[self.features])
        found = {name: np.zeros(len(rows_first(held, batch_axis(signature, name))), bool) for name, held in base.items()}
        for _ in range(DRAWS):
            signs = random.integers(0, 2, values[self.features].shape).astype(np.float32) * 2 - 1
            moved = self.run({**values, self.features: (values[self.features] + signs * steps).astype(np.float32)})
            for name, held in moved.items():
                axis = batch_axis(signature, name)
                found[name] |= off(rows_first(base[name], axis), rows_first(held, axis))
        return found


def steps_of(features: Array) -> Array:
    """The float tolerance of each column of (rows, columns) features: 1e-4 x IQR."""
    return np.array([LIMITS["value"]["max"] * scale_of(column) for column in features.T], np.float32)


def off(base: Array, moved: Array) -> Array:
    """Rows that differ: at all where they are discrete, beyond the float tolerance where they are not."""
    if base.dtype.kind != "f":
        return differs(base, moved) > 0
    finite = base[np.isfinite(base)]
    score = finite.size > 0 and finite.min() >= 0 and finite.max() <= 1
    limit = LIMITS["score"]["atol"] if score else LIMITS["value"]["max"] * scale_of(base)
    return np.any(np.abs(base - moved).reshape(len(base), -1) > limit, axis=1)


def tree_tails(package: Package, segments: Sequence[Segment]) -> list[TreeTail]:
    """One tail per tree stage whose features an earlier graph stage computes."""
    stages = package.content.stages
    exact = program_inputs(package.signature)
    tails: list[TreeTail] = []
    for place, stage in enumerate(stages):
        makers = [maker for maker in stages[:place] if stage.kind == "trees" and stage.inputs[0] in maker.outputs]
        computed = [m for m in makers if m.kind != "graph" or not is_exact(read_graph(package, m), stage.inputs[0], exact)]
        if computed:
            tails.append(_tail(package, segments[place:], stage.inputs[0]))
    return tails


def _tail(package: Package, segments: Sequence[Segment], features: str) -> TreeTail:
    touched, needed = {features}, list[str]()
    kept: list[Segment] = []
    for segment in segments:
        if touched.intersection(segment.inputs):
            kept.append(segment)
            touched.update(segment.outputs)
    made = {name for segment in kept for name in segment.outputs}
    needed = [name for segment in kept for name in segment.inputs if name not in made and name != features]
    outputs = tuple(spec.name for spec in package.signature.outputs if spec.name in made)
    return TreeTail(features, tuple(dict.fromkeys(needed)), tuple(kept), outputs)
