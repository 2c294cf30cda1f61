"""Smoothing factors: by what is each channel of an activation divided, so that int8 loses least? Measured on the user's data.

As in SmoothQuant (Xiao et al., ICML 2023) a channel's factor comes of how large it is, and of how large the weights are that read it:
max|X|^a / max|W|^b. There a + b = 1 for the whole model; here both are chosen value by value, by the error of the products that read
it, as int8-dynamic computes them. A value whose products gain little is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from ..runtimes.precision.onnx_nodes import Graph
from ..runtimes.precision.onnx_smooth import factors_of, row_axis
from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest
from ..sdk.core.errors import InputError
from ..sdk.core.package import Package
from ..sdk.core.plan import OCTAVE, Exponents
from ..sdk.core.signature import Array
from .calibration import QUICK, Probe, rows_of_call, whole_calls
from .kept_steps import NOWHERE, KeptSteps

ROWS = 128
"""Rows of the data that are run."""
KEPT_CALLS, KEPT_ROWS = 8, 32
"""Calls, and rows of a value in each, that the error is measured on."""
LARGE, SMALL_WEIGHTS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0), (0.0, 0.3)
"""The exponents a and b that are tried."""
GAIN = 0.9
"""A value is smoothed where the error falls to this part of what it was, or below."""
KIND = "smoothing"
_LEAST, _MOST = 1e-4, 100
"""Channels smaller than this part of the largest count as this small; the largest exponent."""


@dataclass(frozen=True)
class Smoothing:
    """What was found.

    Attributes:
        exponents: "stage/value" -> exponent of each channel, as a plan keeps them.
        errors: "stage/value" -> relative error of the products that read it, as it is and smoothed.
        rows: rows that were run.
        digest: of those rows.
    """

    exponents: Mapping[str, Exponents]
    errors: Mapping[str, tuple[float, float]]
    rows: int
    digest: str


@dataclass
class Seen:
    """A value over several calls.

    Attributes:
        size: (channels,) largest absolute number.
        calls: (rows (n, channels) of a call, lowest (channels,), highest (channels,)).
    """

    size: Array | None = None
    calls: list[tuple[Array, Array, Array]] = field(default_factory=list[tuple[Array, Array, Array]])

    def add(self, value: Array, draw: np.random.Generator) -> None:
        """One call's value, (..., channels)."""
        self.take(self.look(value, draw))

    def look(self, value: Array, draw: np.random.Generator) -> dict[str, Array]:
        """What is needed of it."""
        rows = value.reshape(-1, value.shape[-1])
        chosen = rows[draw.permutation(len(rows))[:KEPT_ROWS]] if len(self.calls) < KEPT_CALLS else rows[:0]
        return {"low": rows.min(axis=0), "high": rows.max(axis=0), "rows": chosen, "count": np.array(len(rows))}

    def looked(self, held: Mapping[str, Array], draw: np.random.Generator) -> None:
        """Draw as `look` did when it gave this."""
        if len(self.calls) < KEPT_CALLS:
            draw.permutation(int(held["count"]))

    def take(self, held: Mapping[str, Array]) -> None:
        """What `look` gave of a call."""
        low, high = held["low"], held["high"]
        size = np.maximum(-low, high)
        self.size = size if self.size is None else np.maximum(self.size, size)
        if len(self.calls) < KEPT_CALLS:
            self.calls.append((held["rows"], low, high))


def find_smoothing(package: Package, graphs: Mapping[str, Graph], nodes: Sequence[str], data: Data, rows: int = ROWS, seed: int = 0,
                   progress: Callable[[int, int, str], None] = lambda done, of, what: None,
                   steps: KeptSteps = NOWHERE) -> Smoothing:  # fmt: skip
    """Run a sample of the data in float, then choose factors for every value that products read.

    Args:
        package: its codec and featurize are used.
        graphs: stage -> graph.
        nodes: "stage/node" of the products; other nodes are left out.
        data: what a user has.
        rows: of it, at random.
        seed: of the choice.
        progress: called with (done, of, what).
        steps: keeps what was seen, call by call, and the factors that were chosen, value by value.

    Raises InputError for data without rows, TrustError for host stages.
    """
    if not len(data):
        raise InputError("There are no rows to smooth with", fix="Pass Data with rows of what the model will meet.")
    draw = np.random.default_rng(seed)
    sample = data.take(np.sort(draw.permutation(len(data))[: whole_calls(package.signature, min(rows, len(data)))]))
    weights, digest = dict(_weights(graphs, nodes)), data_digest(sample)
    key = {"package": package.digest, "rows": digest, "seed": seed, "values": [*weights]}
    seen = _seen(package, [*weights], sample, draw, steps, key)
    found, chosen = dict[str, tuple[Exponents, float, float]](), steps.series(KIND, {**key, "what": "factors"})
    for done, (name, matrices) in enumerate(weights.items()):
        progress(done, len(weights), f"smoothing of {name}")
        held = chosen.step(lambda name=name, matrices=matrices: _tensors(*choose(seen[name], matrices)))
        found[name] = (tuple(held["exponents"].tolist()), *held["errors"].tolist())
    exponents = {name: steps for name, (steps, before, after) in found.items() if after <= GAIN * before}
    return Smoothing(exponents, {name: held[1:] for name, held in found.items()}, len(sample), digest)


def choose(seen: Seen, weights: Sequence[Array]) -> tuple[Exponents, float, float]:
    """(exponents, error without, error with them) of a value and the weights, (channels, columns), that read it."""
    plain = (0,) * len(weights[0])
    before = best = error(seen, weights, plain)
    chosen: Exponents = plain
    for a, b in product(LARGE, SMALL_WEIGHTS):
        steps = exponents(seen, weights, a, b)
        if (held := error(seen, weights, steps)) < best:
            best, chosen = held, steps
    return chosen, before, best


def exponents(seen: Seen, weights: Sequence[Array], a: float, b: float) -> Exponents:
    """max|X|^a / max|W|^b by channel, around one, in steps of an eighth of an octave."""
    if seen.size is None or not np.isfinite(seen.size).all():
        return (0,) * len(weights[0])
    rows = np.max([np.abs(weight).max(axis=1) for weight in weights], axis=0)
    octaves = a * _log(seen.size) - b * _log(rows)
    return tuple(int(step) for step in np.clip(np.rint(OCTAVE * (octaves - octaves.mean())), -_MOST, _MOST))


def error(seen: Seen, weights: Sequence[Array], steps: Exponents) -> float:
    """Root of the mean square error of the products in int8, each relative to the spread of its results."""
    factors = factors_of(steps)
    lowered = [_columns(weight * factors[:, None]) for weight in weights]
    found: list[float] = []
    for rows, low, high in seen.calls:
        codes = _tensor(rows / factors, float((low / factors).min()), float((high / factors).max()))
        for weight, held in zip(weights, lowered, strict=True):
            truth = rows @ weight
            found.append(float(np.mean((codes @ held - truth) ** 2)) / max(float(np.var(truth)), 1e-30))
    return float(np.sqrt(np.mean(found))) if found else 0.0


def _weights(graphs: Mapping[str, Graph], nodes: Sequence[str]) -> Iterator[tuple[str, list[Array]]]:
    """Value -> weights (channels, columns) of the products that read it; ids as "stage/name"."""
    readers: dict[str, list[Array]] = {}
    for name in nodes:
        stage, _, node_name = name.partition("/")
        node = graphs[stage].named[node_name]
        if node.op_type in ("Gemm", "MatMul"):
            weight = graphs[stage].held(node)
            readers.setdefault(f"{stage}/{node.input[0]}", []).append(weight.T if row_axis(node) else weight)
    yield from readers.items()


def _seen(package: Package, names: Sequence[str], sample: Data, draw: np.random.Generator, steps: KeptSteps,
          key: Mapping[str, Any]) -> dict[str, Seen]:  # fmt: skip
    """Every value over the sample."""
    values: dict[str, list[str]] = {}
    for name in names:
        stage, _, value = name.partition("/")
        values.setdefault(stage, []).append(value)
    found = {f"{stage}/{name}": Seen() for stage, own in values.items() for name in own}
    kept = steps.series(KIND, {**key, "what": "values"})
    with closing(Probe(package, values, engine=QUICK)) as probe:

        def look(batch: Data) -> dict[str, Array]:
            seen = probe.run(batch.inputs)[1]
            return {f"{name}/{part}": held for name, value in seen.items() for part, held in found[name].look(value, draw).items()}

        for place, batch in enumerate(sample.batches(rows_of_call(package.signature))):
            whole = kept.step(lambda batch=batch: look(batch))
            for name, seen in found.items():
                held = {part: whole[f"{name}/{part}"] for part in ("low", "high", "rows", "count")}
                if place < len(kept):
                    seen.looked(held, draw)
                seen.take(held)
    return found


def _tensors(chosen: Exponents, before: float, after: float) -> dict[str, Array]:
    return {"exponents": np.array(chosen, np.int64), "errors": np.array([before, after], np.float64)}


def _log(size: Array) -> Array:
    return np.log2(np.maximum(size, max(_LEAST * float(size.max()), 1e-30)))


def _columns(weight: Array) -> Array:
    """Weights as int8 holds them, with a scale per column."""
    scale = np.maximum(np.abs(weight).max(axis=0), 1e-30) / 127
    return np.rint(weight / scale) * scale


def _tensor(rows: Array, low: float, high: float) -> Array:
    """Rows as uint8 holds them, with one scale for what lies between the lowest and the highest number of the call, zero included."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, 1e-30) / 255
    zero = np.rint(-low / scale)
    return (np.clip(np.rint(rows / scale) + zero, 0, 255) - zero) * scale
