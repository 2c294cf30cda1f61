"""The conformance suite over every installed runtime and the fake, and over runtimes that break one promise each."""

from __future__ import annotations

import numpy as np
import pytest

from portside.runtimes import base, checks
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.sdk.core.errors import UnsupportedError

REMEMBERED = ("tflite",)
"""Targets whose compiles take seconds: one compile per sample serves all checks but "compile is repeatable"."""
LONG = ("answers equal the reference", "cancel before a call", "cancel during a call", "compile is repeatable")
"""Checks that compile 3,000 operators, or compile afresh: minutes where the lowering is slow."""
LONGEST = ("cancel before a call", "cancel during a call", "compile is repeatable")
SIMULATED = {"tensorrt": "simulated_tensorrt"}
"""Targets whose engine is simulated, as long as no device is at hand: the fixture that does it."""


def pairs():
    for name in sorted(base.installed()):
        for check in checks.ALL:
            marks = [pytest.mark.slow, pytest.mark.timeout(600)] if name in (*REMEMBERED, *SIMULATED) and check.name in LONG else []
            marks += [pytest.mark.long] if name in REMEMBERED and check.name in LONGEST else []
            marks += [pytest.mark.browser] if name == "wasm" else []
            yield pytest.param(name, check, marks=marks, id=f"{check}-{name}")


@pytest.mark.parametrize(("name", "check"), list(pairs()))
def test_installed_runtimes_conform(name, check, tmp_path, remembering, request):
    if name in SIMULATED:
        request.getfixturevalue(SIMULATED[name])
    runtime = base.installed()[name]
    afresh = name not in REMEMBERED or check.name == "compile is repeatable"
    check(runtime if afresh else remembering(runtime), tmp_path)


def test_the_fake_conforms(faulty):
    assert checks.failures(checks.conformance(faulty.FaultyRuntime)) == {}


class Broken:
    """OnnxCpu with one promise broken in `run`."""

    def __init__(self, session, run):
        self._session, self._run, self.info = session, run, session.info

    def run(self, inputs, cancel=None):
        return self._run(self._session, inputs, cancel)

    def predict(self, inputs, cancel=None):
        return self._session.predict(inputs, cancel)

    def close(self):
        self._session.close()


def breaking(run):
    class BrokenRuntime(OnnxCpu):
        def load(self, artifact, options):
            return Broken(super().load(artifact, options), run)

    return BrokenRuntime


def sorted_names(session, inputs, cancel):
    return dict(sorted(session.run(inputs, cancel).items()))


def rim_dtypes(session, inputs, cancel):
    return {name: value.astype(np.int32) if value.dtype == np.int64 else value for name, value in session.run(inputs, cancel).items()}


def deaf(session, inputs, cancel):
    return session.run(inputs)


def forgiving(session, inputs, cancel):
    return session.run({name: value for name, value in inputs.items() if name in {spec.name for spec in session.info.signature.inputs}})


def finite(session, inputs, cancel):
    return {name: np.nan_to_num(value) for name, value in session.run(inputs, cancel).items()}


@pytest.mark.parametrize(
    ("run", "caught"),
    [
        (sorted_names, "names, dtypes and order are the signature's"),
        (rim_dtypes, "names, dtypes and order are the signature's"),
        (deaf, "cancel before a call"),
        (forgiving, "an unknown input is named"),
        (finite, "NaN in one row stays there"),
    ],
)
def test_a_broken_promise_is_caught_and_named(run, caught):
    suite = tuple(check for check in checks.ALL if check.name == caught)
    found = checks.failures(checks.conformance(breaking(run), suite))
    assert list(found) == [caught]
    assert found[caught]


def test_a_sample_that_a_target_refuses_counts_as_held(tmp_path):
    class Refusing(OnnxCpu):
        def compile(self, package, options, out):
            raise UnsupportedError("This target holds nothing")

    check = next(check for check in checks.ALL if check.name == "0-d outputs stay 0-d")
    check(Refusing, tmp_path)
    assert not any(path.name.endswith("artifact") for path in tmp_path.iterdir())
