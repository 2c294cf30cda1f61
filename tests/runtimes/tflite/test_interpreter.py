"""The interpreter as a segment, on a real file: pieces, padding, refusals, cancellation, threads, closing."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from portside.runtimes.base import Cancel
from portside.runtimes.tflite import interpreter as module
from portside.runtimes.tflite.interpreter import TfliteEngine
from portside.runtimes.tflite.plan import Plan
from portside.sdk.core.errors import EngineError, FormatError, InputError

NAMES = ["above", "scores", "label"]


@pytest.fixture(scope="module")
def held(mixed_artifact):
    sample, artifact = mixed_artifact
    (file, plan), = artifact.engine["plans"].items()
    return sample, artifact.path / file, Plan.from_dict(plan)


def feeds(sample, rows):
    given = sample.inputs(rows)
    return {**given, "ids": given["ids"].astype(np.int32)}


def same(made, sample, given):
    truth = sample.truth(given)
    for name, value in zip(NAMES, made, strict=True):
        np.testing.assert_allclose(value.astype(np.float64), truth[name].astype(np.float64), atol=1e-5)


@pytest.mark.parametrize("fill", [0.1, 1.0])
@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 21])
def test_any_number_of_rows_padded_or_one_by_one(held, rows, fill):
    sample, file, plan = held
    engine = TfliteEngine(file, replace(plan, fill=fill))
    given = feeds(sample, rows)
    same(engine.run(NAMES, given), sample, given)


def test_no_rows_are_answered_with_empty_outputs(held):
    sample, file, plan = held
    made = TfliteEngine(file, plan).run(NAMES, {name: value[:0] for name, value in feeds(sample, 2).items()})
    assert [(value.shape, value.dtype) for value in made] == [((0,), bool), ((0, 3), np.float32), ((0,), np.int32)]


def test_what_the_interpreter_refuses_is_wrapped_and_the_segment_goes_on(held):
    sample, file, plan = held
    engine, given = TfliteEngine(file, plan), feeds(sample, 3)
    for wrong in ({"x": given["x"].astype(np.float64)}, {"x": given["x"][:, :2]}):
        with pytest.raises(EngineError, match="interpreter failed"):
            engine.run(NAMES, {**given, **wrong})
    with pytest.raises(InputError, match="disagree about 'batch'"):
        engine.run(NAMES, {**given, "ids": given["ids"][:2]})
    same(engine.run(NAMES, given), sample, given)


def test_a_cancelled_call_does_not_start_and_stops_between_pieces(held, monkeypatch):
    sample, file, plan = held
    engine, cancel = TfliteEngine(file, replace(plan, fill=1.0)), Cancel()
    done = []
    kept = module.keep

    def keep(*arguments):
        done.append(arguments)
        cancel.cancel()
        kept(*arguments)

    monkeypatch.setattr(module, "keep", keep)
    with pytest.raises(EngineError) as caught:
        engine.run(NAMES, feeds(sample, 3), cancel)
    assert caught.value.reason == "cancelled"
    assert len(done) == len(plan.outputs)  # the first of three pieces
    with pytest.raises(EngineError) as caught:
        engine.run(NAMES, feeds(sample, 1), cancel)
    assert caught.value.reason == "cancelled"


@pytest.mark.parametrize("most", [1, 8])
def test_threads_get_their_own_answers_whether_they_share_or_not(held, monkeypatch, most):
    sample, file, plan = held
    monkeypatch.setattr(module, "POOL_LIMIT", most)
    monkeypatch.setattr(module, "cores", lambda: 8)
    engine = TfliteEngine(file, plan)
    batches = [feeds(sample, rows) for rows in range(1, 11)] * 8
    with ThreadPoolExecutor(8) as pool:
        for given, made in zip(batches, pool.map(lambda given: engine.run(NAMES, given), batches), strict=True):
            same(made, sample, given)


def test_large_weights_are_opened_once_however_many_threads(held, monkeypatch):
    _, file, plan = held
    monkeypatch.setattr(module, "cores", lambda: 8)
    assert module.interpreters(file, plan) > 1
    monkeypatch.setattr(module, "POOL_BYTES", file.stat().st_size)
    assert module.interpreters(file, plan) == 1


def test_a_closed_segment_refuses_those_who_wait_too(held):
    sample, file, plan = held
    engine = TfliteEngine(file, plan)
    borrowed = engine._pool.take()
    engine.close()
    engine._pool.give(borrowed)
    for _ in range(3):
        with pytest.raises(EngineError) as caught:
            engine.run(NAMES, feeds(sample, 1))
        assert caught.value.reason == "closed"


def test_a_file_without_signatures_is_called_by_the_names_of_its_tensors(held):
    sample, file, plan = held
    details = module.Interpreter(model_path=str(file))
    inside = [{tensor["name"] for tensor in side} for side in (details.get_input_details(), details.get_output_details())]
    calls = {slot.name: slot.key for slot in plan.inputs}
    first = {name: next(inner for inner in inside[0] if key in inner) for name, key in calls.items()}
    alone = Plan(tuple(replace(slot, key=first[slot.name]) for slot in plan.inputs), (), {"": {"batch": 1}}, "batch")
    engine = TfliteEngine(file, alone)
    assert engine.run([], feeds(sample, 1)) == []
    with pytest.raises(FormatError, match="lacks a tensor; got nowhere"):
        TfliteEngine(file, replace(alone, inputs=(replace(alone.inputs[0], key="nowhere"), *alone.inputs[1:])))


def test_a_file_that_is_none_is_an_engine_error(tmp_path, held):
    (tmp_path / "broken.tflite").write_bytes(b"not a flatbuffer" * 20)
    with pytest.raises(EngineError, match="cannot open"):
        TfliteEngine(tmp_path / "broken.tflite", held[2])


def test_a_plan_that_leaves_an_input_out_is_refused(held):
    _, file, plan = held
    with pytest.raises(FormatError, match="nobody gives; got"):
        TfliteEngine(file, replace(plan, inputs=plan.inputs[1:]))


def test_a_plan_of_another_file_is_refused_by_name(held):
    _, file, plan = held
    wrong = replace(plan, inputs=(replace(plan.inputs[0], key="elsewhere"), *plan.inputs[1:]))
    with pytest.raises(FormatError, match="elsewhere"):
        TfliteEngine(file, wrong)
    with pytest.raises(FormatError, match="batch3"):
        TfliteEngine(file, replace(plan, signatures={"batch3": {"batch": 3}}))
