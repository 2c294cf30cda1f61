"""Open the segments of a TensorRT artifact: find or build the engines of this GPU, deserialize them, and prove them before they answer.

An engine is made on the machine that runs it, so the proof of the compile is not enough: the contract that travels with the artifact is
run whenever one is opened, and an engine that fails it never answers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...sdk.core.errors import ContractError, EngineError, FormatError, TrustError
from ...sdk.core.manifest import CONTRACT
from ..artifact import Artifact
from ..base import LoadOptions
from ..fidelity import check
from ..host_stage import HostStage
from ..segments import Segment, SegmentSpec
from ..session import ProgramSession, describe
from .binding import Bindings, bindings, logger_of
from .building import Built, Refused, Settings, build
from .engine import TensorRTEngine
from .engines import Engines
from .place import Place, check_place, here
from .rim import Rim

RIMS, SETTINGS, PLANS, PLACE = "rims", "settings", "plans", "place"
"""What an artifact keeps under `engine`: how engines are called, how they are built, and those that it ships with where they may run."""


def open_session(artifact: Artifact, options: LoadOptions, *, prove: bool = True) -> ProgramSession:
    """The session of an artifact that was read (and audited by the caller).

    Args:
        artifact: lists its segments under `engine["segments"]`.
        options: trust and door; threads, spinning and cache do not apply.
        prove: run the contract first.

    Raises:
        TrustError, FormatError: as any artifact.
        EngineError: TensorRT refuses it, it ships an engine for another GPU or version, or it computes in float8, which the GPU does not.
        ContractError: the engine does not answer like its package on this GPU.
    """
    specs = _specs(artifact)
    host = [spec.file for spec in specs if spec.kind == "host"]
    if host and not options.trust:
        raise TrustError("Python of the package would have to run", got=", ".join(host),
                         fix="Read those files, then say trust=True (CLI: --trust).")  # fmt: skip
    held = bindings()
    place = here(held)
    _check_float8(artifact, place)
    opener = _Opener(artifact, held, place)
    segments: list[Segment] = []
    try:
        segments += [HostStage(artifact.path / spec.file, spec, True) if spec.kind == "host" else opener.open(spec) for spec in specs]
        session = _session(artifact, segments, options.door, bool(host))
        if prove:
            _prove(artifact, _session(artifact, segments, False, bool(host)), str(opener.place))
    except BaseException:
        for segment in segments:
            segment.close()
        raise
    return session


def rims_of(artifact: Artifact) -> dict[str, Rim]:
    """ONNX file -> how its engine is called. Raises FormatError."""
    with _described(artifact):
        return {file: Rim.from_dict(data) for file, data in artifact.engine.get(RIMS, {}).items()}


def _specs(artifact: Artifact) -> list[SegmentSpec]:
    with _described(artifact):
        specs = [SegmentSpec.from_dict(data) for data in artifact.engine.get("segments", ())]
        if odd := [spec.file for spec in specs if not isinstance(spec.file, str)]:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{odd[0]!r} is no file")
        return specs


@contextmanager
def _described(artifact: Artifact) -> Generator[None]:
    """What artifact.json says of the engine is data of others: whatever is wrong with it is a FormatError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"What the artifact says of its engine is malformed: {error!r}", got=str(artifact.path),
                          fix="Compile the package again.") from error  # fmt: skip


def _session(artifact: Artifact, segments: list[Segment], door: bool, host: bool) -> ProgramSession:
    info = describe(artifact.signature, artifact.target, artifact.package_digest, batch_invariant=artifact.batch_invariant, host=host,
                    cancellable=True)  # fmt: skip
    return ProgramSession(info, segments, codec=artifact.codec, read=artifact.read, door=door, taps=artifact.engine.get("taps", {}))


def _prove(artifact: Artifact, session: ProgramSession, place: str) -> None:
    if CONTRACT not in artifact.files:
        return
    contract = artifact.contract()
    found = check(session, contract.cases, contract.rules, artifact.lossy)
    if found.verdict == "failed":
        fix = "Run: portside verify ARTIFACT; it says which output and how far."
        raise ContractError("The engine does not answer like its package on this GPU", report=found, got=found.fault or place,
                            expected="the contract's outputs", fix=fix)  # fmt: skip


def _check_float8(artifact: Artifact, place: Place) -> None:
    with _described(artifact):
        precision: Mapping[str, Any] = artifact.engine.get("precision", {})
        needed = precision.get("eight bits") == "float8" and "int8-static" in precision["achieved"]
    if needed and not place.float8:
        raise EngineError("The artifact computes in float8, which this GPU does not", got=str(place),
                          expected="compute capability 8.9 or later", fix="Compile the package with --option eight_bits=int8.")  # fmt: skip


class _Opener:
    """Opens the engines of one artifact."""

    def __init__(self, artifact: Artifact, held: Bindings, place: Place) -> None:
        self.artifact, self.held, self.place = artifact, held, place
        self._rims = rims_of(artifact)
        with _described(artifact):
            self._settings = Settings.from_dict(artifact.engine.get(SETTINGS) or Settings().to_dict())
            self._plans: Mapping[str, str] = {file: str(plan) for file, plan in artifact.engine.get(PLANS, {}).items()}
        self._engines = Engines(artifact, place, self._settings)
        self._said: list[str] = []
        self._logger = logger_of(held.trt, self._said.append)
        self._runtime: Any = held.trt.Runtime(self._logger)

    def open(self, spec: SegmentSpec) -> Segment:
        """One engine. Raises FormatError, EngineError."""
        if spec.kind != "onnx" or spec.file not in self.artifact.files or spec.file not in self._rims:
            raise FormatError("A TensorRT artifact has a segment that it does not describe", got=spec.file,
                              expected="an ONNX file and its rim")  # fmt: skip
        engine = self._shipped(self._plans[spec.file]) if spec.file in self._plans else self._local(spec.file)
        return TensorRTEngine(self.held, engine, self._rims[spec.file], (self._runtime, self._logger))

    def _shipped(self, file: str) -> Any:
        check_place(Place.from_dict(self.artifact.engine.get(PLACE)), self.place)
        engine = self._runtime.deserialize_cuda_engine(self.artifact.read(file))
        return engine if engine is not None else self._refuse(file)

    def _local(self, file: str) -> Any:
        """The engine of this place, kept or built; one that is kept and not taken is built once more."""
        make = built_by(self.held, self.artifact.path / file, self._rims[file], self._settings)
        engine = self._runtime.deserialize_cuda_engine(self._engines.obtain(file, make))
        if engine is None:
            self._engines.forget(file)
            engine = self._runtime.deserialize_cuda_engine(self._engines.obtain(file, make))
        return engine if engine is not None else self._refuse(file)

    def _refuse(self, file: str) -> Any:
        raise EngineError("TensorRT does not take the engine", got=f"{file}: {'; '.join(self._said) or 'no reason given'}",
                          fix="Compile the package again.")  # fmt: skip


def built_by(held: Bindings, model: Path, rim: Rim, settings: Settings) -> Callable[[bytes], Built]:
    """What builds the engine of an ONNX file. It raises EngineError."""

    def make(timing: bytes) -> Built:
        try:
            return build(held.trt, str(model), rim.profile, settings, timing)
        except Refused as refused:
            raise EngineError(f"TensorRT {held.trt.__version__} cannot build the engine", got=str(refused)[:400],
                              fix="Compile for onnx-cpu, or pack a model without that operator.") from refused  # fmt: skip

    return make
