"""The traced program beside the ONNX program: what is in it, that it answers as the ONNX program does, and that bytes repeat."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.numpy import load
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import portside as ps
from portside.runtimes.importers.dispatch import import_model
from portside.runtimes.importers.exported import EXPORTED, torch_version, write_exported
from portside.runtimes.importers.exported_archive import Archive
from portside.runtimes.importers.exported_reading import Absent, exported_module, read_exported
from portside.runtimes.importers.program import ImportOptions
from portside.runtimes.reference import Reference
from portside.sdk.core.errors import UnsupportedError
from portside.sdk.core.manifest import WEIGHTS, Content
from portside.sdk.core.package import Package, annotate, write

RNG = np.random.default_rng(0)
TREES = (RandomForestClassifier(8, random_state=0), HistGradientBoostingClassifier(max_iter=5))


class Attention(torch.nn.Module):
    """Tokens of any length, a masked attention layer, a size that is computed, and a memory-less second output."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(50, 16)
        self.layer = torch.nn.TransformerEncoderLayer(16, 2, 64, batch_first=True, dropout=0.0)
        self.head = torch.nn.Linear(16, 3)

    def forward(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        seen = self.layer(self.words(tokens), src_key_padding_mask=tokens == 0)
        doubled = torch.cat([seen, seen.flip(1)], 1)
        return {"scores": self.head(seen.mean(1)), "halves": doubled.reshape(doubled.shape[0], -1, 2, 8).mean((1, 2))}


class Table(torch.nn.Module):
    """Columns with holes, written into in place."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(8, 2)
        self.register_buffer("usual", torch.arange(4.0), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        holes = torch.isnan(x)
        filled = torch.where(holes, self.usual, x).clone()
        filled[:, 0] = filled[:, 0].clamp(-2, 2)
        return torch.softmax(self.head(torch.cat([filled, holes.float()], 1)), -1)


def mlp() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8))


def cnn() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
                               torch.nn.Flatten(), torch.nn.Linear(128, 4))  # fmt: skip


def holed(rows: int) -> Any:
    x = RNG.normal(size=(rows, 4)).astype(np.float32)
    x[::3, 1] = np.nan
    return x


MODELS: dict[str, tuple[Any, Any, Any]] = {
    "mlp": (mlp, lambda rows: {"input": RNG.normal(size=(rows, 4)).astype(np.float32)}, {}),
    "cnn": (cnn, lambda rows: {"input": RNG.normal(size=(rows, 3, 8, 8)).astype(np.float32)}, {}),
    "attention": (Attention, lambda rows: {"tokens": RNG.integers(1, 50, (rows, 6))}, {"tokens": {1: "length"}}),
    "table": (Table, lambda rows: {"x": holed(rows)}, {}),
}


def pack(name: str, out: Path) -> Package:
    """A package without a contract: import alone."""
    torch.manual_seed(0)
    make, rows, dynamic = MODELS[name]
    program = import_model(make().eval(), ImportOptions(rows(4), dynamic=dynamic))
    signature = program.signature.edit("x", missing=True) if name == "table" else program.signature
    content = Content(signature, program.stages, {}, boundaries=program.boundaries)
    return write(content, program.files, out, annotation_files=program.annotation_files)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    """Every model, packed once."""
    folder = tmp_path_factory.mktemp("exported")
    return {name: pack(name, folder / name) for name in MODELS}


def rim(package: Package, given: dict[str, Any]) -> list[torch.Tensor]:
    kinds = {"f32": np.float32, "i32": np.int32}
    specs = {spec.name: kinds[spec.rim_dtype] for spec in package.signature.inputs}
    return [torch.from_numpy(given[name].astype(specs[name])) for name in package.content.stages[0].inputs]


@pytest.mark.parametrize("rows", [1, 8])
@pytest.mark.parametrize("name", MODELS)
def test_the_program_exported_again_with_fixed_sizes_answers_as_the_onnx_program(packages: Any, name: str, rows: int) -> None:
    package, given = packages[name], MODELS[name][1](rows)
    module = exported_module(package)
    assert isinstance(module, torch.nn.Module)
    tensors = rim(package, given)
    with torch.no_grad():
        again = torch.export.export(module.eval(), tuple(tensors), strict=False).module()
        made = again(*tensors)
    expected = Reference().open(package).run(given)
    assert isinstance(made, tuple) and len(made) == len(package.signature.outputs) == len(expected)
    for value, name_out in zip(made, package.content.stages[0].outputs, strict=True):
        assert tuple(value.shape) == expected[name_out].shape
        np.testing.assert_allclose(value.numpy(), expected[name_out], atol=2e-6)


def test_what_the_file_holds(packages: Any) -> None:
    package = packages["attention"]
    archive = Archive.from_bytes(package.read(EXPORTED))
    text = json.dumps(archive.program)
    for secret in ("stack_trace", "nn_module_stack", "File ", str(Path(__file__).parent), "forward", ".py", "+cpu"):
        assert secret not in text
    assert archive.program["torch"] == torch_version()
    assert len(archive.program["graph"]["outputs"]) == 2, "boundary values are cut off"
    targets = [node["target"] for node in archive.program["graph"]["nodes"]]
    assert not any("_assert" in target for target in targets)


def test_weights_are_not_stored_again_where_the_package_has_them(packages: Any) -> None:
    named = {"mlp": {"model.0.weight", "model.2.weight"}, "attention": {"model.words.weight", "model.layer.linear1.weight"}}
    for name, expected in named.items():
        archive = Archive.from_bytes(packages[name].read(EXPORTED))
        large = {spec["parameter"]["parameter_name"] for spec in archive.program["signature"]["input_specs"] if "parameter" in spec}
        assert expected <= set(archive.program["weights"]) <= large
        assert len(archive.tensors) < 4096
    places = Archive.from_bytes(packages["attention"].read(EXPORTED)).program["weights"]
    assert {place["transposed"] for place in places.values()} == {True, False}


def test_normalisations_are_folded_as_the_exporter_folds_them(packages: Any) -> None:
    package = packages["cnn"]
    archive = Archive.from_bytes(package.read(EXPORTED))
    assert not any("batch_norm" in node["target"] for node in archive.program["graph"]["nodes"])
    held = {**archive.program["weights"], **load(archive.tensors)}
    assert set(held) == {"folded.conv2d.weight", "folded.conv2d.bias", "model.5.weight", "model.5.bias"}
    graph = onnx.load_model_from_string(package.read(package.content.stages[0].file)).graph
    convolution = next(node for node in graph.node if node.op_type == "Conv")
    bias = next(onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name == convolution.input[2])
    np.testing.assert_array_equal(load(archive.tensors)["folded.conv2d.bias"], bias)


def test_what_no_output_needs_is_left_out() -> None:
    class Spare(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = torch.nn.Linear(4, 3), torch.nn.Linear(3, 40)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.used(x)
            self.spare(y)
            z = torch.zeros_like(y)
            z[:, 1:] = y[:, 1:]
            return z

    program = import_model(Spare().eval(), ImportOptions({"x": np.ones((4, 4), np.float32)}))
    held = Archive.from_bytes(program.annotation_files[EXPORTED])
    assert set(load(held.tensors)) == {"model.used.weight", "model.used.bias"}
    assert any(node["target"].startswith("torch.ops.aten.copy_") for node in held.program["graph"]["nodes"])


def test_nodes_name_the_onnx_nodes_that_they_became(packages: Any) -> None:
    for name in MODELS:
        package = packages[name]
        stage = package.content.stages[0]
        held = {node.name: node.op_type for node in onnx.load_model_from_string(package.read(stage.file)).graph.node}
        program = read_exported(package)
        assert not isinstance(program, Absent)
        told = {node.name: node.meta["custom"]["onnx"] for node in program.graph.nodes if "custom" in node.meta}
        named = [onnx_name for names in told.values() for onnx_name in names]
        assert set(named) <= set(held) and len(set(named)) == len(named)
        assert len(named) >= 0.9 * len(held), f"{name}: {sorted(set(held) - set(named))}"
        assert any(held[onnx_name] in ("Gemm", "MatMul") for onnx_name in told["linear"])


def test_the_annotation_moves_no_digest(packages: Any, tmp_path: Path) -> None:
    package = packages["mlp"]
    files = {path: package.read(path) for path in package.content.files}
    bare = write(package.content, files, tmp_path / "bare")
    assert bare.digest == package.digest
    assert read_exported(bare) == Absent("the package has no traced program")
    assert isinstance(exported_module(bare), Absent)


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes_in_another_process(packages: Any, tmp_path: Path) -> None:
    program = f"""
import importlib.util, hashlib, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("models", {str(Path(__file__))!r})
models = importlib.util.module_from_spec(spec); spec.loader.exec_module(models)
for name in ("mlp", "attention"):
    print(hashlib.sha256(models.pack(name, Path({str(tmp_path)!r}) / name).read(models.EXPORTED)).hexdigest())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == [sha256(packages[name].read(EXPORTED)).hexdigest() for name in ("mlp", "attention")]


def test_another_version_of_torch_is_named(packages: Any, tmp_path: Path) -> None:
    package = packages["mlp"]
    archive = Archive.from_bytes(package.read(EXPORTED))
    other = Archive({**archive.program, "torch": "2.99.0", "format": 7}, archive.tensors).to_bytes()
    found = read_exported(copied(package, tmp_path / "other", other))
    assert isinstance(found, Absent)
    assert "2.99.0" in found.reason and torch_version() in found.reason


def test_a_program_of_other_weights_is_not_used(packages: Any, tmp_path: Path) -> None:
    package = packages["mlp"]
    files = {path: package.read(path) for path in package.content.files}
    blob = bytearray(files[WEIGHTS])
    blob[-1] ^= 1
    derived = write(package.content, {**files, WEIGHTS: bytes(blob)}, tmp_path / "derived")
    found = read_exported(annotate(derived, {EXPORTED: package.read(EXPORTED)}))
    assert isinstance(found, Absent) and "derived from" in found.reason


def fitted(kind: Any) -> tuple[Any, Any]:
    """A classifier of four columns, and rows for it."""
    x = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    return kind.fit(x, (x[:, 0] + x[:, 1] ** 2 > 0.5).astype(np.int64)), x


@pytest.mark.parametrize("kind", [LogisticRegression(), *TREES])
def test_estimators_with_and_without_trees(kind: Any, tmp_path: Path) -> None:
    model, x = fitted(kind)
    program = import_model(model, ImportOptions({"x": x}))
    content = Content(program.signature, program.stages, {}, boundaries=program.boundaries)
    package = write(content, program.files, tmp_path / "package", annotation_files=program.annotation_files)
    reference = Reference().open(package)
    for rows in (1, 8):
        module = exported_module(package, rows)
        assert isinstance(module, torch.nn.Module) and module.inputs == ("x",)
        tensors = (torch.from_numpy(x[:rows]),)
        with torch.no_grad():
            made = torch.export.export(module, tensors, strict=False).module()(*tensors)
        expected = reference.run({"x": x[:rows]})
        for name, value in zip(module.outputs, made, strict=True):
            np.testing.assert_allclose(value.numpy(), expected[name], atol=1e-6)
    if any(stage.kind == "trees" for stage in package.content.stages):
        assert isinstance(read_exported(package), Absent), "zeros stand for the trees there"
        assert isinstance(exported_module(package), Absent)


def test_programs_with_an_onnx_file_inside_have_none() -> None:
    before, after = (onnx.helper.make_tensor_value_info(name, 1, ["n", 4]) for name in "ab")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Tanh", ["a"], ["b"])], "inner", [before], [after])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)

    def featurize(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    program = import_model(model, ImportOptions({"x": np.ones((4, 4), np.float32)}, featurize=featurize))
    assert not program.annotation_files


def test_several_graphs_have_no_traced_program() -> None:
    empty = SimpleNamespace(program=SimpleNamespace(graph=SimpleNamespace(nodes=[]), graph_module=None))
    with pytest.raises(UnsupportedError, match="one graph"):
        write_exported(empty, {"program/00-a.onnx": b"", "program/01-b.onnx": b""})  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="one graph"):
        write_exported(empty, {"program/00-a.trees.json": b""})  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [TREES[0], pytest.param(TREES[1], marks=pytest.mark.long)])
def test_trees_lowered_from_either_program_answer_alike(kind: Any, tmp_path: Path) -> None:
    pytest.importorskip("litert_torch", reason="compiling for tflite is an extra")
    model, x = fitted(kind)
    package = ps.pack(model, name="trees", examples=x, out=tmp_path / "package")
    reference = Reference().open(package)
    for source in ("pt2", "onnx"):
        artifact = ps.compile(package, target="tflite", out=tmp_path / source, source=source)
        assert list(artifact.engine["source"].values()) == [source]
        for rows in (1, 8, 11):
            made, expected = ps.load(artifact.path).run({"x": x[:rows]}), reference.run({"x": x[:rows]})
            assert np.array_equal(made["label"], expected["label"])
            np.testing.assert_allclose(made["probabilities"], expected["probabilities"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["table", *(pytest.param(name, marks=pytest.mark.long) for name in ("mlp", "cnn", "attention"))])
@pytest.mark.long
def test_lowered_from_either_program_tflite_answers_alike(name: str, tmp_path: Path) -> None:
    pytest.importorskip("litert_torch", reason="compiling for tflite is an extra")
    package, rows = proven(name, tmp_path / "package"), MODELS[name][1]
    sizes = {"sizes": {"length": [6]}} if name == "attention" else {}
    artifacts = {source: ps.compile(package, target="tflite", out=tmp_path / source, source=source, **sizes)
                 for source in ("pt2", "onnx", "auto")}  # fmt: skip
    told = {source: list(artifact.engine["source"].values()) for source, artifact in artifacts.items()}
    assert told == {"pt2": ["pt2"], "onnx": ["onnx"], "auto": ["pt2"]}
    for count in (1, 8, 11):
        given = rows(count)
        expected = Reference().open(package).run(given)
        for artifact in artifacts.values():
            made = ps.load(artifact.path).run(given)
            for output, value in expected.items():
                np.testing.assert_allclose(made[output], value, atol=1e-5)


@pytest.mark.long
@pytest.mark.slow
def test_a_demand_for_the_traced_program_is_refused_where_there_is_none(tmp_path: Path) -> None:
    pytest.importorskip("litert_torch", reason="compiling for tflite is an extra")
    package = proven("mlp", tmp_path / "package")
    bare = write(package.content, {path: package.read(path) for path in package.content.files}, tmp_path / "bare")
    with pytest.raises(UnsupportedError, match="no traced program"):
        ps.compile(bare, target="tflite", out=tmp_path / "refused", source="pt2")
    artifact = ps.compile(bare, target="tflite", out=tmp_path / "auto")
    assert list(artifact.engine["source"].values()) == ["onnx"]
    assert "no traced program" in " ".join(artifact.engine["source_notes"].values())


def proven(name: str, out: Path) -> Package:
    """A package with a contract, as users have it."""
    torch.manual_seed(0)
    make, rows, dynamic = MODELS[name]
    return ps.pack(make().eval(), name=name, examples=rows(40), dynamic=dynamic, out=out)


def copied(package: Package, out: Path, exported: bytes) -> Package:
    """A copy of a package with another traced program."""
    made = write(package.content, {path: package.read(path) for path in package.content.files}, out)
    return annotate(made, {EXPORTED: exported})
