"""What a bundle holds: the web site, the engine, the program, and golden rows only where they may be shown."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

import portside as ps
from portside.runtimes import samples
from portside.runtimes.artifact import open_artifact
from portside.runtimes.base import CompileOptions
from portside.runtimes.subjects import contract_for
from portside.runtimes.wasm_web import WasmWeb
from portside.runtimes.web import bundle
from portside.runtimes.web.engine_files import BROWSER, pinned
from portside.sdk.core import errors
from portside.sdk.core.contract import Case
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 2)),), (TensorSpec("y", "f32", ("batch", 2), kind="value"),))


def one_node(operator, domain=""):
    sides = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2])] for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"], domain=domain, name="odd")], "main", *sides)
    versions = [helper.make_opsetid("", 18), helper.make_opsetid(domain or "ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=versions, ir_version=10)


def test_every_source_file_is_copied_as_it_is(make_bundle):
    _, _, artifact = make_bundle()
    sources = [file for file in BROWSER.rglob("*") if file.is_file() and "engine" not in file.relative_to(BROWSER).parts[:1]]
    assert {"index.html", "model.js", "model.d.ts"} <= {file.name for file in sources}
    for file in sources:
        assert (artifact.path / file.relative_to(BROWSER)).read_bytes() == file.read_bytes()


def test_the_engine_in_a_bundle_is_the_pinned_one(make_bundle):
    _, _, artifact = make_bundle()
    found = {name.removeprefix("engine/ort/"): entry for name, entry in artifact.files.items() if name.startswith("engine/ort/")}
    assert found == pinned().files
    assert artifact.engine["ort"]["version"] == "1.30.0"


def test_a_bundle_is_an_artifact_whose_every_file_is_listed(make_bundle):
    _, package, artifact = make_bundle()
    opened = open_artifact(artifact.path, artifact.digest)
    assert opened.target == "wasm"
    assert opened.package_digest == package.digest
    assert [segment["kind"] for segment in opened.engine["segments"]] == ["onnx"]
    assert {segment["file"] for segment in opened.engine["segments"]} <= set(opened.files)


def test_its_size_is_engine_model_and_scripts_without_golden_rows(make_bundle):
    _, _, artifact = make_bundle()
    held = {name: entry.size for name, entry in artifact.files.items()}
    golden = sum(size for name, size in held.items() if name.startswith("contract/"))
    assert golden > 0
    assert artifact.size_bytes == sum(held.values()) - golden


def test_a_changed_script_is_found_out(make_bundle):
    _, _, artifact = make_bundle()
    script = artifact.path / "model.js"
    script.write_text(script.read_text() + "\n")
    with pytest.raises(errors.IntegrityError, match=r"model\.js"):
        open_artifact(artifact.path)


@pytest.mark.parametrize("name", ["page.html", "other.js", "web.js", "sub/index.html"])
def test_no_other_file_may_stand_at_the_root(make_bundle, name):
    _, _, artifact = make_bundle()
    (artifact.path / name).parent.mkdir(exist_ok=True)
    (artifact.path / name).write_text("")
    with pytest.raises(errors.IntegrityError, match="does not list"):
        open_artifact(artifact.path)


def test_golden_rows_travel_where_they_are_shareable(make_bundle):
    _, package, artifact = make_bundle()
    assert artifact.contract().rows == contract_for(artifact, package).rows > 0


def test_golden_rows_that_may_not_be_shown_stay_behind_and_the_package_has_them(make_package, tmp_path):
    x = np.array([[1, -2], [3, 4]], np.float32)
    case = Case({"x": x}, {"y": np.abs(x)}, why=("random", "random"))
    package = make_package(SIGNATURE, [("main", one_node("Abs"))], cases=[case], rules={})
    artifact = WasmWeb().compile(package, CompileOptions(), tmp_path / "bundle")
    assert not [name for name in artifact.files if name.startswith("contract")]
    assert contract_for(open_artifact(artifact.path), package).rows == 2
    with pytest.raises(errors.FormatError, match="may not be shown in public"):
        ps.verify(artifact.path)


def test_a_host_stage_is_refused_by_name_and_file(make_package, tmp_path):
    source = "def tidy(x):\n    return x\n"
    package = make_package(SIGNATURE, [("tidy", source, ["x"], ["y"])], trusted=True)
    with pytest.raises(errors.UnsupportedError, match=r"'tidy' is Python.*host/00-tidy\.py") as caught:
        WasmWeb().compile(package, CompileOptions(), tmp_path / "bundle")
    assert caught.value.fix
    assert not (tmp_path / "bundle").exists()


def test_an_operator_of_another_domain_is_refused_by_name(make_package, tmp_path):
    package = make_package(SIGNATURE, [("main", one_node("Whirl", "my.company"))])
    with pytest.raises(errors.UnsupportedError, match=r"my\.company::Whirl"):
        WasmWeb().compile(package, CompileOptions(), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_weights_that_no_page_can_hold_are_refused(make_bundle, monkeypatch):
    monkeypatch.setattr(bundle, "EXTERNAL_BYTES", 8)
    with pytest.raises(errors.UnsupportedError, match="too large for a page"):
        make_bundle()


def test_without_engine_files_the_command_is_named(make_bundle, monkeypatch, tmp_path):
    monkeypatch.setattr(bundle, "pinned", lambda: pinned(tmp_path / "nowhere"))
    with pytest.raises(errors.UnsupportedError, match="make engine"):
        make_bundle()


def test_taps_become_outputs_of_their_segment(make_package, tmp_path):
    package = make_package(SIGNATURE, [("main", one_node("Abs"))], boundaries={"model": ["y"]})
    artifact = WasmWeb().compile(package, CompileOptions(taps=("model",)), tmp_path / "bundle")
    assert artifact.engine["taps"] == {"model": ["y"]}
    with pytest.raises(errors.UnsupportedError, match="no boundary 'elsewhere'"):
        WasmWeb().compile(package, CompileOptions(taps=("elsewhere",)), tmp_path / "other")


def test_compiling_needs_no_browser_and_says_that_proving_does(monkeypatch, make_bundle, tmp_path):
    monkeypatch.setenv("PORTSIDE_CHROMIUM", str(tmp_path / "nowhere"))
    make_bundle()
    with pytest.raises(errors.MissingExtraError, match="Chromium to prove bundles in"):
        ps.compile(samples.SAMPLES["mixed"]().write(tmp_path / "package"), "wasm", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_name_that_javascript_takes_for_something_else_is_refused(tmp_path):
    signature = Signature((TensorSpec("x", "f32", ("batch", 2)),), (TensorSpec("__proto__", "f32", ("batch", 2), kind="value"),))
    sides = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2])] for name in ("x", "__proto__")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["__proto__"], name="relu")], "main", *sides)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    rows = lambda count: {"x": np.ones((count, 2), np.float32)}  # noqa: E731
    package = samples.Sample("odd", signature, model, lambda given: {"__proto__": given["x"]}, rows, {}).write(tmp_path / "package")
    with pytest.raises(errors.UnsupportedError, match="__proto__"):
        WasmWeb().compile(package, CompileOptions(), tmp_path / "bundle")
