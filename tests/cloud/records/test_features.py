"""Log and wait: the features that were really used are in the record, whatever carries the call; callers see no difference."""

import asyncio
import time

import numpy as np
import pytest
from onnx import TensorProto, helper

from portside.cloud.answering.answers import Question
from portside.cloud.deployment.file import read
from portside.cloud.deployment.resolving import resolve
from portside.cloud.records.reading import records
from portside.cloud.versions import opened
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.errors import FormatError
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Annotations, Content, Stage
from portside.sdk.core.package import write
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 2)), TensorSpec("age", "f32", ("batch",))),
                      (TensorSpec("score", "f32", ("batch",), kind="value"),))  # fmt: skip
DEPLOYMENT = """name = "tapped"
[champion]
package = "main"
isolation = "{isolation}"
batch = {batch}
[records]
{records}
"""


def package(out, signature=SIGNATURE, boundaries=("z", "x")):
    """score = sum(2 x) + age; the boundary "features" is z = 2 x, and x itself."""
    nodes = [helper.make_node("Mul", ["x", "two"], ["z"]), helper.make_node("ReduceSum", ["z", "axes"], ["sum"], keepdims=0),
             helper.make_node("Add", ["sum", "age"], ["score"])]  # fmt: skip
    constants = [helper.make_tensor("two", TensorProto.FLOAT, [], [2.0]), helper.make_tensor("axes", TensorProto.INT64, [1], [1])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2]),
              helper.make_tensor_value_info("age", TensorProto.FLOAT, ["batch"])]  # fmt: skip
    graph = helper.make_graph(nodes, "main", inputs, [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    dice = np.random.default_rng(0)
    given = {"x": dice.normal(size=(32, 2)).astype(np.float32), "age": dice.normal(size=32).astype(np.float32)}
    case = Case(given, {"score": (given["x"] * 2).sum(1) + given["age"]}, why=("random",) * 32)
    head, tensors = Contract((case,), {"score": Rule("value", scale=1.0)}).to_bytes()
    stage = Stage("graph", "main", "program/00-main.onnx", ("x", "age"), ("score",))
    files = {stage.file: model.SerializeToString(), CONTRACT: head, CONTRACT_TENSORS: tensors}
    return write(Content(signature, (stage,), {}, boundaries={"features": boundaries}), files, out, Annotations(name="main"))


def answers(tmp_path, isolation, records_section, batch="true", requests=40, signature=SIGNATURE):
    """Answers to requests that come at once, by the sum of x; the records."""
    package(tmp_path / "main", signature)
    file = tmp_path / "deployment.toml"
    file.write_text(DEPLOYMENT.format(isolation=isolation, batch=batch, records=records_section))
    engine = opened(resolve(read(file)))

    async def go():
        asked = [{"x": [[number, row] for row in range(number % 3 + 1)], "age": [30.0] * (number % 3 + 1)} for number in range(requests)]
        return await asyncio.gather(*(engine.answer(Question(wire, time.monotonic())) for wire in asked))

    try:
        given = asyncio.run(go())
    finally:
        engine.close()
    return given, list(records(tmp_path / "records.sqlite"))


@pytest.mark.parametrize("isolation", ["inline", "thread", "process"])
def test_a_record_holds_the_features_of_its_own_rows(tmp_path, isolation):
    given, held = answers(tmp_path, isolation, 'features = ["features"]')
    assert len(held) == 40
    for record in held:
        x = np.array(record.inputs["x"])
        assert record.features["features"] == {"z": (x * 2).tolist(), "x": x.tolist()}
        assert record.outputs["score"] == ((x * 2).sum(1) + 30).tolist()
    for answer in given:
        assert list(answer.outputs) == ["score"], "what callers see is what it was"


def test_without_the_setting_nothing_is_tapped(tmp_path, home):
    _, held = answers(tmp_path, "thread", "", requests=3)
    assert all(record.features == {} for record in held)
    assert sorted(path.name for path in (home / "artifacts").glob("*/*")) == ["onnx-cpu"]


def test_the_tapped_artifact_stands_beside_the_other(tmp_path, home):
    answers(tmp_path, "inline", 'features = ["features"]', requests=1)
    assert sorted(path.name for path in (home / "artifacts").glob("*/*")) == ["onnx-cpu+features"]


def test_features_of_a_redacted_input_are_redacted(tmp_path):
    """They were made of it, and nobody knows which of them."""
    _, held = answers(tmp_path, "thread", 'features = ["features"]', requests=2, signature=SIGNATURE.edit("age", redact=True))
    for record in held:
        assert record.inputs["age"] == {"redacted": True}
        assert record.features["features"] == {"z": {"redacted": True}, "x": {"redacted": True}}
    for file in tmp_path.glob("records.sqlite*"):
        assert b"[[2.0" not in file.read_bytes()


def test_a_boundary_that_there_is_not_is_named_with_its_line(tmp_path):
    with pytest.raises(FormatError, match=r"deployment.toml line 7: no program here has the boundary 'model'"):
        answers(tmp_path, "inline", 'features = ["model"]')


def test_an_artifact_that_was_given_must_have_the_tap(tmp_path, home):
    answers(tmp_path, "inline", "", requests=1)
    [made] = (home / "artifacts").glob("*/onnx-cpu")
    file = tmp_path / "deployment.toml"
    file.write_text(file.read_text().replace("[records]", f'artifact = "{made}"\n[records]\nfeatures = ["features"]'))
    with pytest.raises(FormatError, match="--tap features"):
        resolve(read(file))
