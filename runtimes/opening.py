"""Open the segments of a package or an artifact. Imports onnxruntime, and neither onnx, an interpreter nor torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..sdk.core.errors import FormatError, MissingExtraError, TrustError
from .artifact import Artifact
from .base import LoadOptions
from .host_stage import HostStage
from .onnx_engine import OnnxEngine
from .segments import EngineOptions, Segment, SegmentSpec
from .session import ProgramSession, describe
from .tree_stage import TreeStage, read_trees


def open_artifact_session(artifact: Artifact, options: LoadOptions, engine: EngineOptions,
                          locate: Callable[[str], tuple[Path, EngineOptions]] | None = None) -> ProgramSession:  # fmt: skip
    """The session of an artifact that was read (and audited by the caller).

    Args:
        artifact: lists its segments under `engine["segments"]`.
        options: trust and door.
        engine: how ONNX segments are opened.
        locate: ONNX segment -> the file to open instead, and how; for a cache of optimised models.
    """
    specs = [SegmentSpec.from_dict(data) for data in artifact.engine.get("segments", ())]
    if unlisted := [spec.file for spec in specs if spec.file not in artifact.files]:
        raise FormatError("A segment names a file that the artifact does not list", got=unlisted[0])
    host = any(spec.kind == "host" for spec in specs)
    info = describe(
        artifact.signature, artifact.target, artifact.package_digest,
        batch_invariant=artifact.batch_invariant, host=host, cancellable=True,
    )  # fmt: skip
    return ProgramSession(
        info, open_segments(specs, artifact.path, options.trust, engine, locate), codec=artifact.codec,
        read=artifact.read, door=options.door, taps=artifact.engine.get("taps", {}),
    )  # fmt: skip


def open_segments(specs: Sequence[SegmentSpec], root: Path, trust: bool, engine: EngineOptions,
                  locate: Callable[[str], tuple[Path, EngineOptions]] | None = None) -> list[Segment]:  # fmt: skip
    """The segments, opened in order; nothing is opened before it is clear that host stages may run.

    Raises TrustError, FormatError, EngineError.
    """
    if not trust and (host := [spec.file for spec in specs if spec.kind == "host"]):
        raise TrustError("Python of the package would have to run", got=", ".join(host),
                         fix="Read those files, then say trust=True (CLI: --trust).")  # fmt: skip
    return [_opened(spec, root, trust, engine, locate) for spec in specs]


def _opened(spec: SegmentSpec, root: Path, trust: bool, engine: EngineOptions,
            locate: Callable[[str], tuple[Path, EngineOptions]] | None) -> Segment:  # fmt: skip
    if spec.kind == "host":
        return HostStage(root / spec.file, spec, trust)
    if spec.kind == "trees":
        trees = read_trees(lambda name: (root / name).read_bytes(), spec.file)
        return TreeStage(trees, spec.inputs[0], spec.outputs[0])
    if spec.kind == "tflite":
        return _native(spec, root, engine)
    if locate is not None:
        return OnnxEngine(*locate(spec.file))
    return OnnxEngine(root / spec.file, engine)


def _native(spec: SegmentSpec, root: Path, engine: EngineOptions) -> Segment:
    """A `.tflite` file as it was given, in its own interpreter."""
    try:
        from .tflite.interpreter import TfliteEngine  # an interpreter is loaded for native stages alone
        from .tflite.plan import Plan  # as above
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"A native stage needs {error.name!r}", extra="tflite") from error
    if spec.plan is None:
        raise FormatError("A segment does not say how its file is called", got=spec.file)
    return TfliteEngine(root / spec.file, Plan.from_dict(spec.plan), engine.threads)
