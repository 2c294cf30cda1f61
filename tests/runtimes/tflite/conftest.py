"""Artifacts of target tflite that several tests look at: each is compiled once for the session."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from portside.runtimes import samples
from portside.runtimes.base import CompileOptions
from portside.runtimes.samples import graph_model, node
from portside.runtimes.tflite_edge import TfliteEdge
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.codec.wordpiece import WordPiece
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Annotations, Content, Stage
from portside.sdk.core.package import write
from portside.sdk.core.signature import Signature, TensorSpec

WORDS = ("[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "[PAD]")
"""The pad is not 0 on purpose."""
PAD = 6
TABLE = np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32)


@pytest.fixture(scope="session")
def mixed_artifact(tmp_path_factory):
    """(sample, artifact folder) of the conformance sample "mixed", with batches of 1 and 8."""
    folder = tmp_path_factory.mktemp("mixed")
    sample = samples.mixed()
    artifact = TfliteEdge().compile(sample.write(folder / "package"), CompileOptions(), folder / "artifact")
    return sample, artifact


def sentence_truth(ids, mask):
    """The mean of the words that count, and the words themselves, in numpy."""
    held = TABLE[ids] * mask[..., None]
    return {"mean": (held.sum(axis=1) / mask.sum(axis=1, keepdims=True)).astype(np.float32), "words": held.astype(np.float32)}


def sentences(rows, length, seed=0):
    """Random ids, each row at least one word, padded as the codec pads."""
    rng = np.random.default_rng(seed)
    filled = rng.integers(1, length + 1, rows)
    filled[0] = length
    mask = (np.arange(length)[None] < filled[:, None]).astype(np.int32)
    return {"ids": np.where(mask == 1, rng.integers(0, PAD, (rows, length)), PAD).astype(np.int32), "mask": mask}


@pytest.fixture
def sentence_package(tmp_path):
    """A sentence encoder: symbolic batch and length, a tokenizer, an output that carries the length."""
    signature = Signature(
        (TensorSpec("ids", "i32", ("batch", "length")), TensorSpec("mask", "i32", ("batch", "length"))),
        (TensorSpec("mean", "f32", ("batch", 5), kind="value"), TensorSpec("words", "f32", ("batch", "length", 5), kind="value")),
    )
    nodes = [
        node("Gather", ["table", "ids"], "rows", axis=0), node("Cast", ["mask"], "weights", to=TensorProto.FLOAT),
        node("Unsqueeze", ["weights", "last"], "column"), node("Mul", ["rows", "column"], "words"),
        node("ReduceSum", ["words", "middle"], "total", keepdims=0), node("ReduceSum", ["weights", "middle"], "count", keepdims=1),
        node("Div", ["total", "count"], "mean"),
    ]  # fmt: skip
    model = graph_model(signature, nodes, {"table": TABLE, "last": np.array([2], np.int64), "middle": np.array([1], np.int64)})
    codec = Codec.of({"text": WordPiece(WORDS, max_length=12, outputs=("input_ids", "attention_mask"))})
    steps = [{**step, "produces": ["ids", "mask"]} for step in codec.steps]
    cases = [Case(given, sentence_truth(given["ids"], given["mask"]), why=("random",) * rows)
             for rows, length in ((1, 3), (5, 7)) for given in [sentences(rows, length)]]  # fmt: skip
    head, tensors = Contract(tuple(cases), {"mean": Rule("value"), "words": Rule("value")}).to_bytes()
    files = {"program/00-main.onnx": model.SerializeToString(deterministic=True), CONTRACT: head, CONTRACT_TENSORS: tensors}
    stage = Stage("graph", "main", "program/00-main.onnx", ("ids", "mask"), ("mean", "words"))
    return write(Content(signature, (stage,), {}, tuple(steps)), {**files, **codec.files}, tmp_path / "sentence",
                 Annotations(name="sentence"))  # fmt: skip
