"""The memory of streaming `.tflite` files made explicit: the same bits as the untouched file, frame by frame, in a session."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from portside.runtimes.importers.tflite_rim import rim_of
from portside.runtimes.importers.tflite_state import Lifted, lift, operator_name, read_model, write_model
from portside.runtimes.session import ProgramSession, describe
from portside.runtimes.tflite.interpreter import TfliteEngine
from portside.sdk.core.errors import FormatError, InputError, UnsupportedError

WORDS = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")


def wake_word(name: str) -> bytes:
    """A file of the installed package, found without importing it: the import needs an audio library."""
    spec = find_spec("pymicro_wakeword")
    assert spec is not None and spec.origin is not None
    return (Path(spec.origin).parent / "models" / f"{name}.tflite").read_bytes()


def frames(count: int = 64) -> list[Any]:
    """Moving waves as int8 features, which let the models change their answers: (1, 3, 40) each."""
    place = np.arange(40)
    waves = [np.sin(place / 3 + step / 2) * 60 * (1 + np.sin(step / 7)) - 60 for step in range(count)]
    return [np.clip(np.broadcast_to(wave, (1, 3, 40)), -128, 127).astype(np.int8) for wave in waves]


def untouched(data: bytes, sequence: list[Any]) -> list[int]:
    """Answers of one interpreter of its own, whose memory is inside."""
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    reads, writes = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    answers: list[int] = []
    for frame in sequence:
        interpreter.set_tensor(reads, frame)
        interpreter.invoke()
        answers.append(int(interpreter.get_tensor(writes).item()))
    return answers


@contextmanager
def opened(lifted: Lifted, folder: Path) -> Iterator[ProgramSession]:
    rim = rim_of(lifted)
    (folder / "model.tflite").write_bytes(lifted.data)
    engine = TfliteEngine(folder / "model.tflite", rim.plan)
    info = describe(rim.signature, "tflite", "sha256:" + "0" * 64, batch_invariant=False, host=False, cancellable=False)
    session = ProgramSession(info, [engine])
    try:
        yield session
    finally:
        session.close()


class Stream:
    """A caller that hands each state output to its next call."""

    def __init__(self, session: ProgramSession) -> None:
        self.session, self.pairs = session, session.info.signature.state
        self.answer = session.info.signature.outputs[0].name
        self.state: dict[str, Any] = {}

    def step(self, frame: Any) -> int:
        made = self.session.run({"input_audio": frame, **self.state})
        self.state = {pair.input: made[pair.output] for pair in self.pairs}
        return int(made[self.answer].item())


@pytest.mark.parametrize("word", WORDS)
def test_a_session_answers_as_the_untouched_file_frame_by_frame_and_again_after_a_reset(word: str, tmp_path: Path) -> None:
    data, sequence = wake_word(word), frames()
    expected = untouched(data, sequence)
    with opened(lift(data), tmp_path) as session:
        assert [Stream(session).step(sequence[0])] == expected[:1]
        stream = Stream(session)
        assert [stream.step(frame) for frame in sequence] == expected
        stream.state = {}
        assert [stream.step(frame) for frame in sequence] == expected


def test_the_answers_depend_on_memory_and_two_callers_do_not_share_it(tmp_path: Path) -> None:
    data, sequence = wake_word("hey_mycroft"), frames()
    expected = untouched(data, sequence)
    assert len(set(expected)) > 8
    with opened(lift(data), tmp_path) as session:
        forgetful = [Stream(session).step(frame) for frame in sequence]
        assert forgetful != expected
        first, second = Stream(session), Stream(session)
        pairs = [(first.step(frame), second.step(late)) for frame, late in zip(sequence, [sequence[-1], *sequence], strict=False)]
        assert [answer for answer, _ in pairs] == expected
        assert [answer for _, answer in pairs] == untouched(data, [sequence[-1], *sequence])[: len(pairs)]


def test_every_variable_starts_at_what_the_file_says() -> None:
    lifted = lift(wake_word("okay_nabu"))
    assert [memory.initial.shape for memory in lifted.memories] == [
        (1, 14, 1, 64), (1, 16, 1, 64), (1, 2, 1, 40), (1, 2, 1, 64), (1, 8, 1, 64), (1, 12, 1, 64),
    ]  # fmt: skip
    pairs = rim_of(lifted).signature.state
    assert [(pair.output, pair.input, pair.initial) for pair in pairs][:1] == [("stream_10_states_next", "stream_10_states", -128)]
    assert len(pairs) == 6


def test_weights_and_arithmetic_stay() -> None:
    data = wake_word("okay_nabu")
    before, after = read_model(data), read_model(lift(data).data)
    names = [operator_name(before, operator) for operator in before.subgraphs[0].operators]
    gone = {"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}
    assert [operator_name(after, operator) for operator in after.subgraphs[0].operators] == [name for name in names if name not in gone]
    for old, new in zip(before.buffers, after.buffers, strict=True):
        assert np.array_equal(old.data if old.data is not None else (), new.data if new.data is not None else ())


def test_lifting_makes_the_same_bytes_and_leaves_a_file_without_memory_alone() -> None:
    data = wake_word("alexa")
    lifted = lift(data)
    assert lift(data).data == lifted.data
    again = lift(lifted.data)
    assert again.data is lifted.data
    assert again.memories == ()


def test_the_rim_says_what_the_integers_mean() -> None:
    signature = rim_of(lift(wake_word("okay_nabu"))).signature
    audio, answer = signature.input("input_audio"), signature.outputs[0]
    assert (audio.dtype, audio.shape, audio.batch_axis, audio.unit) == ("i8", (1, 3, 40), None, "(q + 128) * 0.101960786")
    assert (answer.dtype, answer.shape, answer.unit) == ("u8", (1, 1), "(q - 0) * 0.00390625")


def test_another_shape_is_refused_at_the_door(tmp_path: Path) -> None:
    with opened(lift(wake_word("okay_nabu")), tmp_path) as session, pytest.raises(InputError, match="input_audio"):
        session.run({"input_audio": np.zeros((2, 3, 40), np.int8)})


def _changed(change: Any) -> bytes:
    model = read_model(wake_word("okay_nabu"))
    change(model)
    return write_model(model)


def _operator(model: Any, graph: int, name: str) -> Any:
    return next(operator for operator in model.subgraphs[graph].operators if operator_name(model, operator) == name)


def test_memory_that_is_never_assigned_is_refused() -> None:
    def change(model: Any) -> None:
        model.subgraphs[0].operators.remove(_operator(model, 0, "ASSIGN_VARIABLE"))

    with pytest.raises(UnsupportedError, match="value of its own"):
        lift(_changed(change))


def test_memory_without_a_start_is_refused() -> None:
    def change(model: Any) -> None:
        model.subgraphs[1].operators.remove(_operator(model, 1, "ASSIGN_VARIABLE"))

    with pytest.raises(UnsupportedError, match="no initial value"):
        lift(_changed(change))


def test_memory_whose_start_is_computed_is_refused() -> None:
    def change(model: Any) -> None:
        computed = _operator(model, 0, "RESHAPE")
        computed.inputs, computed.outputs = [0, 0], [0]
        model.subgraphs[1].operators.insert(0, computed)

    with pytest.raises(UnsupportedError, match="computes the start"):
        lift(_changed(change))


def test_a_file_that_names_what_it_lacks_is_damaged() -> None:
    def change(model: Any) -> None:
        _operator(model, 0, "CALL_ONCE").builtinOptions.initSubgraphIndex = 7

    with pytest.raises(FormatError, match="damaged"):
        lift(_changed(change))


@pytest.mark.parametrize("place", [-1, -5, 10**6, 2**31 - 1])
@pytest.mark.parametrize("where", ["inputs", "outputs", "made", "read"])
def test_a_graph_that_names_a_tensor_it_lacks_is_damaged_before_an_interpreter_dies_of_it(where: str, place: int) -> None:
    def change(model: Any) -> None:
        graph = model.subgraphs[0]
        holder = graph if where in ("inputs", "outputs") else graph.operators[-1]
        side = {"made": "outputs", "read": "inputs"}.get(where, where)
        setattr(holder, side, [place, *getattr(holder, side)[1:]])

    if where == "read" and place == -1:  # an input that an operator does without
        assert read_model(_changed(change))
        return
    with pytest.raises(FormatError, match="a tensor that it does not have"):
        lift(_changed(change))


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0\0\0\0TFL3", b"\xff\xff\xff\x7fTFL3", b"no file of that kind" * 9])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        lift(data)


def test_a_file_cut_short_is_refused_or_read_never_a_foreign_error() -> None:
    data = wake_word("okay_nabu")
    refused = 0
    for size in range(8, len(data), 997):
        try:
            lift(data[:size])
        except (FormatError, UnsupportedError):
            refused += 1
    assert refused > 70


def test_dynamic_dimensions_and_foreign_dtypes_are_refused_by_name() -> None:
    def dynamic(model: Any) -> None:
        model.subgraphs[0].tensors[0].shapeSignature = [-1, 3, 40]

    def foreign(model: Any) -> None:
        model.subgraphs[0].tensors[0].type = schema.TensorType.COMPLEX64

    with pytest.raises(UnsupportedError, match="not fixed; got input_audio"):
        rim_of(lift(_changed(dynamic)))
    with pytest.raises(UnsupportedError, match="input_audio"):
        rim_of(lift(_changed(foreign)))


def test_names_that_are_no_text_are_damage() -> None:
    def change(model: Any) -> None:
        model.signatureDefs[0].inputs[0].name = b"\xff\xfe"

    with pytest.raises(FormatError, match="damaged"):
        rim_of(lift(_changed(change)))


def test_changed_bytes_are_refused_or_read_never_a_foreign_error() -> None:
    data, rng = wake_word("okay_nabu"), np.random.default_rng(0)
    outcomes: set[str] = set()
    for place in rng.integers(len(data) - 30000, len(data), 40):
        hurt = bytearray(data)
        hurt[place] ^= int(rng.integers(1, 256))
        try:
            rim_of(lift(bytes(hurt)))
            outcomes.add("read")
        except (FormatError, UnsupportedError):
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


FLOAT = """
import sys, litert_torch, numpy, torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
litert_torch.convert(model, (torch.ones(1, 4),)).export(sys.argv[1])
numpy.save(sys.argv[2], model(torch.arange(4.0)[None]).detach().numpy())
"""


@pytest.mark.slow
@pytest.mark.long
def test_a_float_file_of_a_converter_answers_as_its_source_and_keeps_its_fixed_batch(tmp_path: Path) -> None:
    file, answer = tmp_path / "float.tflite", tmp_path / "answer.npy"
    subprocess.run([sys.executable, "-c", FLOAT, str(file), str(answer)], check=True, capture_output=True, timeout=300)
    data = file.read_bytes()
    lifted = lift(data)
    assert lifted.data is data
    with opened(lifted, tmp_path) as session:
        (spec,) = session.info.signature.inputs
        assert (spec.name, spec.dtype, spec.shape, spec.batch_axis, spec.unit) == ("args_0", "f32", (1, 4), None, None)
        found = session.run({"args_0": np.arange(4, dtype=np.float32)[None]})["output_0"]
        np.testing.assert_allclose(found, np.load(answer), rtol=1e-5, atol=1e-6)
        with pytest.raises(InputError, match="args_0"):
            session.run({"args_0": np.zeros((2, 4), np.float32)})
