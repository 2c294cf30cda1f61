"""What every peer's application does: one session of the same ONNX file with the same threads, and nothing of Portside."""

from __future__ import annotations

import base64
import io
import os
from typing import Any

import numpy as np
import onnxruntime as ort

NAME = os.environ.get("BENCH_INPUT", "x")
KIND = os.environ.get("BENCH_KIND", "json")
"""json: lists of numbers; binary: float32 bytes; jpeg: base64 of a picture."""


def opened() -> Any:
    """A session on one thread per call, as ours has."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = 1, 1, 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"])


def typed(value: Any) -> Any:
    """The model's input from what a door took."""
    if KIND == "binary":
        shape = tuple(map(int, os.environ["BENCH_SHAPE"].split(",")))
        return np.frombuffer(value, np.float32).reshape(shape)
    return picture(value)[None] if KIND == "jpeg" else np.asarray(value, np.float32)


def picture(text: str) -> Any:
    """A grey picture of 300 x 300 from the base64 of a JPEG file."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("L").resize((300, 300)))


def answer(session: Any, value: Any) -> Any:
    """The first output."""
    return session.run(None, {NAME: typed(value)})[0]
