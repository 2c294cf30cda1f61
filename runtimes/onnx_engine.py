"""ONNX Runtime on the CPU as a Segment: options that behave on shared cores, cancellation, one kind of error.

`run` from several threads at once is safe, and every call has run options of its own: a flag set for one call never
stops another. Importing this file imports onnxruntime and not onnx.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import onnxruntime as ort

from ..sdk.core.errors import EngineError
from ..sdk.core.signature import Array
from .base import Cancel
from .segments import EngineOptions

_LEVELS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
_QUIET = 4
"""Severity "fatal": what goes wrong is raised, not printed."""


class OnnxEngine:
    """One ONNX model, opened.

    Args:
        model: a file (external weights are found beside it) or the bytes of a model.
        options: threads and optimisation.

    Raises EngineError for a model that ONNX Runtime refuses.
    """

    def __init__(self, model: Path | bytes, options: EngineOptions | None = None) -> None:
        source = model if isinstance(model, bytes) else str(model)
        session_options = session_options_of(options or EngineOptions())
        try:
            self._session: Any = ort.InferenceSession(source, session_options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no base but Exception; all are wrapped
            raise EngineError(f"ONNX Runtime cannot open the model: {_first_line(error)}",
                              got=None if isinstance(model, bytes) else model.name) from error  # fmt: skip
        self._run = _native(self._session)
        self.inputs: tuple[str, ...] = tuple(item.name for item in self._session.get_inputs())
        self.outputs: tuple[str, ...] = tuple(item.name for item in self._session.get_outputs())

    def run(self, names: list[str], feeds: dict[str, Array], cancel: Cancel | None = None) -> list[Array]:
        """The outputs `names` for the inputs `feeds`, whose names are exactly the model's. Raises EngineError."""
        try:
            if cancel is None:
                return self._run(names, feeds, None)
            return self._run_cancellable(names, feeds, cancel)
        except EngineError:
            raise
        except Exception as error:  # see __init__
            raise _wrapped(error, cancel) from error

    def _run_cancellable(self, names: list[str], feeds: dict[str, Array], cancel: Cancel) -> list[Array]:
        options: Any = ort.RunOptions()
        options.log_severity_level = _QUIET

        def stop() -> None:
            options.terminate = True

        cancel.on_cancel(stop)
        try:
            return cast("list[Array]", self._session.run(names, feeds, options))
        finally:
            cancel.forget(stop)

    def close(self) -> None:
        """Drop the engine; calls under way finish."""
        self._session = _Closed()
        self._run = self._session.run


class _Closed:
    def run(self, *_: object) -> list[Array]:
        raise EngineError("The session is closed", reason="closed", fix="Load the artifact again.")


def _native(session: Any) -> Any:
    """The call behind `InferenceSession.run`, which looks once more whether the model's inputs are there (a fifth of what a tiny model
    costs) and else does nothing for a model on the CPU. It is private to ONNX Runtime: where it is not as expected, `run` itself."""
    return getattr(getattr(session, "_sess", None), "run", session.run)


def _wrapped(error: Exception, cancel: Cancel | None) -> EngineError:
    if cancel is not None and cancel.cancelled:
        return EngineError("The call was cancelled", reason="cancelled")
    return EngineError(f"ONNX Runtime failed: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__


def session_options_of(options: EngineOptions) -> Any:
    """ONNX Runtime's own form of the options (`ort.SessionOptions`)."""
    result: Any = ort.SessionOptions()
    result.intra_op_num_threads = options.threads
    result.inter_op_num_threads = 1
    result.log_severity_level = _QUIET
    result.graph_optimization_level = _LEVELS[options.optimize]
    result.use_deterministic_compute = options.deterministic
    result.add_session_config_entry("session.intra_op.allow_spinning", str(int(options.spinning)))
    if options.save_optimized is not None:
        result.optimized_model_filepath = str(options.save_optimized)
    return result
