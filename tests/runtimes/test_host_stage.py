"""Host stages run only when trusted, and what they raise is wrapped."""

from __future__ import annotations

import numpy as np
import pytest

from portside.runtimes.base import Cancel
from portside.runtimes.host_stage import HostStage
from portside.runtimes.segments import SegmentSpec
from portside.sdk.core.errors import EngineError, FormatError, TrustError


def opened(tmp_path, source, outputs=("y",), trust=True, function="stage"):
    path = tmp_path / "00-stage.py"
    path.write_text(source)
    return HostStage(path, SegmentSpec("host", "host/00-stage.py", ("x",), tuple(outputs), function), trust)


def test_nothing_runs_without_trust(tmp_path):
    mark = tmp_path / "ran"
    with pytest.raises(TrustError, match="trust=True"):
        opened(tmp_path, f"open({str(mark)!r}, 'w').close()", trust=False)
    assert not mark.exists()


def test_one_array_or_a_dict_comes_back_by_name(tmp_path):
    one = opened(tmp_path, "def stage(x):\n    return x + 1")
    assert one.run(["y"], {"x": np.zeros(2)})[0].tolist() == [1, 1]
    two = opened(tmp_path, "def stage(x):\n    return {'b': x, 'a': -x}", ("a", "b"))
    assert [value.tolist() for value in two.run(["b", "a"], {"x": np.ones(1)})] == [[1], [-1]]


def test_what_comes_back_is_contiguous_and_not_the_callers(tmp_path):
    x = np.arange(6.0).reshape(2, 3)
    (y,) = opened(tmp_path, "def stage(x):\n    return x.T").run(["y"], {"x": x})
    y.fill(0)
    assert y.flags.c_contiguous
    assert x[1, 2] == 5


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("def stage(x):\n    raise KeyError('gone')", EngineError, "KeyError: 'gone'"),
        ("def stage(x):\n    return {'other': x}", EngineError, "'y'"),
        ("def other(x):\n    return x", FormatError, "'stage'"),
        ("def stage(x:\n", FormatError, "does not compile"),
        ("raise RuntimeError('no')", EngineError, "RuntimeError: no"),
    ],
)
def test_faults_are_typed_and_say_what(tmp_path, source, error, words):
    with pytest.raises(error, match=words):
        opened(tmp_path, source).run(["y"], {"x": np.zeros(1)})


def test_one_value_for_two_outputs_is_refused(tmp_path):
    with pytest.raises(EngineError, match="a, b"):
        opened(tmp_path, "def stage(x):\n    return x", ("a", "b")).run(["a", "b"], {"x": np.zeros(1)})


def test_a_cancelled_call_does_not_begin(tmp_path):
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(EngineError) as caught:
        opened(tmp_path, "def stage(x):\n    return x").run(["y"], {"x": np.zeros(1)}, cancel)
    assert caught.value.reason == "cancelled"
