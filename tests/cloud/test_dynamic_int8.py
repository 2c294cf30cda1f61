"""A model whose rows depend on their batch-mates, behind the real server: nobody's request is answered beside another's."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import started as servers
from onnx import TensorProto, helper, numpy_helper

import portside as ps
from portside.runtimes.artifact import Artifact

WIDTH, ROWS, CLIENTS = 24, 160, 16
DEPLOYMENT = """name = "dynamic"

[champion]
package = "small"
artifact = "artifact"
isolation = "{isolation}"
concurrency = 2
"""


def rows(count: int, seed: int) -> np.ndarray:
    """Rows of very different size: the scale of a batch is that of its largest."""
    made = np.random.default_rng(seed)
    return (made.normal(size=(count, WIDTH)) * 2 ** made.uniform(-1, 1, (count, 1))).astype(np.float32)


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """Two layers in dynamic int8, compiled."""
    made = np.random.default_rng(0)
    weights = {"w0": made.normal(size=(WIDTH, 64)) / 5, "w1": made.normal(size=(64, 4)) / 8}
    nodes = [helper.make_node("MatMul", ["x", "w0"], ["h"], name="first"), helper.make_node("Relu", ["h"], ["r"], name="relu"),
             helper.make_node("MatMul", ["r", "w1"], ["logits"], name="second"),
             helper.make_node("Softmax", ["logits"], ["score"], name="softmax", axis=1)]  # fmt: skip
    graph = helper.make_graph(
        nodes, "main", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(held.astype(np.float32), name) for name, held in weights.items()],
    )  # fmt: skip
    file = tmp_path / "network.onnx"
    file.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString())
    package = ps.pack(file, name="network", examples={"x": rows(64, 1)}, out=tmp_path / "network")
    small = ps.compress(package, "int8-dynamic", ps.Data({"x": rows(100, 2)}), out=tmp_path / "small")
    return ps.compile(small, "onnx-cpu", tmp_path / "artifact", allow_unproven=True)


@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["process", "thread"])
def test_single_rows_are_answered_as_the_session_answers_them_alone(artifact: Artifact, isolation: str, tmp_path: Path) -> None:
    assert not artifact.batch_invariant
    asked = rows(ROWS, 3)
    with closing(ps.load(artifact)) as session:
        alone = [np.asarray(session.predict({"x": row[None]})["score"])[0] for row in asked]
        together = np.asarray(session.predict({"x": asked})["score"])
    assert sum(one.tobytes() != other.tobytes() for one, other in zip(alone, together, strict=True)) > ROWS // 2, "batch-mates do matter"
    (tmp_path / "deployment.toml").write_text(DEPLOYMENT.format(isolation=isolation))
    with servers.serving(servers.SERVE, tmp_path) as server:

        def ask(row: np.ndarray) -> tuple[int, dict]:
            status, body, _ = server.call(data={"row": {"x": row.tolist()}})
            return status, json.loads(body)

        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = list(pool.map(ask, asked))
        document = json.loads(server.call("/openapi.json")[1])
    assert Counter(status for status, _ in answers) == {200: ROWS}
    got = [np.array(body["outputs"]["score"], np.float32) for _, body in answers]
    wrong = [place for place, (one, other) in enumerate(zip(got, alone, strict=True)) if one.tobytes() != other.tobytes()]
    assert wrong == []
    (told,) = document["info"]["x-portside-models"]
    assert (told["batch_invariant"], told["lossy"], told["artifact"]) == (False, True, artifact.digest)
    assert {body["receipt"]["version"] for _, body in answers} == {told["version"]}
