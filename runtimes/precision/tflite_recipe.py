"""Precision class -> what ai-edge-quantizer is told, operator by operator.

Static int8 spreads from the operators with weights to what stands between them (pooling, additions, changes of shape), so that
no value is turned into float and back on the way; it never reaches a softmax, a normalisation or the file's rim.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ai_edge_quantizer import algorithm_manager, qtyping
from ai_edge_quantizer.utils.tfl_flatbuffer_utils import TFL_OP_CODE_TO_NAME

from ...sdk.core.plan import Precision
from .tflite_operators import Operator

_FOLLOWS = frozenset({
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "HARD_SWISH", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "PACK", "PAD", "RELU", "RESHAPE",
    "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE", "SPLIT", "STRIDED_SLICE", "TRANSPOSE", "UNPACK",
})  # fmt: skip
"""What becomes static int8 between operators that do."""
BLOCK = 32
"""Weights that share a scale in int4, along the axis that is summed over."""


@dataclass(frozen=True)
class Told:
    """What the quantizer is told about an operator.

    Attributes:
        operation: its own name for the kind. The file's rim is an operation too, of the name of what it reads: "all" would reach it.
        algorithm: how weights are rounded.
        config: bits, scales and where it computes in integers.
    """

    operation: str
    algorithm: str
    config: Any


def config(precision: Precision, kind: str, size: tuple[int, int] | None, per_channel: bool) -> Told:
    """What one operator is told. Raises ValueError where the quantizer has none, saying why.

    Args:
        precision: not float32.
        kind: TFLite's name of the operator.
        size: (channels, weights of each); None without weights.
        per_channel: a scale for each output channel.
    """
    name = TFL_OP_CODE_TO_NAME.get(getattr(qtyping.BuiltinOperator, kind, -1))
    if name is None:
        raise ValueError(f"the quantizer does not know {kind}")
    for algorithm, held in _choices(precision, size, per_channel):
        try:
            algorithm_manager.check_op_quantization_config(algorithm, name, held)
        except ValueError:
            continue
        return Told(name.value, algorithm, held)
    raise ValueError(f"TFLite has no {precision} for {kind}")


def _choices(precision: Precision, size: tuple[int, int] | None, per_channel: bool) -> Iterable[tuple[str, Any]]:
    """Configurations to try, the best first."""
    grain = qtyping.QuantGranularity.CHANNELWISE if per_channel else qtyping.QuantGranularity.TENSORWISE
    integer, real = qtyping.ComputePrecision.INTEGER, qtyping.ComputePrecision.FLOAT
    uniform, casting = algorithm_manager.AlgorithmName.MIN_MAX_UNIFORM_QUANT, algorithm_manager.AlgorithmName.FLOAT_CASTING
    if precision == "float16":
        half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT, granularity=grain)
        yield casting, _config(half, real)
    elif precision == "int8-dynamic":
        yield uniform, _config(qtyping.TensorQuantizationConfig(num_bits=8, symmetric=True, granularity=grain), integer)
    elif precision == "int8-static":
        weights = qtyping.TensorQuantizationConfig(num_bits=8, symmetric=True, granularity=grain)
        yield uniform, _config(weights, integer, qtyping.TensorQuantizationConfig(num_bits=8, symmetric=False))
    else:
        if size is not None and size[1] % BLOCK == 0:
            blocks = qtyping.TensorQuantizationConfig(num_bits=4, symmetric=True, granularity=qtyping.QuantGranularity.BLOCKWISE_32)
            yield uniform, _config(blocks, integer)
        yield uniform, _config(qtyping.TensorQuantizationConfig(num_bits=4, symmetric=True, granularity=grain), real)


def _config(weights: Any, compute: Any, activations: Any = None) -> Any:
    real = compute == qtyping.ComputePrecision.FLOAT
    return qtyping.OpQuantizationConfig(weight_tensor_config=weights, activation_tensor_config=activations, compute_precision=compute,
                                        explicit_dequantize=real)  # fmt: skip


def between(operators: Sequence[Operator], static: Iterable[int]) -> list[int]:
    """Places of operators without weights that stand between static ones in a graph.

    Args:
        operators: of one graph, in the order in which they run.
        static: places of those with weights that are static.
    """
    chosen = set(static)
    makers = {value: operator.place for operator in operators for value in operator.makes}
    readers: dict[int, list[int]] = {}
    for operator in operators:
        for value in operator.reads:
            readers.setdefault(value, []).append(operator.place)
    fed = set(chosen)
    for operator in operators:
        ready = operator.reads and all(makers.get(value) in fed for value in operator.reads)
        if operator.place not in fed and operator.print is None and operator.kind in _FOLLOWS and ready:
            fed.add(operator.place)
    needed = set(chosen)
    for operator in reversed(operators):
        after = [place for value in operator.makes for place in readers.get(value, ())]
        if operator.place in fed and any(place in needed for place in after):
            needed.add(operator.place)
    return sorted(needed - chosen)


def scope(names: Iterable[str]) -> str:
    """The pattern that the quantizer finds exactly these operators by, which are called by their first output."""
    return f"^(?:{'|'.join(re.escape(name) for name in names)});"


def recipe(chosen: Mapping[str, Told]) -> list[dict[str, Any]]:
    """Output name -> what its operator is told, in the quantizer's form and as few entries as say the same."""
    groups: dict[str, tuple[Told, list[str]]] = {}
    for name, told in chosen.items():
        groups.setdefault(repr(told), (told, []))[1].append(name)
    return [{"regex": scope(names), "operation": told.operation, "algorithm_key": told.algorithm, "op_config": told.config.to_dict()}
            for told, names in groups.values()]  # fmt: skip
