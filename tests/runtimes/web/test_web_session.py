"""A bundle in a page answers as the same program does natively, refuses as it should, and survives what browsers do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import portside as ps
from portside.runtimes import samples
from portside.runtimes.artifact import read_artifact
from portside.runtimes.base import Cancel, CompileOptions, LoadOptions, Measurable
from portside.runtimes.bench import bench
from portside.runtimes.check_kit import expect_outputs
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.wasm_web import WasmWeb
from portside.runtimes.web.chromium import shared
from portside.sdk.core import errors
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.codec.image import Image
from portside.sdk.core.manifest import Annotations
from portside.sdk.core.package import write

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("name", ["mixed", "scalar", "stateful", "canvas", "slow"])
@pytest.mark.parametrize("rows", [1, 5])
def test_a_page_answers_as_onnx_cpu(open_bundle, tmp_path, name, rows):
    sample, session = open_bundle(name)
    native = OnnxCpu()
    other = native.load(native.compile(sample.write(tmp_path / "p"), CompileOptions(), tmp_path / "a").path, LoadOptions())
    inputs = sample.inputs(rows)
    expect_outputs(sample.signature, session.run(inputs), other.run(inputs))


def test_nan_and_64_bit_integers_come_through(open_bundle):
    sample, session = open_bundle()
    inputs = sample.inputs(3)
    inputs["x"][1, 2] = np.nan
    answers = session.run({**inputs, "ids": inputs["ids"].astype(np.int64)})
    expect_outputs(sample.signature, answers, sample.truth(inputs))
    assert np.isnan(answers["scores"][1]).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_predict_goes_through_the_pages_codec(open_bundle, threads):
    sample, session = open_bundle(threads=threads)
    inputs = sample.inputs(2)
    answers = session.predict(inputs)
    assert list(answers) == [spec.name for spec in sample.signature.outputs]
    np.testing.assert_allclose(answers["scores"], sample.truth(inputs)["scores"], rtol=1e-5)
    assert answers["scores"].dtype == np.float32


def test_an_error_of_the_page_keeps_its_kind_and_field(open_bundle):
    sample, session = open_bundle()
    inputs = sample.inputs(2)
    with pytest.raises(errors.InputError) as caught:
        session.run({**inputs, "x": np.zeros((2, 5), np.float32)})
    assert caught.value.field == "x"
    assert caught.value.what
    with pytest.raises(errors.InputError) as caught:
        session.run({**inputs, "x": [[1, 2, 3, 4], [1]]})
    assert caught.value.field == "x"
    expect_outputs(sample.signature, session.run(inputs), sample.truth(inputs))


def test_the_page_checks_every_file_itself(make_bundle):
    _, _, artifact = make_bundle()
    model = artifact.path / artifact.engine["segments"][0]["file"]
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    with pytest.raises(errors.IntegrityError, match=model.name):
        WasmWeb().load(artifact.path, LoadOptions())


def test_an_artifact_of_another_target_is_refused(make_bundle, tmp_path):
    _, package, _ = make_bundle()
    other = OnnxCpu().compile(package, CompileOptions(), tmp_path / "other")
    with pytest.raises(errors.FormatError, match="another target"):
        WasmWeb().load(other.path, LoadOptions())


def renderers():
    """Pids of the pages of this process's browser."""
    lines = subprocess.run(["ps", "-eo", "pid,ppid,stat,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    table = {int(pid): (int(parent), state, args) for pid, parent, state, args in (line.split(None, 3) for line in lines[1:])}

    def ours(pid):
        return pid == os.getpid() or (pid in table and pid > 1 and ours(table[pid][0]))

    return [pid for pid, (_, state, args) in table.items() if "--type=renderer" in args and "Z" not in state and ours(pid)]


def test_a_killed_page_is_an_engine_error_and_the_next_load_works(open_bundle):
    sample, session = open_bundle()
    inputs = sample.inputs(1)
    session.run(inputs)
    assert renderers()
    for pid in renderers():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with pytest.raises(errors.EngineError) as caught:
        session.run(inputs)
    assert caught.value.reason == "crashed"
    again = WasmWeb().load(session._artifact.path, LoadOptions())
    expect_outputs(sample.signature, again.run(inputs), sample.truth(inputs))
    again.close()


def test_a_lost_browser_is_an_engine_error_and_the_next_load_starts_another(open_bundle):
    sample, session = open_bundle()
    inputs = sample.inputs(1)
    browser = shared()
    browser.wait(browser._browser.close())
    with pytest.raises(errors.EngineError) as caught:
        session.run(inputs)
    assert caught.value.reason == "crashed"
    again = WasmWeb().load(session._artifact.path, LoadOptions())
    assert shared() is not browser
    expect_outputs(sample.signature, again.run(inputs), sample.truth(inputs))
    again.close()


def test_a_cancelled_call_does_not_disturb_the_next(open_bundle):
    sample, session = open_bundle("slow")
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(errors.EngineError) as caught:
        session.run(sample.inputs(1), cancel)
    assert caught.value.reason == "cancelled"
    inputs = sample.inputs(2)
    expect_outputs(sample.signature, session.run(inputs, Cancel()), sample.truth(inputs))


def test_a_session_works_beside_a_running_loop(open_bundle):
    sample, session = open_bundle()
    inputs = sample.inputs(2)

    async def main():
        direct = session.run(inputs)
        return direct, await asyncio.to_thread(session.run, inputs)

    for answers in asyncio.run(main()):
        expect_outputs(sample.signature, answers, sample.truth(inputs))


def test_a_session_that_nobody_holds_closes_its_page(make_bundle):
    _, _, artifact = make_bundle()
    browser = shared()
    before = set(browser._browser.contexts)
    session = WasmWeb().load(artifact.path, LoadOptions())
    (its,) = set(browser._browser.contexts) - before  # others may go meanwhile
    del session
    gc.collect()
    until = time.monotonic() + 10
    while its in browser._browser.contexts and time.monotonic() < until:
        time.sleep(0.05)
    assert its not in browser._browser.contexts


def test_figures_come_from_inside_the_page(open_bundle):
    sample, session = open_bundle()
    inputs = sample.inputs(2)
    assert isinstance(session, Measurable)
    samples = session.measure(inputs, repeats=2, seconds=0.05)
    assert len(samples.repeats) == 2
    assert all(len(turn) >= 5 for turn in samples.repeats)
    started = time.perf_counter()
    session.run(inputs)
    assert 0 < samples.percentile_ms(50) < (time.perf_counter() - started) * 1000
    assert bench(session, inputs, batches=(1, 4), repeats=1, seconds=0.02).latency.keys() == {1, 4}
    footprint = session.footprint(inputs, starts=1)
    assert footprint.cold_start_ms > samples.percentile_ms(50)
    assert footprint.memory_mb > 1


def test_threads_need_isolation_and_get_it(open_bundle):
    _, session = open_bundle(threads=2)
    assert session._page.call("load", session._options) == {"threads": 2, "isolated": True}
    _, plain = open_bundle("scalar")
    assert plain._page.call("load", plain._options) == {"threads": 1, "isolated": False}


def test_nothing_is_left_when_the_process_is_killed():
    script = "import time; from portside.runtimes.web.chromium import shared; shared(); print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        browser = [pid for pid in children(process.pid) if b"--headless" in command(pid)]
        process.kill()
    assert browser
    until = time.monotonic() + 20
    while any(alive(pid) for pid in browser) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [pid for pid in browser if alive(pid)]


def children(pid):
    """Processes below `pid`. One that ends meanwhile has none."""
    direct = list[int]()
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                direct += map(int, (task / "children").read_text().split())
    return [*direct, *(deeper for child in direct for deeper in children(child))]


def command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


def alive(pid):
    try:
        return " Z " not in " ".join(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]).join("  ")
    except OSError:
        return False


def test_a_bundle_without_golden_rows_is_proven_with_its_package(tmp_path, make_bundle):
    _, package, artifact = make_bundle()
    assert read_artifact(artifact.path).contract().rows > 0
    assert ps.verify(artifact.path).verdict == ps.verify(artifact.path, package=package).verdict == "passed"


@pytest.fixture
def pictures(tmp_path):
    """(page, native): sessions of one package that takes picture files of any size."""
    package = samples.SAMPLES["canvas"]().write(tmp_path / "p")
    files = {name: package.read(name) for name in package.content.files}
    content = replace(package.content, codec=Codec.of({"photo": Image()}).steps)
    package = write(content, files, tmp_path / "q", Annotations(name="pictures"))
    opened = []
    for runtime in (WasmWeb(), OnnxCpu()):
        opened.append(runtime.load(runtime.compile(package, CompileOptions(), tmp_path / runtime.name).path, LoadOptions()))
    yield opened
    for session in opened:
        session.close()


def encoded(height, width, kind):
    pixels = np.random.default_rng(height).integers(0, 255, (height, width, 3), dtype=np.uint8)
    with io.BytesIO() as file:
        PIL.Image.fromarray(pixels).save(file, kind)
        return file.getvalue()


def test_picture_files_are_decoded_by_the_page(pictures):
    page, native = pictures
    for photos in ([encoded(6, 8, "PNG"), encoded(5, 7, "BMP")], encoded(6, 8, "PNG"), np.ones((2, 6, 8, 3), np.uint8)):
        found, wanted = page.predict({"photo": photos}), native.predict({"photo": photos})
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5)
    assert page.predict(encoded(6, 8, "PNG")).keys() == wanted.keys()


@pytest.mark.parametrize("wire", [{"photo": [b"nonsense"]}, {"photo": [None]}, {}], ids=repr)
def test_the_pages_codec_refuses_as_ours_does(pictures, wire):
    refused = []
    for session in pictures:
        with pytest.raises(errors.InputError) as caught:
            session.predict(wire)
        refused.append((caught.value.field, caught.value.row))
    assert refused[0] == refused[1]
