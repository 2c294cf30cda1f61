"""Run a standalone ONNX graph as it is: one thread, no log output. For checks while importing, not for serving."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import onnxruntime as ort
from onnx import ModelProto

from ..sdk.core.signature import Array


def open_graph(model: ModelProto | bytes) -> ort.InferenceSession:
    """A session of ONNX Runtime on the CPU. Raises whatever ONNX Runtime raises."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run_graph(session: ort.InferenceSession, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """All outputs by name."""
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, (np.asarray(value) for value in cast("list[Any]", session.run(names, dict(inputs)))), strict=True))
