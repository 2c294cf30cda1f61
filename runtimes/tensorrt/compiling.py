"""Package -> artifact of target `tensorrt`: assembled, in the precision of its plan, made ready for TensorRT's parser, and written as ONNX.

The artifact is portable: engines are made where they run (`engines.py`). With the option `engine=shipped` the engine of this machine's
GPU travels too, and is refused anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...sdk.core.errors import UnsupportedError
from ...sdk.core.package import Package
from ..artifact import Artifact, begin, finish, read_artifact
from ..assemble import Part, assemble
from ..base import CompileOptions
from ..hardware import built_on, version_of
from ..onnx_files import file_dtypes, write_model
from ..precision.tensorrt_lower import EIGHT_BITS, TensorRTPrecision
from ..tflite.tree_lowering import lower_trees
from .binding import bindings
from .building import Settings
from .engines import Engines
from .opening import PLACE, PLANS, RIMS, SETTINGS, built_by
from .operators import check_operators
from .place import here
from .preparing import prepare
from .rim import Rim
from .sizes import ranges_of, rim_of

ENGINES = ("portable", "shipped")


def compile_package(package: Package, target: str, options: CompileOptions, out: Path) -> Artifact:
    """Write `package` into the new folder `out`. Its own options are `TensorRTGpu.options`.

    Raises:
        UnsupportedError: an operator, dimension, stage or option that the target does not hold, by name.
        EngineError: an engine is to be shipped and cannot be built here.
    """
    extra = options.extra
    settings, shipped = settings_of(extra), _one_of(extra, "engine", ENGINES) == "shipped"
    ranges = ranges_of(package, extra.get("batches"), extra.get("sizes"))
    precision = TensorRTPrecision(package, _one_of(extra, "eight_bits", EIGHT_BITS))
    parts = [_ready(part, target) for part in assemble(package, target, options.taps, lower_trees, precision)]
    rims = {part.spec.file: rim_of(part.model, package.signature, ranges) for part in parts if part.model is not None}
    artifact = begin(package, target, out)
    for part in parts:
        if part.model is not None:
            write_model(part.model, out / part.spec.file)
    engine = _engine(package, parts, rims, settings, options.taps, out) | precision.record()
    made = finish(artifact, engine=engine, lossy=precision.lossy, built=_built())
    return _with_engines(made, rims, settings) if shipped else made


def settings_of(extra: Mapping[str, Any]) -> Settings:
    """The builder's settings among the options. Raises UnsupportedError."""
    level, tf32, workspace = extra.get("level", 3), extra.get("tf32", False), extra.get("workspace_mb")
    if type(level) is not int or not 0 <= level <= 5:
        raise UnsupportedError("The option level is not an effort of the builder", got=level, expected="0 to 5")
    if not isinstance(tf32, bool):
        raise UnsupportedError("The option tf32 is yes or no", got=tf32, expected="true or false")
    if workspace is not None and (type(workspace) is not int or workspace <= 0):
        raise UnsupportedError("The option workspace_mb is not a size", got=workspace, expected="MiB, more than 0")
    return Settings(level, tf32, workspace)


def _one_of(extra: Mapping[str, Any], option: str, known: Sequence[Any]) -> Any:
    value = extra.get(option, known[0])
    if value not in known:
        raise UnsupportedError(f"The option {option} has no such value", got=value, expected=", ".join(known))
    return value


def _ready(part: Part, target: str) -> Part:
    """The segment in the parser's terms. Raises UnsupportedError for an operator that it does not know."""
    if part.model is None:
        return part
    model = prepare(part.model)
    check_operators(model, target)
    return Part(part.spec, model)


def _engine(package: Package, parts: Sequence[Part], rims: Mapping[str, Rim], settings: Settings, taps: Sequence[str],
            out: Path) -> dict[str, Any]:  # fmt: skip
    return {
        "segments": [part.spec.to_dict() for part in parts],
        RIMS: {file: rim.to_dict() for file, rim in rims.items()},
        SETTINGS: settings.to_dict(),
        "taps": {tap: list(package.content.boundaries[tap]) for tap in taps},
        "weights_bytes": file_dtypes(out / file for file in rims),
    }


def _built() -> dict[str, Any]:
    """Versions; TensorRT's where it is here, whatever it is called."""
    return {**built_on("onnx"), "tensorrt": version_of("tensorrt")}


def _with_engines(artifact: Artifact, rims: Mapping[str, Rim], settings: Settings) -> Artifact:
    """The artifact with the engines of this GPU beside the ONNX files."""
    held = bindings()
    place, plans = here(held), dict[str, str]()
    kept = Engines(artifact, place, settings)
    for file, rim in rims.items():
        plans[file] = str(Path(file).with_suffix(".plan"))
        plan = kept.obtain(file, built_by(held, artifact.path / file, rim, settings))
        (artifact.path / plans[file]).write_bytes(plan)
    described = read_artifact(artifact.path)
    return finish(described, engine={**described.engine, PLANS: plans, PLACE: place.to_dict()})
