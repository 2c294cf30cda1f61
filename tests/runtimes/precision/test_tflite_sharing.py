"""Equal vectors of a quantized file are written once, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from portside.runtimes.base import CompileOptions
from portside.runtimes.precision.tflite_sharing import ALIGNED, shared
from portside.runtimes.samples import SAMPLES
from portside.runtimes.tflite_edge import TfliteEdge

pytestmark = pytest.mark.slow
COLUMNS = 64


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A real file, each of its tensors given scales and zero points of its own as a quantizer does."""
    folder = tmp_path_factory.mktemp("float")
    artifact = TfliteEdge().compile(SAMPLES["mixed"]().write(folder / "package"), CompileOptions(verify=False), folder / "artifact")
    held = flatbuffer_utils.read_model(str(artifact.path / next(iter(artifact.engine["plans"]))))
    for graph in held.subgraphs or []:
        for tensor in graph.tensors or []:
            if tensor.type == schema.TensorType.FLOAT32:
                tensor.quantization = schema.QuantizationParametersT()
                tensor.quantization.scale, tensor.quantization.zeroPoint = [0.5] * COLUMNS, [0] * COLUMNS
    return bytes(flatbuffer_utils.convert_object_to_bytearray(held))


def facts(data):
    """Everything in the model but where it lies."""

    def plain(value):
        if isinstance(value, np.ndarray):
            return value.tolist()
        if isinstance(value, list):
            return [plain(one) for one in value]
        return {name: plain(held) for name, held in vars(value).items()} if hasattr(value, "__dict__") else value

    return plain(flatbuffer_utils.read_model_from_bytearray(data))


def test_a_file_is_smaller_and_says_the_same(model):
    made = shared(model)
    tensors = sum(len(graph.tensors or []) for graph in flatbuffer_utils.read_model_from_bytearray(model).subgraphs or [])
    assert len(made) < len(model) - tensors * COLUMNS
    assert facts(made) == facts(model)
    assert shared(made) == made


def test_data_begins_where_the_schema_wants_it(model):
    held = schema.Model.GetRootAsModel(shared(model), 0)
    buffers = [held.Buffers(place) for place in range(held.BuffersLength())]
    places = [one._tab.Vector(one._tab.Offset(4)) % ALIGNED for one in buffers if one.DataLength()]
    assert places
    assert set(places) == {0}


def test_a_file_that_is_too_large_for_one_flatbuffer_stays_as_it_is(model, monkeypatch):
    monkeypatch.setattr("portside.runtimes.precision.tflite_sharing.MOST_BYTES", len(model) - 1)
    assert shared(model) is model
