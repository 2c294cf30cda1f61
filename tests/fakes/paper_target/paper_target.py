"""A runtime that lives outside Portside: ONNX's own reference evaluator as a target, in one file."""

from __future__ import annotations

import onnx
from onnx.reference import ReferenceEvaluator

from portside.runtimes.artifact import begin, finish, read_artifact
from portside.runtimes.assemble import assemble
from portside.runtimes.hardware import built_on
from portside.runtimes.host_stage import HostStage
from portside.runtimes.onnx_files import file_dtypes, write_model
from portside.runtimes.segments import SegmentSpec
from portside.runtimes.session import ProgramSession, describe
from portside.sdk.core.errors import EngineError


class Evaluator:
    """One segment: a model, evaluated operator by operator in numpy."""

    def __init__(self, path):
        self._model = ReferenceEvaluator(onnx.load(path))
        self.inputs, self.outputs = tuple(self._model.input_names), tuple(self._model.output_names)

    def run(self, names, feeds, cancel=None):
        if self._model is None:
            raise EngineError("The session is closed", reason="closed")
        if cancel is not None and cancel.cancelled:
            raise EngineError("The call was cancelled", reason="cancelled")
        try:
            return self._model.run(names, feeds)
        except Exception as error:
            raise EngineError(f"The evaluator failed: {error}") from error

    def close(self):
        self._model = None


class Paper:
    """Entry point "paper"."""

    name = "paper"
    extra = "onnx"

    def missing(self):
        return None

    def compile(self, package, options, out):
        options.only(self.name, ())
        parts = assemble(package, self.name, options.taps)
        artifact = begin(package, self.name, out)
        files = [out / part.spec.file for part in parts if part.model is not None]
        for file, part in zip(files, [part for part in parts if part.model is not None], strict=True):
            write_model(part.model, file)
        taps = {tap: list(package.content.boundaries[tap]) for tap in options.taps}
        engine = {"segments": [part.spec.to_dict() for part in parts], "taps": taps, "weights_bytes": file_dtypes(files)}
        return finish(artifact, engine=engine, built=built_on("onnx"))

    def load(self, artifact, options):
        opened = read_artifact(artifact)
        specs = [SegmentSpec.from_dict(data) for data in opened.engine["segments"]]
        host = any(spec.kind == "host" for spec in specs)
        segments = [_opened(artifact, spec, options) for spec in specs]
        invariant = opened.batch_invariant
        info = describe(opened.signature, self.name, opened.package_digest, batch_invariant=invariant, host=host, cancellable=False)
        return ProgramSession(info, segments, codec=opened.codec, read=opened.read, door=options.door, taps=opened.engine["taps"])


def _opened(artifact, spec, options):
    return HostStage(artifact / spec.file, spec, options.trust) if spec.kind == "host" else Evaluator(artifact / spec.file)
