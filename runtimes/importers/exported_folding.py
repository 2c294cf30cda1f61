"""Batch normalisations behind convolutions, folded as the ONNX exporter has folded them: the same weights, which are there already.

The exporter writes one convolution with weights of its own. Without this a network's convolutions would be stored twice, and
the traced program would compute them in another order than the ONNX program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from onnx import ModelProto, NodeProto, numpy_helper

_CONVOLUTION, _NORMALISATION = "torch.ops.aten.conv", "torch.ops.aten.batch_norm.default"


def fold(graph: dict[str, Any], signature: dict[str, Any], model: ModelProto, names: dict[str, list[str]]) -> dict[str, torch.Tensor]:
    """Fold, in place, every pair that the exporter folded.

    Args:
        graph, signature: in torch's schema, as JSON data.
        model: the ONNX program.
        names: node of `graph` -> the ONNX nodes that it became; follows the nodes.

    Returns:
        The folded weights, by the names that `signature` has for them now.
    """
    held = {node.name: node for node in model.graph.node if node.op_type == "Conv"}
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    made: dict[str, torch.Tensor] = {}
    for first, second in list(_pairs(graph)):
        node = _one(held, names.get(second["name"], []))
        if node is None or names.get(first["name"]) or not all(name in weights for name in node.input[1:]) or len(node.input) != 3:
            continue
        tensors = [torch.from_numpy(numpy_helper.to_array(weights[name]).copy()) for name in node.input[1:]]
        old = graph["tensor_values"][_arguments(first)["weight"]["as_tensor"]["name"]]
        if [{"as_int": size} for size in tensors[0].shape] == old["sizes"]:
            made |= _folded(graph, signature, first, second, tensors)
            names[first["name"]] = names.pop(second["name"])
    return made


def _pairs(graph: Mapping[str, Any]) -> Iterable[tuple[dict[str, Any], dict[str, Any]]]:
    """Convolutions, each with the normalisation that alone reads what it makes."""
    makers = {value["as_tensor"]["name"]: node for node in graph["nodes"] for value in node["outputs"] if "as_tensor" in value}
    counts: dict[str, int] = {}
    for name in read_names([node["inputs"] for node in graph["nodes"]] + graph["outputs"]):
        counts[name] = counts.get(name, 0) + 1
    for node in graph["nodes"]:
        if node["target"] == _NORMALISATION and _arguments(node)["training"] == {"as_bool": False}:
            source = _arguments(node)["input"]["as_tensor"]["name"]
            maker = makers.get(source)
            if maker is not None and maker["target"].startswith(_CONVOLUTION) and counts[source] == 1:
                yield maker, node


def read_names(data: Any) -> Iterable[str]:
    """Every text in arguments: names of values among them."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():  # type: ignore[reportUnknownVariableType]
            yield from read_names(value)
    elif isinstance(data, list):
        for value in data:  # type: ignore[reportUnknownVariableType]
            yield from read_names(value)


def _one(held: Mapping[str, NodeProto], names: Iterable[str]) -> NodeProto | None:
    found = [held[name] for name in names if name in held]
    return found[0] if len(found) == 1 else None


def _arguments(node: Mapping[str, Any]) -> dict[str, Any]:
    return {given["name"]: given["arg"] for given in node["inputs"]}


def _folded(graph: dict[str, Any], signature: dict[str, Any], first: dict[str, Any], second: dict[str, Any],
            tensors: list[torch.Tensor]) -> dict[str, torch.Tensor]:  # fmt: skip
    """The convolution with other weights, under the result of the normalisation, which goes."""
    made: dict[str, torch.Tensor] = {}
    given = {**_arguments(first)}
    kinds = {held["name"]: held["kind"] for held in first["inputs"]}
    for argument, tensor in zip(("weight", "bias"), tensors, strict=True):
        value, name = f"p_folded_{first['name']}_{argument}", f"folded.{first['name']}.{argument}"
        graph["inputs"].insert(0, {"as_tensor": {"name": value}})
        signature["input_specs"].insert(0, {"parameter": {"arg": {"name": value}, "parameter_name": name}})
        graph["tensor_values"][value] = _meta(graph["tensor_values"][_arguments(first)["weight"]["as_tensor"]["name"]], tensor)
        given[argument], made[name] = {"as_tensor": {"name": value}}, tensor
    order = ["input", "weight", "bias", *(name for name in given if name not in ("input", "weight", "bias"))]
    first["inputs"] = [{"name": name, "arg": given[name], "kind": kinds.get(name, 1)} for name in order]
    first["outputs"] = second["outputs"]
    graph["nodes"].remove(second)
    return made


def _meta(like: Mapping[str, Any], tensor: torch.Tensor) -> dict[str, Any]:
    sizes, strides = ([{"as_int": size} for size in held] for held in (tensor.shape, tensor.stride()))
    return {**like, "sizes": sizes, "strides": strides}
