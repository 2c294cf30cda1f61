"""Graphs of a package are data of others: what is no model, or points elsewhere, is a typed error before an engine sees it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from portside.runtimes.onnx_weights import pack_files, parse_model, read_graph
from portside.runtimes.samples import graph_model, node
from portside.sdk.core.errors import FormatError
from portside.sdk.core.manifest import Content, Stage
from portside.sdk.core.package import write
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 400)),), (TensorSpec("y", "f32", ("batch", 400)),))
STAGE = Stage("graph", "main", "program/00-main.onnx", ("x",), ("y",))


@pytest.fixture
def pointing(tmp_path):
    """(key -> value) -> a package whose one weight has these external data."""

    def make(**changes):
        files = pack_files([("main", graph_model(SIGNATURE, [node("Add", ["x", "w"], "y")], {"w": np.ones(400, np.float32)}))])
        model = onnx.load_model_from_string(files[STAGE.file])
        for entry in model.graph.initializer[0].external_data:
            entry.value = changes.get(entry.key, entry.value)
        files[STAGE.file] = model.SerializeToString()
        return write(Content(SIGNATURE, (STAGE,), {}), files, tmp_path / "package")

    return make


def test_the_weights_come_back(pointing):
    model = read_graph(pointing(), STAGE)
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(model.graph.initializer[0]), np.ones(400, np.float32))


@pytest.mark.parametrize(
    "changes",
    [
        {"location": "../../../../etc/passwd"}, {"location": "/etc/passwd"}, {"location": ""}, {"offset": "-8"}, {"offset": "ten"},
        {"length": "-1"}, {"length": str(1 << 62)}, {"offset": str(1 << 62)}, {"offset": "\u0661" * 99},
    ],
)  # fmt: skip
def test_weights_elsewhere_are_refused(pointing, changes):
    with pytest.raises(FormatError, match="points outside"):
        read_graph(pointing(**changes), STAGE)


@pytest.mark.parametrize("data", [b"", b"\xff\x00garbage" * 50, b"\x80\x04cos\nsystem\n."])
def test_what_is_no_model_is_refused(data):
    with pytest.raises(FormatError, match="not an ONNX model"):
        parse_model(data, "program/00-main.onnx")
