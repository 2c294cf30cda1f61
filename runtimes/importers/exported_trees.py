"""Tree ensembles in a traced program, which torch has no operator for.

In the file zeros of the ensemble's shape stand for it, marked; when the program is read for a number of rows, the marked node
calls the ensemble as a module: the same matrix products or gathers that the ONNX program is lowered with.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch.export import ExportedProgram

from ...sdk.core.errors import FormatError, UnsupportedError
from ..onnx_split import DOMAIN
from ..tflite.tree_lowering import lower_trees
from ..trees import Trees
from .onnx_back.module import to_module

MARK = "portside_trees"
"""Name of the node that stands for the ensemble; its metadata says {"trees": true}."""


def marked(program: ExportedProgram) -> tuple[torch.fx.GraphModule, int]:
    """The graph with marked zeros for its ensemble, and how many ensembles it has.

    Raises UnsupportedError for more than one, and for an opaque node that is none.
    """
    opaque = [node for node in program.graph.nodes if "onnx_symbolic" in str(node.target)]
    if not opaque:
        return program.graph_module, 0
    if len(opaque) > 1 or opaque[0].kwargs.get("domain") != DOMAIN or opaque[0].args[1] != "Trees":
        raise UnsupportedError("The traced program holds what torch has no operator for", got=", ".join(map(str, opaque)))
    module = deepcopy(program.graph_module)
    node = next(held for held in module.graph.nodes if held.name == opaque[0].name)
    (picked,) = node.users
    source, shape = node.args[0][0], list(node.kwargs["shapes"][0])
    with module.graph.inserting_before(node):
        zeros = module.graph.create_node("call_function", torch.ops.aten.new_zeros.default, (source, shape), {}, MARK)
    zeros.meta["val"] = picked.meta["val"]
    picked.replace_all_uses_with(zeros)
    for gone in (picked, node):
        module.graph.erase_node(gone)
    return module, 1


def grown(module: torch.fx.GraphModule, trees: Trees, rows: int) -> torch.fx.GraphModule:
    """The module with the ensemble in the place of its mark, for calls of so many rows.

    Raises FormatError for a module without one mark.
    """
    places = [node for node in module.graph.nodes if node.meta.get("custom", {}).get("trees")]
    if len(places) != 1 or places[0].target is not torch.ops.aten.new_zeros.default:
        raise FormatError("The traced program has no place for the package's trees", got=f"{len(places)} places")
    (place,) = places
    ensemble = to_module(lower_trees(trees, "features", "scores"), {"batch": rows})
    module.add_submodule(MARK, ensemble)
    with module.graph.inserting_before(place):
        called = module.graph.call_module(MARK, (place.args[0],))
        scores = module.graph.call_function(_first, (called,))
    place.replace_all_uses_with(scores)
    module.graph.erase_node(place)
    module.recompile()
    return module


def _first(values: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return values[0]
