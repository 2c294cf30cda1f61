"""A `.tflite` file packs as it is: int8, with its memory, the same bits as the file by itself on speech, on device and in a store."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import portside as ps
from portside.runtimes.importers.tflite_state import read_model, write_model
from portside.runtimes.reference import Reference
from portside.sdk.core.contract import Contract
from portside.sdk.core.errors import ContractError, FormatError, InputError, IntegrityError, PortsideError, TraceError, UnsupportedError
from portside.sdk.core.golden import MOST
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS
from portside.sdk.core.package import write

ZOO = Path(__file__).resolve().parents[3] / "examples" / "zoo"


def wake_word(name: str) -> Path:
    """A file of the installed package, found without importing it: the import needs an audio library."""
    spec = find_spec("pymicro_wakeword")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "models" / f"{name}.tflite"


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Mel features of 30 s of speech: (frames, 3, 40) int8. Made beside the zoo, in a process of its own: its modules have plain names."""
    out = tmp_path_factory.mktemp("speech") / "frames.npy"
    subprocess.run([sys.executable, "-c", f"import mel, numpy; numpy.save({str(out)!r}, mel.frames())"], check=True, cwd=ZOO)
    return np.load(out)


@pytest.fixture(scope="module")
def package(speech: Any, tmp_path_factory: pytest.TempPathFactory) -> ps.Package:
    out = tmp_path_factory.mktemp("wake") / "package"
    return ps.pack(wake_word("hey_jarvis"), name="wake-word", examples=speech, licence="Apache-2.0", shareable=True, out=out)


@pytest.fixture(scope="module")
def artifact(package: ps.Package, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return ps.compile(package, target="tflite", out=tmp_path_factory.mktemp("wake") / "device")


def contract(package: ps.Package) -> Contract:
    return Contract.from_bytes(package.read(CONTRACT), package.read(CONTRACT_TENSORS))


class Bare:
    """The untouched file in an interpreter of its own, its memory inside."""

    def __init__(self, file: Path) -> None:
        self.engine = Interpreter(model_content=file.read_bytes(), num_threads=1)
        self.engine.allocate_tensors()

    def answer(self, frame: Any) -> Any:
        self.engine.set_tensor(self.engine.get_input_details()[0]["index"], frame)
        self.engine.invoke()
        return self.engine.get_tensor(self.engine.get_output_details()[0]["index"])


def test_the_reference_is_the_untouched_file_bit_for_bit_over_the_contracts_sequences(package: ps.Package) -> None:
    session = Reference().open(package)
    bare, sequence, state, answers = None, None, {}, []
    for case in contract(package).cases:
        if case.sequence != sequence:
            bare, sequence, state = Bare(wake_word("hey_jarvis")), case.sequence, {}
        made = session.run({**case.inputs, **state})
        state = {pair.input: made[pair.output] for pair in package.signature.state}
        assert bare is not None
        expected = bare.answer(case.inputs["input_audio"])
        assert (made["dense"].dtype, made["dense"].tobytes()) == (expected.dtype, expected.tobytes())
        assert case.outputs["dense"].tobytes() == expected.tobytes()
        answers.append(int(expected.item()))
    session.close()
    assert len(answers) == MOST
    assert len(set(answers)) > 3


def test_the_package_says_what_it_is(package: ps.Package) -> None:
    (stage,) = package.content.stages
    assert (package.manifest.format, stage.kind, stage.file, stage.only) == (2, "native", "program/00-main.tflite", ("tflite", "reference"))
    audio = package.signature.input("input_audio")
    assert (audio.dtype, audio.shape, audio.batch_axis, audio.unit) == ("i8", (1, 3, 40), 0, "(q + 128) * 0.101960786")
    assert len(package.signature.state) == 6
    assert package.signature.output("dense").batch_axis == 0
    assert "keeps 6 tensors between calls" in package.manifest.annotations.fields["notes"][0]
    assert contract(package).notes == ()


def test_predict_answers_one_frame_and_carries_no_memory_of_the_last(package: ps.Package, speech: Any) -> None:
    first = package.predict({"input_audio": speech[:1]})
    package.predict({"input_audio": speech[100:101]})
    again = package.predict({"input_audio": speech[:1]})
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_the_artifact_is_the_same_file_and_its_plan_is_data(package: ps.Package, artifact: Any) -> None:
    assert (artifact.path / "engine/00-main.tflite").read_bytes() == package.read("program/00-main.tflite")
    assert artifact.engine["source"] == {"engine/00-main.tflite": "given"}
    assert artifact.engine["plans"]["engine/00-main.tflite"]["inputs"][0]["shape"] == [1, 3, 40]
    assert set(artifact.engine["weights_bytes"]) == {"int8", "int32"}
    assert not artifact.lossy and not artifact.batch_invariant
    assert artifact.verified["verdict"] == "passed"


def test_a_loaded_artifact_answers_a_stream_as_the_untouched_file(artifact: Any, speech: Any) -> None:
    session, bare = ps.load(artifact.path), Bare(wake_word("hey_jarvis"))
    state: dict[str, Any] = {}
    answers: list[int] = []
    for frame in speech[:200]:
        made = session.run({"input_audio": frame[None], **state})
        state = {pair.input: made[pair.output] for pair in session.info.signature.state}
        answers.append(int(made["dense"].item()))
        assert answers[-1] == int(bare.answer(frame[None]).item())
    session.close()
    assert len(set(answers)) > 3


def test_a_device_opens_it_without_reading_the_flatbuffer(artifact: Any) -> None:
    unwanted = ["onnx", "onnxruntime", "torch", "ai_edge_litert.schema_py_generated", "portside.runtimes.importers"]
    code = f"import portside as ps, sys; session = ps.load({str(artifact.path)!r}); print([n for n in {unwanted} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_verify_asks_tflite_and_says_why_it_asks_nobody_else(package: ps.Package) -> None:
    report = ps.verify(package)
    assert report
    assert [target.target for target in report.targets] == ["tflite"]
    assert report.absent == dict.fromkeys(("onnx-cpu", "tensorrt", "wasm"), "it is a .tflite file")


@pytest.mark.parametrize("target", ["onnx-cpu", "tensorrt", "wasm"])
def test_other_targets_refuse_it_by_name(package: ps.Package, target: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=f"'main' cannot run on {target}.*it is a .tflite file.*tflite, reference"):
        ps.compile(package, target=target, out=tmp_path / "out")


def test_the_reference_travels_as_an_artifact(package: ps.Package, speech: Any, tmp_path: Path) -> None:
    made = ps.compile(package, target="reference", out=tmp_path / "reference")
    session = ps.load(made.path)
    found, expected = session.run({"input_audio": speech[:1]}), package.predict({"input_audio": speech[:1]})
    session.close()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_changed_byte_of_the_file_is_refused(package: ps.Package, artifact: Any, tmp_path: Path) -> None:
    for held, name in ((package.path, "program/00-main.tflite"), (artifact.path, "engine/00-main.tflite")):
        copy = tmp_path / name.split("/", 1)[0]
        shutil.copytree(held, copy)
        data = (copy / name).read_bytes()
        (copy / name).write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
        with pytest.raises(IntegrityError, match=r"00-main\.tflite"):
            ps.verify(copy)


def test_it_goes_through_a_store_and_a_release(package: ps.Package, artifact: Any, tmp_path: Path) -> None:
    store = ps.Store(tmp_path / "store")
    assert store.push(package) == "wake-word:1"
    assert store.pull("wake-word:1", tmp_path / "pulled").digest == package.digest
    ps.release([artifact], store=store)
    out = store.pull_artifact("wake-word:1", "tflite", tmp_path / "device")
    assert ps.verify(out)
    assert (out / "engine/00-main.tflite").read_bytes() == package.read("program/00-main.tflite")


def test_two_packs_are_one_package_from_path_or_bytes(package: ps.Package, speech: Any, tmp_path: Path) -> None:
    again = ps.pack(wake_word("hey_jarvis").read_bytes(), name="other", examples={"input_audio": speech}, licence="Apache-2.0",
                    shareable=True, out=tmp_path / "again")  # fmt: skip
    assert again.digest == package.digest


def _little(shape: tuple[int, ...], kind: int = schema.TensorType.FLOAT32) -> bytes:
    """y = x + x."""
    graph: Any = schema.SubGraphT()
    graph.tensors = [_tensor("x", shape, kind), _tensor("y", shape, kind)]
    graph.inputs, graph.outputs = [0], [1]
    operator: Any = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 0], [1]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    graph.operators = [operator]
    code: Any = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    code.version = 1
    model: Any = schema.ModelT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [code], [schema.BufferT()]
    return write_model(model)


def _tensor(name: str, shape: tuple[int, ...], kind: int) -> Any:
    tensor: Any = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), list(shape), kind, 0
    return tensor


def test_a_file_without_memory_is_packed_byte_for_byte_and_asked_row_by_row(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    package = ps.pack(_little((1, 3)), name="twice", examples=x, out=tmp_path / "p")
    assert package.read("program/00-main.tflite") == _little((1, 3))
    cases = contract(package).cases
    assert len(cases) == 40
    assert {case.inputs["x"].shape for case in cases} == {(1, 3)}
    assert all(np.array_equal(case.outputs["y"], case.inputs["x"] * 2) for case in cases)
    assert ps.verify(package)


def test_a_file_of_one_row_is_held_against_held_out_rows(tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(100, 1)).astype(np.float32)
    package = ps.pack(_little((1, 1)), name="twice", examples=x, out=tmp_path / "p")
    report = ps.verify(package, ps.Data(inputs={"x": x}, labels=x[:, 0] * 2))
    assert report
    assert report.targets[0].held_out is not None and report.targets[0].held_out.rows == 100
    found = ps.evaluate(package, ps.Data(inputs={"x": x}, labels=x[:, 0] * 2))
    assert found.rows == 100


def test_a_file_without_rows_takes_frames(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 5, 3)).astype(np.float32)
    package = ps.pack(_little((5, 3)), name="frames", examples=x, out=tmp_path / "p")
    assert package.signature.input("x").batch_axis is None
    cases = contract(package).cases
    assert len(cases) == 40
    assert all(case.inputs["x"].shape == (5, 3) for case in cases)
    assert ps.verify(package)
    np.testing.assert_array_equal(package.predict({"x": x[0]})["y"], x[0] * 2)


def test_examples_are_held_to_the_file(speech: Any, tmp_path: Path) -> None:
    file = wake_word("hey_jarvis")

    def refused(examples: Any, says: str) -> None:
        with pytest.raises(InputError, match=says):
            ps.pack(file, name="w", examples=examples, out=tmp_path / "p")
        assert not (tmp_path / "p").exists()

    refused(speech.astype(np.float32), r"dtype of the .tflite file.*Quantise it first: its values are \(q \+ 128\) \* 0.10196")
    refused(speech[:, :2], r"shape of the .tflite file.*rows.*3.*40")
    refused(speech.astype(np.int64) + 100, "does not fit the dtype")
    refused({"sound": speech}, "inputs of the .tflite file")


def test_integers_of_another_width_that_fit_are_taken(package: ps.Package, speech: Any, tmp_path: Path) -> None:
    wide = ps.pack(wake_word("hey_jarvis"), name="w", examples=speech.astype(np.int64), out=tmp_path / "p")
    assert wide.content.program_digest == package.content.program_digest


@pytest.mark.parametrize("given", [
    {"featurize": lambda input_audio: input_audio}, {"predict": lambda model, x: {"y": model(x)}},
    {"state": {"dense": ("input_audio", 0)}}, {"dynamic": {"input_audio": {1: "steps"}}},
])  # fmt: skip
def test_functions_and_options_around_it_are_refused(given: dict[str, Any], speech: Any, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=f"packed as it is: {next(iter(given))}="):
        ps.pack(wake_word("hey_jarvis"), name="w", examples=speech, out=tmp_path / "p", **given)
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("keep", [0, 8, 40, 5000, 40000])
def test_a_truncated_file_is_refused(keep: int, speech: Any, tmp_path: Path) -> None:
    file = tmp_path / "short.tflite"
    file.write_bytes(wake_word("hey_jarvis").read_bytes()[:keep])
    with pytest.raises(PortsideError):
        ps.pack(file, name="w", examples=speech, out=tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_a_file_that_is_not_there_or_is_something_else_is_refused(speech: Any, tmp_path: Path) -> None:
    for file in (tmp_path / "none.tflite", tmp_path):
        with pytest.raises(PortsideError):
            ps.pack(file, name="w", examples=speech, out=tmp_path / "p")
    (tmp_path / "text.tflite").write_text("not a model at all")
    with pytest.raises(FormatError, match=r"not a \.tflite file"):
        ps.pack(tmp_path / "text.tflite", name="w", examples=speech, out=tmp_path / "p")


def test_answers_that_never_move_are_told(speech: Any, tmp_path: Path) -> None:
    package = ps.pack(wake_word("hey_jarvis"), name="quiet", examples=np.full_like(speech[:64], -128), out=tmp_path / "p")
    assert contract(package).notes == ("every golden row has the same answer: give examples that move it",)


def test_a_swapped_weight_fails_the_contract(package: ps.Package, tmp_path: Path) -> None:
    """The contract tells another file from this one: it is compiled against golden rows of the first."""
    model = read_model(package.read("program/00-main.tflite"))
    largest = max((buffer for buffer in model.buffers if buffer.data is not None), key=lambda buffer: len(buffer.data))
    largest.data = np.asarray(largest.data, np.uint8) ^ np.uint8(8)
    files = {name: package.read(name) for name in package.content.files} | {"program/00-main.tflite": write_model(model)}
    other = write(package.content, files, tmp_path / "other", package.manifest.annotations)
    with pytest.raises(ContractError, match="not proven"):
        ps.compile(other, target="tflite", out=tmp_path / "device")


@pytest.mark.slow
def test_float_and_int8_files_of_the_converter_pack_as_they_are(tmp_path: Path) -> None:
    import torch
    from ai_edge_quantizer import quantizer, recipe

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litert_torch

        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)).eval()
        litert_torch.convert(network, (torch.zeros(1, 6),)).export(str(tmp_path / "net.tflite"))
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    package = ps.pack(tmp_path / "net.tflite", name="net", examples=x, out=tmp_path / "p")
    output = package.signature.outputs[0].name
    expected = network(torch.from_numpy(x)).detach().numpy()
    for case in contract(package).cases:
        place = int(np.flatnonzero((x == case.inputs[package.signature.inputs[0].name]).all(axis=1))[0])
        np.testing.assert_allclose(case.outputs[output], expected[[place]], atol=1e-5)
    assert ps.verify(package)
    assert package.read("program/00-main.tflite") == (tmp_path / "net.tflite").read_bytes()

    small = quantizer.Quantizer(str(tmp_path / "net.tflite"))
    small.load_quantization_recipe(recipe.static_wi8_ai8())
    (key,) = package.content.stages[0].extra["plan"]["signatures"]
    seen = small.calibrate({key: [{package.signature.inputs[0].name: row[None]} for row in x]})
    small.quantize(seen).export_model(str(tmp_path / "q.tflite"))
    _same_integers(tmp_path / "q.tflite", x, tmp_path)


def _same_integers(file: Path, x: Any, folder: Path) -> None:
    """The package of a quantised file answers with the file's own integers."""
    bare = Bare(file)
    scale, zero = bare.engine.get_input_details()[0]["quantization"]
    q = np.clip(np.round(x / scale) + zero, -128, 127).astype(np.int8)
    package = ps.pack(file, name="net", examples=q, out=folder / "q")
    source, output = package.signature.inputs[0], package.signature.outputs[0]
    assert (source.dtype, output.dtype) == ("i8", "i8")
    assert source.unit == f"(q {'-' if zero >= 0 else '+'} {abs(zero)}) * {scale:.9g}"
    got = np.concatenate([package.predict({source.name: row[None]})[output.name] for row in q])
    np.testing.assert_array_equal(got, np.concatenate([bare.answer(row[None]) for row in q]))
    assert len(np.unique(got)) > 20
    made = ps.compile(package, target="tflite", out=folder / "device")
    assert made.engine["weights_bytes"]["int8"] == 6 * 16 + 16 * 3
