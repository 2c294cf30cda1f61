"""The program that torch traced, as `annotations/program.pt2`: for converters that start from torch, beside the ONNX program.

torch's own file of a program pickles weights and example inputs and holds stack traces with the packer's folders. This one
holds the graph in torch's schema, rewritten: no traces, no examples, no boundaries, no assertions, and of the weights only
those that `program/weights.safetensors` has not. The same program gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch._export.serde.serialize import GraphModuleSerializer, _dataclass_to_dict, serialize_range_constraints
from torch.export import ExportedProgram

from ...sdk.core.errors import FormatError, UnsupportedError
from ...sdk.core.manifest import WEIGHTS
from .exported_archive import Archive
from .exported_audit import audit
from .exported_folding import fold, read_names
from .exported_trees import MARK, marked
from .exported_weights import located
from .tracing import Traced, quiet

EXPORTED = "annotations/program.pt2"
_ASSERTIONS = frozenset(f"torch.ops.aten.{name}" for name in (
    "_assert_tensor_metadata.default", "_assert_scalar.default", "_assert_async.default", "_assert_async.msg",
    "sym_constrain_range.default", "sym_constrain_range_for_size.default"))  # fmt: skip
_KINDS = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}


def torch_version() -> str:
    """Of the torch that is running, without what kind of machine it was built for."""
    return torch.__version__.partition("+")[0]


def exported_files(traced: Traced, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The annotation file of a program, or none where torch's program is not all of it or has no such form.

    Args:
        traced: what torch traced.
        files: the program's files.
    """
    try:
        return {EXPORTED: write_exported(traced, files)}
    except UnsupportedError:
        return {}  # the ONNX program is the program; this is a second form of it


def write_exported(traced: Traced, files: Mapping[str, bytes]) -> bytes:
    """The traced program as a file.

    Args:
        traced: what torch traced; its boundaries are cut off.
        files: the package's files under `program/`: one ONNX graph or the parts around one ensemble, and the weights.

    Raises UnsupportedError for a program with other opaque nodes, several graphs, or anything that `exported_audit.py` refuses.
    """
    stages = sorted(path for path in files if path.startswith("program/") and path != WEIGHTS)
    module, trees = marked(traced.program)
    if sum(path.endswith(".trees.json") for path in stages) != trees or (len(stages) != 1 and not trees):
        raise UnsupportedError("A traced program stands for one graph, or for one with trees in it", got=", ".join(stages))
    graph, signature = _serialised(traced.program, module)
    _cut(graph, signature, len(traced.outputs))
    names = _onnx_names(traced)
    folded = fold(graph, signature, traced.model, names)
    graph["nodes"] = [_node(node, names) for node in _living(graph)]
    for meta in graph["tensor_values"].values():
        meta["requires_grad"] = False
    _drop_unread(graph, signature)
    places, rest = located(_weights(traced.program, signature, folded), files.get(WEIGHTS, b""))
    ranges = cast("dict[str, Any]", _dataclass_to_dict(serialize_range_constraints(traced.program.range_constraints)))
    held = {"stages": [_sha256(files[path]) for path in stages], "weights": _sha256(files[WEIGHTS]) if WEIGHTS in files else None}
    rim = {"inputs": [value.name for value in traced.model.graph.input], "outputs": [spec.name for spec in traced.outputs]}
    data = Archive({"format": 1, "torch": torch_version(), "graph": graph, "signature": signature, "ranges": ranges, "weights": places,
                    "program": held, "rim": rim}, rest).to_bytes()  # fmt: skip
    _check(data)
    return data


def _serialised(program: ExportedProgram, held: torch.fx.GraphModule) -> tuple[dict[str, Any], dict[str, Any]]:
    """Graph and signature in torch's schema, as JSON data."""
    try:
        with quiet():
            module = GraphModuleSerializer(program.graph_signature, program.module_call_graph).serialize(held)
    except Exception as error:  # its errors share no base but Exception
        raise UnsupportedError(f"torch cannot write the traced program: {type(error).__name__}: {str(error)[:200]}") from error
    graph, signature = (cast("dict[str, Any]", _dataclass_to_dict(part)) for part in (module.graph, module.signature))
    if graph.pop("custom_obj_values") or graph.pop("is_single_tensor_return"):
        raise UnsupportedError("The traced program holds objects that are no tensors")
    return graph, signature


def _cut(graph: dict[str, Any], signature: dict[str, Any], outputs: int) -> None:
    """Keep the program's own outputs: the tensors at its boundaries follow them."""
    graph["outputs"], signature["output_specs"] = graph["outputs"][:outputs], signature["output_specs"][:outputs]


def _node(node: Mapping[str, Any], names: Mapping[str, list[str]]) -> dict[str, Any]:
    """A node without traces of where it came from, with the names of its ONNX nodes."""
    kept = {key: node[key] for key in ("target", "inputs", "outputs", "name")}
    found = names.get(str(node["name"]), [])
    custom = ({"onnx": found} if found else {}) | ({"trees": True} if node["name"] == MARK else {})
    return {**kept, "metadata": {"custom": json.dumps(custom)} if custom else {}}


def _onnx_names(traced: Traced) -> dict[str, list[str]]:
    """Node of the traced program -> the ONNX nodes that it became. One that picks a result counts for the one that made it."""
    picked = {node.name: cast("torch.fx.Node", node.args[0]).name for node in traced.program.graph.nodes
              if node.op == "call_function" and node.target is operator.getitem}  # fmt: skip
    found: dict[str, list[str]] = {}
    for onnx, origin in traced.graph.origins.items():
        found.setdefault(picked.get(origin, origin), []).append(onnx)
    return found


def _living(graph: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Nodes that an output needs, and those that write into what they read; assertions are left out."""
    needed = set(read_names(graph["outputs"]))
    kept: list[dict[str, Any]] = []
    for node in reversed(graph["nodes"]):
        writes = node["target"].rpartition(".")[0].endswith("_")
        if node["target"] not in _ASSERTIONS and (writes or needed & set(read_names(node["outputs"]))):
            needed |= set(read_names(node["inputs"]))
            kept.append(node)
    return kept[::-1]


def _drop_unread(graph: dict[str, Any], signature: dict[str, Any]) -> None:
    """Remove weights that nothing reads, e.g. how many batches a normalisation has seen, and what is known of values that are gone."""
    read = set(read_names([graph["outputs"], *(node["inputs"] for node in graph["nodes"])]))
    pairs = zip(graph["inputs"], signature["input_specs"], strict=True)
    kept = [(value, spec) for value, spec in pairs if "user_input" in spec or read & set(read_names(value))]
    graph["inputs"], signature["input_specs"] = [value for value, _ in kept], [spec for _, spec in kept]
    there = set(read_names([graph["inputs"], *(node["outputs"] for node in graph["nodes"])]))
    for kind in ("tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values"):
        graph[kind] = {name: value for name, value in graph[kind].items() if name in there}


def _weights(program: ExportedProgram, signature: Mapping[str, Any], folded: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    held: dict[str, Any] = {**program.state_dict, **program.constants, **folded}
    found: dict[str, torch.Tensor] = {}
    for spec in signature["input_specs"]:
        ((kind, fields),) = spec.items()
        if kind in _KINDS:
            name = fields[_KINDS[kind]]
            if not isinstance(held.get(name), torch.Tensor):
                raise UnsupportedError(f"The weight {name!r} of the traced program is no tensor")
            found[name] = held[name]
    return found


def _check(data: bytes) -> None:
    """What the reader would refuse is not written."""
    try:
        audit(Archive.from_bytes(data).program)
    except FormatError as error:
        raise UnsupportedError(f"The traced program holds what is not stored: {error.what}", got=error.got) from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
