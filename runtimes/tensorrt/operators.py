"""Which operators of ONNX TensorRT's parser knows: recorded, so that a refusal has a name where nothing of NVIDIA is installed.

Recorded from `OnnxParser.supports_operator` of TensorRT-RTX 1.7.1, whose parser is the same as TensorRT 11's but for a few plugins. A
name in the list is no promise: attributes and dtypes are looked at when the file is parsed.
"""

from __future__ import annotations

from onnx import GraphProto, ModelProto, NodeProto

from ...sdk.core.errors import UnsupportedError
from ..onnx_extract import subgraphs

_NAMES = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization BlackmanWindow Cast CastLike
CausalConvWithState Ceil Celu Clip Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div
Dropout Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool
GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish Hardmax
Identity If InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual LinearAttention Log LogSoftmax Loop
LpNormalization LpPool MatMul Max MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or
PRelu Pad Pow QuantizeLinear RMSNormalization RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal
ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize
ReverseSequence RoiAlign RotaryEmbedding Round STFT Scan Scatter ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size
Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh TensorScatter ThresholdedRelu Tile TopK Transpose
Trilu Unsqueeze Upsample Where Xor
"""
KNOWN = frozenset(_NAMES.split())


def check_operators(model: ModelProto, target: str) -> None:
    """Raise UnsupportedError naming the first operator that the parser does not know, and how many there are of it."""
    functions = {held.name for held in model.functions}
    foreign = [node for node in _nodes(model.graph) if _unknown(node) and node.op_type not in functions]
    if not foreign:
        return
    first = foreign[0]
    kind = f"{first.domain}:{first.op_type}" if first.domain else first.op_type
    count = sum(1 for node in foreign if (node.domain, node.op_type) == (first.domain, first.op_type))
    others = sorted({node.op_type for node in foreign} - {first.op_type})
    raise UnsupportedError(f"{target} does not hold the operator {kind}", got=f"{count} of them, the first is {first.name!r}",
                           expected=f"operators of its parser{', and not ' + ', '.join(others) + ' either' if others else ''}",
                           fix="Compile for onnx-cpu, or pack a model without it.")  # fmt: skip


def _unknown(node: NodeProto) -> bool:
    return node.domain not in ("", "ai.onnx") or node.op_type not in KNOWN


def _nodes(graph: GraphProto) -> list[NodeProto]:
    return [found for node in graph.node for found in (node, *(inner for held in subgraphs(node) for inner in _nodes(held)))]
