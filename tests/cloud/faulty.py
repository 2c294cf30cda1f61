"""A Session that does as a control file says: "ok", "slow", "wedge", "spin", "throw", "nan" or "exit". No engine, no artifact.

It doubles its input `x`; the file is read at every call, so a test switches a fault on and off from outside, also across
processes.
"""

import os
import time
from pathlib import Path

import numpy as np

from portside.runtimes.base import SessionInfo
from portside.sdk.core.errors import EngineError
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(TensorSpec("x", "f32", ("batch", 2)),),
    outputs=(TensorSpec("y", "f32", ("batch", 2), kind="value"), TensorSpec("label", "i64", ("batch",), kind="decision")),
)
SLOW_S = 0.2


class Faulty:
    """See the module. `thread_safe` and `cancellable` as the test wants them."""

    def __init__(self, control, thread_safe=True, factor=2.0):
        self.control, self.factor, self.closed = Path(control), factor, False
        self.info = SessionInfo(SIGNATURE, "fake", "sha256:" + "0" * 64, True, thread_safe, True)

    def run(self, inputs, cancel=None):
        fault = self.control.read_text().strip() if self.control.exists() else "ok"
        if fault == "throw":
            raise ValueError("the model threw")
        if fault == "exit":
            os._exit(3)
        if fault == "slow":
            time.sleep(SLOW_S)
        if fault == "wedge":  # ignores cancellation, as a native call does
            while self.control.exists() and self.control.read_text().strip() == "wedge":
                time.sleep(0.005)
        if fault == "deaf":  # never comes back, whatever the file says
            time.sleep(3600)
        if fault == "polite":  # a slow engine that obeys
            for _ in range(1000):
                if cancel is not None and cancel.cancelled:
                    raise EngineError("stopped", reason="cancelled")
                time.sleep(0.005)
        y = np.asarray(inputs["x"], np.float32) * np.float32(self.factor)
        if fault == "nan":
            y = np.full_like(y, np.nan)
        return {"y": y, "label": (y.sum(axis=1) > 0).astype(np.int64)}

    def predict(self, inputs, cancel=None):
        return self.run(inputs, cancel)

    def close(self):
        self.closed = True


def open_faulty(control, thread_safe=True, factor=2.0):
    """The opener for worker processes."""
    if Path(control).exists() and Path(control).read_text().strip() == "unopenable":
        raise RuntimeError("cannot open")
    return Faulty(control, thread_safe, factor)


def echo(control):
    """A session that gives its inputs back: for the tensors' way there and back."""

    class Echo(Faulty):
        def run(self, inputs, cancel=None):
            return {name: value[0] if isinstance(value, list) else value for name, value in inputs.items()}

    return Echo(control)
