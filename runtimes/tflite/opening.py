"""Open the segments of a TFLite artifact. Imports an interpreter, and neither onnx, onnxruntime nor torch: a device has none."""

from __future__ import annotations

from collections.abc import Sequence

from ...sdk.core.errors import FormatError, TrustError
from ..artifact import Artifact
from ..base import LoadOptions
from ..host_stage import HostStage
from ..segments import Segment, SegmentSpec
from ..session import ProgramSession, describe
from .interpreter import TfliteEngine
from .plan import Plan


def open_session(artifact: Artifact, options: LoadOptions) -> ProgramSession:
    """The session of an artifact that was read (and audited by the caller).

    Raises TrustError, FormatError, EngineError.
    """
    specs = [SegmentSpec.from_dict(data) for data in artifact.engine.get("segments", ())]
    host = [spec.file for spec in specs if spec.kind == "host"]
    if host and not options.trust:
        raise TrustError("Python of the package would have to run", got=", ".join(host),
                         fix="Read those files, then say trust=True (CLI: --trust).")  # fmt: skip
    info = describe(artifact.signature, artifact.target, artifact.package_digest, batch_invariant=artifact.batch_invariant,
                    host=bool(host), cancellable=False)  # fmt: skip
    return ProgramSession(info, _opened(artifact, specs, options), codec=artifact.codec, read=artifact.read, door=options.door,
                          taps=artifact.engine.get("taps", {}))  # fmt: skip


def _opened(artifact: Artifact, specs: Sequence[SegmentSpec], options: LoadOptions) -> list[Segment]:
    return [_segment(artifact, spec, options) for spec in specs]


def _segment(artifact: Artifact, spec: SegmentSpec, options: LoadOptions) -> Segment:
    if spec.file not in artifact.files:
        raise FormatError("A segment names a file that the artifact does not list", got=spec.file)
    if spec.kind == "host":
        return HostStage(artifact.path / spec.file, spec, options.trust)
    if spec.kind != "tflite":
        raise FormatError("A TFLite artifact has a segment of another kind", got=spec.kind, expected="tflite or host")
    plans = artifact.engine.get("plans", {})
    if spec.file not in plans:
        raise FormatError("A TFLite artifact does not say how its file is called", got=spec.file, expected=", ".join(plans) or "a plan")
    return TfliteEngine(artifact.path / spec.file, Plan.from_dict(plans[spec.file]), options.threads)
