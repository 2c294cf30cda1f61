"""Ranges of a `.tflite` file's values: what calibration recorded of the value that they are, else what the golden rows show.

The file runs on the golden rows; a tensor that looks like a value of the program takes that value's recorded range. One signature is
asked, the one of most rows; the others compute the same values, and get the same ranges, so that a row's answer does not
depend on the signature that gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from ...sdk.core.errors import UnsupportedError
from ...sdk.core.plan import Range
from ...sdk.core.signature import Array
from ..hardware import cores
from ..tflite.plan import Plan
from .tflite_looks import Look, Looks, look, matched
from .tflite_operators import Operator
from .tflite_pieces import pieces, widest
from .tflite_rows import Feeds


@dataclass(frozen=True)
class Rows:
    """What calibrates a file.

    Attributes:
        calls: golden rows, or the plan's samples, at the file's rim.
        looks: of the program's values on them.
        recorded: "stage/value" -> the range that calibration saw.
    """

    calls: Sequence[Feeds]
    looks: Looks
    recorded: Mapping[str, Range]


@dataclass(frozen=True)
class Known:
    """Ranges in the quantizer's own words, by tensor, and which of them are of `Rows.calls` alone."""

    ranges: Mapping[str, Any] = field(default_factory=dict[str, Any])
    golden: frozenset[str] = frozenset()


def ranges_of(model: bytes, rim: Plan, graphs: Sequence[Sequence[Operator]], rows: Rows, fixed: Mapping[str, Any]) -> Known:
    """Every tensor's range. Signatures of the same operators share what one of them measures; others are measured each.

    Args:
        model: the float file, every tensor's name its own.
        rim: its signatures.
        graphs: its operators.
        rows: what calibrates it.
        fixed: ranges that are known whatever the rows say.

    Raises UnsupportedError where no row fits the file.
    """
    keys = _graphs_of(model)
    alike = len({tuple((one.kind, one.reads, one.makes) for one in graph) for graph in graphs}) == 1
    found, planned = dict[str, Any](), dict[str, Any]()
    for key in [widest(rim)] if alike else list(rim.signatures):
        seen = measure(model, key, graphs[keys[key]], pieces(rim, key, rows.calls), cores())
        if not seen.ranges:
            raise UnsupportedError("Static int8 needs calibration rows, and the package has none that this file can answer",
                                   got=f"signature {key!r}", fix="Pack with examples=, or take int8-dynamic.")  # fmt: skip
        same = {name: as_range(*held) for name, held in matched(seen.looks, rows.looks.get(key, {}), rows.recorded).items()}
        found, planned = {**found, **seen.ranges}, {**planned, **same}
    if alike:
        found, planned = (_for_all(held, len(graphs)) for held in (found, planned))
    return Known({**found, **planned, **fixed}, frozenset(set(found) - {*planned, *fixed}))


def _for_all(ranges: Mapping[str, Any], graphs: int) -> dict[str, Any]:
    """One graph's ranges as those of each."""
    return {f"{index}/{name.partition('/')[2]}": held for index in range(graphs) for name, held in ranges.items()}


def _graphs_of(model: bytes) -> dict[str, int]:
    """Signature -> its graph."""
    held: Any = flatbuffer_utils.read_model_from_bytearray(model)
    return {signature.signatureKey.decode(): signature.subgraphIndex for signature in held.signatureDefs}


@dataclass
class Measured:
    """What a signature's tensors did on calibration rows; tensors are called "graph/number".

    Attributes:
        ranges: tensor -> its lowest and highest value, in the quantizer's own words.
        looks: tensor -> what it looked like in the first call.
    """

    ranges: dict[str, Any] = field(default_factory=dict[str, Any])
    looks: dict[str, Look] = field(default_factory=dict[str, Look])


def measure(model: bytes, key: str, operators: Sequence[Operator], calls: Iterable[Mapping[str, Array]], threads: int) -> Measured:
    """Ranges over all calls, looks in the first.

    Constants are left out: a range of weights would be taken for one scale of all their channels.

    Args:
        model: the float file, every tensor's name its own.
        key: the signature to run.
        operators: of that signature's graph; tensors are called "graph/number".
        calls: by the names of the file, in the signature's shapes; read one by one.
        threads: of the interpreter.
    """
    interpreter = Interpreter(model_content=model, num_threads=threads, experimental_preserve_all_tensors=True)
    runner = interpreter.get_signature_runner(key)
    graph = operators[0].graph
    places = sorted({place for one in operators for place in (*one.reads, *one.makes)})
    ranges: dict[str, tuple[float, float]] = {}
    looks: dict[str, Look] = {}
    for number, feeds in enumerate(calls):
        runner(**feeds)
        for place in places:
            value, name = _value(interpreter, place, graph), f"{graph}/{place}"
            if value is not None:
                low, high = ranges.get(name, (np.inf, -np.inf))
                ranges[name] = min(low, float(value.min())), max(high, float(value.max()))
                if number == 0 and (seen := look(value)) is not None:
                    looks[name] = seen
    return Measured({name: as_range(low, high) for name, (low, high) in ranges.items()}, looks)


def as_range(low: float, high: float) -> dict[str, Array]:
    """A range as the quantizer takes it."""
    return {"min": np.array([low], np.float32), "max": np.array([high], np.float32)}


def _value(interpreter: Any, place: int, graph: int) -> Array | None:
    """A tensor's value after a call; None for one that the delegate computed away, and for one without elements."""
    try:
        value = interpreter.get_tensor(place, graph)
    except ValueError:
        return None
    return value if value.size and np.isfinite(value).all() else None
