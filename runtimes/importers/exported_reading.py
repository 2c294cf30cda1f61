"""Read `annotations/program.pt2` back: audited, bound to the package's own program, then given to torch's reader.

An annotation is not part of the package's digest, so nothing in it is trusted: its bytes are compared with the manifest, its
text has the form of `exported_audit.py` or is refused, its weights are the package's, and nothing is unpickled or evaluated.
torch changes its schema without notice: a file is read by the version that wrote it and by no other.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from .exported import EXPORTED, torch_version
from .exported_archive import Archive
from .exported_audit import audit
from .exported_weights import collected
from .tracing import quiet


@dataclass(frozen=True)
class Absent:
    """There is no traced program to use.

    Attributes:
        reason: why, in words for a message.
    """

    reason: str


def exported_module(package: Package) -> torch.nn.Module | Absent:
    """The traced program as a module that can be exported again with fixed sizes.

    Returns:
        A module from the graph stage's inputs, in its order and rim dtypes, to a tuple of its outputs; or why there is none.

    Raises FormatError, IntegrityError; see `read_exported`.
    """
    program = read_exported(package)
    if isinstance(program, Absent):
        return program
    try:
        module = program.module(check_guards=False)
    except Exception as error:  # a weight under the name of something that modules have
        raise FormatError(f"torch cannot make a module of the traced program: {type(error).__name__}: {str(error)[-300:]}") from error
    for refusing in ("train", "eval"):  # a program has no modes, and modules around it set theirs
        vars(module).pop(refusing, None)
    return module


def read_exported(package: Package) -> ExportedProgram | Absent:
    """The traced program of a package, with the weights of the package.

    Raises:
        IntegrityError: the file has other bytes than the manifest says.
        FormatError: it is not what `exported.py` writes.
    """
    if EXPORTED not in package.manifest.annotations.files:
        return Absent("the package has no traced program")
    archive = Archive.from_bytes(package.read(EXPORTED))
    if (version := archive.program.get("torch")) != torch_version():
        other = ascii(version)[:40] if isinstance(version, str) else "of no known version"
        return Absent(f"the package's program was traced by torch {other}, and this is torch {torch_version()!r}")
    audit(archive.program)
    stage = _stage(package, archive.program)
    if isinstance(stage, Absent):
        return stage
    places = archive.program["weights"]
    tensors = collected(places, package.read(WEIGHTS) if places else b"", archive.tensors)
    _check_rim(stage, archive.program)
    _check_tensors(archive.program, tensors)
    return _program(archive.program, tensors)


def _stage(package: Package, program: Mapping[str, Any]) -> Stage | Absent:
    """The graph stage that the traced program is another form of."""
    stages = [stage for stage in package.content.stages if stage.kind != "host"]
    if len(stages) != 1 or stages[0].kind != "graph":
        return Absent("the package's program is not one graph")
    files = package.content.files
    held = {"graph": files[stages[0].file].sha256, "weights": files[WEIGHTS].sha256 if WEIGHTS in files else None}
    if held != program["program"]:
        return Absent("the traced program belongs to a package that this one was derived from")
    return stages[0]


def _check_rim(stage: Stage, program: Mapping[str, Any]) -> None:
    inputs = [spec for spec in program["signature"]["input_specs"] if "user_input" in spec]
    counts = len(inputs), len(program["graph"]["outputs"]), len(program["signature"]["output_specs"])
    expected = len(stage.inputs), len(stage.outputs), len(stage.outputs)
    if counts != expected or len(program["graph"]["inputs"]) != len(program["signature"]["input_specs"]):
        raise FormatError("The traced program has another rim than the package's program", got=counts, expected=expected)


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
