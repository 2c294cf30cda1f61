"""Real models packed, taken back from their ONNX graph, held against the reference runtime and run by LiteRT."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import portside as ps
from portside.runtimes.assemble import assemble
from portside.runtimes.importers.onnx_back.module import export, to_module
from portside.runtimes.reference import Reference
from portside.runtimes.trees_gather import to_gather

pytestmark = [pytest.mark.slow, pytest.mark.long]
ROWS = 6
RNG = np.random.default_rng(0)
TABLE = np.round(RNG.normal(size=(300, 5)), 1).astype(np.float32)
LABELS = (TABLE[:, 0] + TABLE[:, 1] * TABLE[:, 2] > 0.3).astype(np.int64)


class Net(torch.nn.Module):
    """Convolution, pool, normalisation, attention of one head, dynamic shapes inside."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = torch.nn.Conv2d(1, 8, 3, padding=1, stride=2), torch.nn.BatchNorm2d(8)
        self.layer, self.head = torch.nn.LayerNorm(16), torch.nn.Linear(16, 5)
        self.attention = torch.nn.MultiheadAttention(16, 1, batch_first=True)

    def forward(self, picture):
        x = torch.nn.functional.gelu(self.norm(self.conv(picture[:, None])))
        x = torch.nn.functional.max_pool2d(x, 2).flatten(2).reshape(picture.shape[0], -1, 16)
        x = self.layer(x + self.attention(x, x, x, need_weights=False)[0]).mean(1)
        y = self.head(x)
        return {"label": y.argmax(1), "probabilities": y.softmax(1)}


def pictures(count):
    return np.random.default_rng(1).normal(size=(count, 16, 16)).astype(np.float32)


def torch_package():
    return ps.pack(Net().eval(), name="net", examples={"picture": pictures(8)})


def table_package(estimator):
    return ps.pack(estimator.fit(TABLE.astype(np.float64), LABELS), name="table", examples={"x": TABLE})


SCIKIT = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "forest": RandomForestClassifier(8, max_depth=5, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=8, max_depth=4, random_state=0),
}


def graph_of(package):
    (part,) = assemble(package, "reference", trees=to_gather)
    return part.model


def against_the_reference(package, inputs):
    """The module, and its traced form, answer as the reference runtime does on the same rows."""
    module = to_module(graph_of(package), {"batch": ROWS})
    tensors = [torch.from_numpy(inputs[name]) for name in module.inputs]
    want = Reference().open(package).run(inputs)
    for run in (module, export(module).module()):
        with torch.no_grad():
            got = dict(zip(module.outputs, run(*tensors), strict=True))
        for name, expected in want.items():
            if expected.dtype.kind == "f":
                np.testing.assert_allclose(got[name].numpy(), expected, rtol=1e-5, atol=1e-5)
            else:
                np.testing.assert_array_equal(got[name].numpy(), expected)


def test_a_network():
    against_the_reference(torch_package(), {"picture": pictures(ROWS)})


@pytest.mark.parametrize("name", SCIKIT)
def test_an_estimator(name):
    against_the_reference(table_package(SCIKIT[name]), {"x": TABLE[:ROWS]})


RUN_BY_LITERT = """
import sys
import numpy as np, onnx, torch, litert_torch
from ai_edge_litert.interpreter import Interpreter
from portside.runtimes.importers.onnx_back.module import to_module
folder, rows = sys.argv[1], int(sys.argv[2])
module = to_module(onnx.load(folder + "/model.onnx"), {"batch": rows})
feed = np.load(folder + "/inputs.npz")
litert_torch.convert(module, tuple(torch.from_numpy(feed[name]) for name in module.inputs)).export(folder + "/model.tflite")
runner = Interpreter(folder + "/model.tflite").get_signature_runner()
made = runner(**{f"args_{index}": feed[name] for index, name in enumerate(module.inputs)})
np.savez(folder + "/outputs.npz", **{name: made[f"output_{index}"] for index, name in enumerate(module.outputs)})
"""


def by_litert(package, inputs, folder):
    """What LiteRT answers, converted in a process of its own: the converter prints and loads jax."""
    (folder / "model.onnx").write_bytes(graph_of(package).SerializeToString())
    np.savez(folder / "inputs.npz", **inputs)
    subprocess.run([sys.executable, "-c", RUN_BY_LITERT, str(folder), str(ROWS)], check=True, capture_output=True, timeout=280)
    return dict(np.load(folder / "outputs.npz"))


@pytest.mark.parametrize("name", ["net", "boosting"])
def test_litert_runs_what_came_back(name, tmp_path):
    pytest.importorskip("litert_torch")
    package = torch_package() if name == "net" else table_package(SCIKIT[name])
    inputs = {"picture": pictures(ROWS)} if name == "net" else {"x": TABLE[:ROWS]}
    want = Reference().open(package).run(inputs)
    got = by_litert(package, inputs, tmp_path)
    for key, expected in want.items():
        np.testing.assert_allclose(got[key], expected, rtol=1e-4, atol=1e-5)
