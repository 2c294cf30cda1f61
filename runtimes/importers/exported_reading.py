"""Read `annotations/program.pt2` back: audited, bound to the package's own program, then given to torch's reader.

An annotation is not part of the package's digest, so nothing in it is trusted: its bytes are compared with the manifest, its
text has the form of `exported_audit.py` or is refused, its weights are the package's, and nothing is unpickled or evaluated.
torch changes its schema without notice: a file is read by the version that wrote it and by no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch._export.serde import schema
from torch._export.serde.serialize import ExportedProgramDeserializer, _dict_to_dataclass
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from ...sdk.core.errors import FormatError
from ...sdk.core.manifest import WEIGHTS, Stage
from ...sdk.core.package import Package
from ..tree_stage import read_trees
from .exported import EXPORTED, torch_version
from .exported_archive import Archive
from .exported_audit import audit
from .exported_trees import grown
from .exported_weights import collected
from .tracing import quiet


@dataclass(frozen=True)
class Absent:
    """There is no traced program to use.

    Attributes:
        reason: why, in words for a message.
    """

    reason: str


class ExportedModule(torch.nn.Module):
    """A traced program as a module that can be exported again with fixed sizes.

    Attributes:
        inputs, outputs: names of the package's values, in the order of the module's.
    """

    def __init__(self, inner: torch.nn.Module, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        super().__init__()
        self.inner, self.inputs, self.outputs = inner, inputs, outputs

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Tensors of rim dtypes in, a tuple of tensors of rim dtypes out."""
        return cast("tuple[torch.Tensor, ...]", self.inner(*tensors))


def exported_module(package: Package, rows: int | None = None) -> ExportedModule | Absent:
    """The traced program of a package as a module.

    Args:
        package: audited.
        rows: of the calls that will be made. Only a package with trees needs it, and answers no other number then.

    Returns:
        The module, or why there is none.

    Raises FormatError, IntegrityError; see `read_exported`.
    """
    read = _read(package)
    if isinstance(read, Absent):
        return read
    program, rim = read
    ensembles = _ensembles(package)
    if ensembles and rows is None:
        return Absent("the program has trees, and its number of rows is not fixed")
    try:
        module = program.module(check_guards=False)
    except Exception as error:  # a weight under the name of something that modules have
        raise FormatError(f"torch cannot make a module of the traced program: {type(error).__name__}: {str(error)[-300:]}") from error
    for refusing in ("train", "eval"):  # a program has no modes, and modules around it set theirs
        vars(module).pop(refusing, None)
    for stage in ensembles:
        module = grown(module, read_trees(package.read, stage.file), rows or 1)
    return ExportedModule(module, tuple(rim["inputs"]), tuple(rim["outputs"]))


def read_exported(package: Package) -> ExportedProgram | Absent:
    """The traced program of a package without trees, with the weights of the package.

    Raises:
        IntegrityError: the file has other bytes than the manifest says.
        FormatError: it is not what `exported.py` writes.
    """
    if _ensembles(package):
        return Absent("the package has trees, for which torch has no operator")
    read = _read(package)
    return read if isinstance(read, Absent) else read[0]


def _ensembles(package: Package) -> list[Stage]:
    return [stage for stage in package.content.stages if stage.kind == "trees"]


def _read(package: Package) -> tuple[ExportedProgram, Mapping[str, Any]] | Absent:
    """The program, where zeros stand for an ensemble, and the names at its rim."""
    if EXPORTED not in package.manifest.annotations.files:
        return Absent("the package has no traced program")
    archive = Archive.from_bytes(package.read(EXPORTED))
    if (version := archive.program.get("torch")) != torch_version():
        other = ascii(version)[:40] if isinstance(version, str) else "of no known version"
        return Absent(f"the package's program was traced by torch {other}, and this is torch {torch_version()!r}")
    audit(archive.program)
    stages = [stage for stage in package.content.stages if stage.kind != "host"]
    if not _belongs(package, stages, archive.program):
        return Absent("the traced program belongs to a package that this one was derived from")
    _check_rim(stages, archive.program)
    places = archive.program["weights"]
    tensors = collected(places, package.read(WEIGHTS) if places else b"", archive.tensors)
    _check_tensors(archive.program, tensors)
    return _program(archive.program, tensors), archive.program["rim"]


def _belongs(package: Package, stages: Sequence[Stage], program: Mapping[str, Any]) -> bool:
    files = package.content.files
    weights = files[WEIGHTS].sha256 if WEIGHTS in files else None
    return program["program"] == {"stages": [files[stage.file].sha256 for stage in stages], "weights": weights}


def _check_rim(stages: Sequence[Stage], program: Mapping[str, Any]) -> None:
    """The traced program reads and makes values of the stages, in number as its graph says."""
    rim, graph, signature = program["rim"], program["graph"], program["signature"]
    inputs = [spec for spec in signature["input_specs"] if "user_input" in spec]
    counts = len(inputs), len(graph["outputs"]), len(signature["output_specs"]), len(graph["inputs"])
    expected = len(rim["inputs"]), len(rim["outputs"]), len(rim["outputs"]), len(signature["input_specs"])
    made = [name for stage in stages for name in stage.outputs]
    free = {name for stage in stages for name in stage.inputs} - set(made)
    if counts != expected or not free <= set(rim["inputs"]) or set(rim["outputs"]) - set(made) or not rim["outputs"]:
        raise FormatError("The traced program has another rim than the package's program", got=ascii((rim["inputs"], rim["outputs"]))[:200],
                          expected=(sorted(free), made))  # fmt: skip


def _check_tensors(program: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Every weight that the graph declares is there, in the shape that it declares."""
    for spec in program["signature"]["input_specs"]:
        ((kind, fields),) = spec.items()
        if kind == "user_input":
            continue
        name, value = fields[f"{kind}_name"], fields["arg"]["name"]
        sizes = program["graph"]["tensor_values"].get(value, {"sizes": None})["sizes"]
        if name not in tensors or sizes != [{"as_int": size} for size in tensors[name].shape]:
            raise FormatError(f"The traced program reads a weight {name!r} of another shape than it has, or of none", got=sizes)


def _program(program: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> ExportedProgram:
    """Through torch's reader, whose own errors are wrapped: what it is given has the form, not always the sense."""
    held, constants = _split(program, tensors)
    try:
        with quiet(), torch.no_grad():
            return ExportedProgramDeserializer().deserialize(_schema(program), held, constants, None)
    except Exception as error:  # its errors share no base but Exception
        raise FormatError(f"torch cannot read the traced program: {type(error).__name__}: {str(error).strip()[-300:]}") from error


def _split(program: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(state of modules, constants), as torch wants them."""
    state: dict[str, Any] = {}
    constants: dict[str, Any] = {}
    for spec in program["signature"]["input_specs"]:
        ((kind, fields),) = spec.items()
        if kind == "parameter":
            state[fields["parameter_name"]] = torch.nn.Parameter(tensors[fields["parameter_name"]], requires_grad=False)
        elif kind == "buffer" and fields["persistent"]:
            state[fields["buffer_name"]] = tensors[fields["buffer_name"]]
        elif kind != "user_input":
            constants[fields[f"{kind}_name"]] = tensors[fields[f"{kind}_name"]]
    return state, constants


def _schema(program: Mapping[str, Any]) -> schema.ExportedProgram:
    """In torch's own classes; how the module is called is made here, not read."""
    inputs = sum("user_input" in spec for spec in program["signature"]["input_specs"])
    outputs = len(program["signature"]["output_specs"])
    shape, result = (pytree.treespec_dumps(pytree.tree_structure(tree)) for tree in (((0,) * inputs, {}), (0,) * outputs))
    call = {"fqn": "", "signature": {"inputs": [], "outputs": [], "in_spec": shape, "out_spec": result, "forward_arg_names": None}}
    module = {"graph": program["graph"], "signature": program["signature"], "module_call_graph": [call]}
    version = dict(zip(("major", "minor"), schema.SCHEMA_VERSION, strict=True))
    whole = {"graph_module": module, "opset_version": {}, "range_constraints": program["ranges"], "schema_version": version,
             "verifiers": ["TRAINING"], "torch_version": program["torch"], "guards_code": []}  # fmt: skip
    return cast("schema.ExportedProgram", _dict_to_dataclass(schema.ExportedProgram, whole))
