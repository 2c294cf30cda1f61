"""The browser library end to end in Chromium: real bundles answer as the package does, damage is named, and somebody always answers."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page
from torch import Tensor, nn

import portside as ps
from portside.runtimes import samples
from portside.runtimes.artifact import Artifact
from portside.runtimes.base import CompileOptions
from portside.runtimes.wasm_web import WasmWeb
from portside.runtimes.web.host import Host

from .conftest import CHROMIUM, FLAGS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
RNG = np.random.default_rng(5)
CALL = """async (sent) => {
  const library = await import(new URL("../bundle/model.js", location.href).href);
  const body = async () => { %s };
  try { return { value: await body() }; } catch (error) {
    return { error: { ...(error.toJSON?.() ?? { kind: String(error) }), receipt: error.receipt } };
  }
}"""


class Small(nn.Module):
    """One linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 4) -> (batch, 3)."""
        return self.layer(x)


def level(model: nn.Module, features: Tensor) -> dict[str, Tensor]:
    """A decision, its scores and an integer."""
    logits = model(features)
    return {"level": logits.argmax(1), "scores": logits.softmax(1)}


def featurize(age: Tensor, colour: Tensor, weights: Tensor) -> Tensor:
    """Three fields to four features."""
    return torch.cat([torch.stack([age / 60, colour.to(torch.float32)], 1), weights], 1)


def write_table(out: Path) -> ps.Package:
    """Numbers with a range, categories, a vector."""
    rows = 40
    examples: dict[str, Any] = {
        "age": RNG.uniform(0, 120, rows).astype(np.float32), "colour": [["red", "blue", None][row % 3] for row in range(rows)],
        "weights": RNG.normal(size=(rows, 2)).astype(np.float32),
    }  # fmt: skip
    typed = {**examples, "colour": np.array([row % 3 if row % 3 < 2 else -1 for row in range(rows)], np.int32)}
    codec: dict[str, Any] = {"colour": ps.codec.Categories(["red", "blue"]), "level": ps.codec.Categories(["low", "middle", "high"])}
    signature = ps.signature(typed).edit("age", range=(0.0, 120.0), on_range="reject")
    return ps.pack(Small(), name="table", featurize=featurize, predict=level, examples=examples, codec=codec, signature=signature, out=out)


WIRE: dict[str, Any] = {"age": [41, 12.5], "colour": ["blue", None], "weights": [[0.5, -1], [2, 0.25]]}
PREDICT = "const model = await library.load(undefined, sent.options); return model.predict(sent.wire);"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ps.Package:
    """The table."""
    return write_table(tmp_path_factory.mktemp("table") / "package")


@pytest.fixture(scope="module")
def bundle(package: ps.Package, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Its bundle."""
    return WasmWeb().compile(package, CompileOptions(), tmp_path_factory.mktemp("bundle") / "dist")


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A bundle whose call takes long."""
    folder = tmp_path_factory.mktemp("slow")
    return WasmWeb().compile(samples.slow(nodes=3000, width=256).write(folder / "package"), CompileOptions(), folder / "dist")


Ask = Callable[..., Any]


@pytest.fixture
def ask(browser: Browser, bundle: Artifact) -> Iterator[Ask]:
    """Run JavaScript that knows `library` and `sent` in a new page beside a bundle -> {"value"} or {"error"}."""
    host, contexts = Host(), []

    def call(source: str, sent: Any = None, folder: Path | None = None, isolated: bool = False,
             prepare: Callable[[Page], object] | None = None, strict: bool = True) -> Any:  # fmt: skip
        place = folder or bundle.path
        names = [file.relative_to(place).as_posix() for file in place.rglob("*") if file.is_file()]
        contexts.append(browser.new_context(bypass_csp=not strict))
        page = contexts[-1].new_page()
        if prepare:
            prepare(page)
        page.goto(host.url(host.mount(place, names, isolated), "page/session.html"))
        return page.evaluate(CALL % source, sent)

    yield call
    for context in contexts:
        context.close()
    host.close()


def predict(ask: Ask, **options: Any) -> Any:
    """Load with these options and answer."""
    return ask(PREDICT, {"options": options, "wire": WIRE})


def same(outputs: dict[str, Any], truth: dict[str, Any]) -> None:
    """Names exactly, numbers closely."""
    assert outputs["level"] == list(truth["level"])
    np.testing.assert_allclose(outputs["scores"], truth["scores"], atol=1e-5)


@pytest.mark.parametrize("worker", [True, False])
def test_a_bundle_answers_as_its_package(ask, package, worker):
    answer = predict(ask, worker=worker)["value"]
    same(answer["outputs"], package.predict(WIRE))
    receipt = answer["receipt"]
    assert (receipt["model"], receipt["version"], receipt["target"]) == ("table", package.digest, "wasm")
    assert (receipt["entry"], receipt["reason"], receipt["attempts"], receipt["stale"]) == (0, "primary", [], False)
    assert receipt["time_ms"] >= receipt["model_ms"] >= receipt["engine_ms"] > 0


def test_what_is_refused_names_field_and_row(ask):
    error = ask(PREDICT, {"options": {}, "wire": {**WIRE, "age": [41, 130]}})["error"]
    assert (error["kind"], error["field"], error["row"]) == ("InputError", "age", 1)
    error = ask(PREDICT, {"options": {}, "wire": {**WIRE, "colours": [1]}})["error"]
    assert (error["kind"], error["field"]) == ("InputError", "colours")


@pytest.mark.parametrize("wire", [{"age": 41}, {"weights": [0.5, -1]}])
def test_one_value_without_its_batch_is_told_so(ask, wire):
    error = ask(PREDICT, {"options": {}, "wire": {**WIRE, **wire}})["error"]
    assert (error["kind"], error["field"], error["row"]) == ("InputError", *wire, None)
    assert error["fix"] == "An input is a batch: put this one row in a list."


def test_info_says_what_was_loaded(ask, bundle):
    info = ask("return (await library.load(undefined, { threads: 4 })).info;")["value"]
    assert (info["artifact"], info["package"], info["name"]) == (bundle.digest, bundle.package_digest, "table")
    assert (info["threads"], info["isolated"], info["fault"]) == (1, False, None)
    (notice,) = info["notices"]
    assert "4 threads were asked for and 1 is used" in notice and "Cross-Origin-Embedder-Policy" in notice
    assert {field["name"]: field["type"] for field in info["fields"]} == {"colour": "category", "age": "tensor", "weights": "tensor"}


def test_an_isolated_page_has_threads(ask, package):
    source = "const model = await library.load(undefined, { threads: 2 }); return [model.info, await model.predict(sent)];"
    info, answer = ask(source, WIRE, isolated=True)["value"]
    assert (info["threads"], info["isolated"], info["notices"]) == (2, True, [])
    same(answer["outputs"], package.predict(WIRE))


def test_a_pinned_bundle_is_the_one_or_refused(ask, bundle, package):
    same(predict(ask, digest=bundle.digest)["value"]["outputs"], package.predict(WIRE))
    error = predict(ask, digest="sha256:" + "0" * 64)["error"]
    assert (error["kind"], error["got"]) == ("IntegrityError", bundle.digest)


@pytest.mark.parametrize("pattern", [
    "engine/*.onnx", "engine/ort/ort.wasm.min.mjs", "engine/ort/ort-wasm-simd-threaded.mjs", "engine/ort/ort-wasm-simd-threaded.wasm",
    "model.js", "web/door.js", "web/codec/codec.js",
])  # fmt: skip
def test_a_changed_file_is_named(ask, bundle, tmp_path, pattern):
    folder = tmp_path / "dist"
    shutil.copytree(bundle.path, folder)
    file = next(folder.glob(pattern))
    file.write_bytes(file.read_bytes() + b"\n")
    error = ask(PREDICT, {"options": {}, "wire": WIRE}, folder=folder)["error"]
    assert error["kind"] == "IntegrityError"
    assert error["what"].startswith(file.relative_to(folder).as_posix())
    assert error["fix"]


def test_a_missing_file_is_named(ask, bundle, tmp_path):
    folder = tmp_path / "dist"
    shutil.copytree(bundle.path, folder)
    next(folder.glob("engine/*.onnx")).unlink()
    error = ask(PREDICT, {"options": {}, "wire": WIRE}, folder=folder)["error"]
    assert error["kind"] == "FormatError"
    assert ".onnx is not there" in error["what"]


def test_a_web_page_in_place_of_a_bundle(ask, bundle, tmp_path):
    folder = tmp_path / "dist"
    shutil.copytree(bundle.path, folder)
    (folder / "artifact.json").write_text("<!doctype html><h1>Not found</h1>", encoding="utf-8")
    error = ask(PREDICT, {"options": {}, "wire": WIRE}, folder=folder)["error"]
    assert (error["kind"], error["what"]) == ("FormatError", "There is no bundle here: artifact.json is a web page")


def test_a_network_that_dies(ask):
    def dead(page: Page) -> None:
        page.route("**/engine/*.onnx", lambda route: route.abort())

    error = ask("return (await library.load(undefined, { worker: false })).info;", prepare=dead)["error"]
    assert error["kind"] == "FormatError"
    assert "could not be fetched to its end" in error["what"]


def test_nothing_leaves_the_bundles_folder(ask):
    seen: list[str] = []

    def watch(page: Page) -> None:
        page.on("request", lambda request: seen.append(request.url))

    assert "value" in ask(PREDICT, {"options": {}, "wire": WIRE}, prepare=watch)
    assert seen
    assert all("/bundle/" in url or "/page/" in url or url.startswith(("blob:", "data:")) for url in seen)


def test_progress_of_the_model_is_told(ask):
    source = """const seen = []; await library.load(undefined, { onprogress: (told) => seen.push(told) });
                return seen.filter(({ file }) => file.endsWith(".wasm")).at(-1);"""
    last = ask(source)["value"]
    assert last["loaded"] == last["total"] > 1_000_000


def test_a_killed_worker_is_replaced(ask, package):
    source = """const Real = Worker; const workers = [];
      globalThis.Worker = class extends Real { constructor(...given) { super(...given); workers.push(this); } };
      const model = await library.load();
      const before = await model.predict(sent);
      workers[0].terminate(); workers[0].dispatchEvent(new Event("error"));
      const after = await model.predict(sent);
      return [before.outputs, after.outputs, workers.length];"""
    before, after, workers = ask(source, WIRE)["value"]
    same(before, package.predict(WIRE))
    assert after == before
    assert workers == 2


def test_the_page_moves_while_a_call_runs(ask, slow):
    source = """const model = await library.load(); let ticks = 0; const timer = setInterval(() => { ticks += 1; }, 5);
      await model.run({ x: { shape: sent.shape, data: new Float32Array(sent.shape.reduce((a, b) => a * b, 1)).fill(0.01) } });
      clearInterval(timer); return ticks;"""
    assert ask(source, {"shape": [64, 256]}, folder=slow.path)["value"] > 3


BACKUP = {"level": "middle", "scores": [0.0, 1.0, 0.0]}


def test_a_call_that_takes_too_long_is_answered_by_the_default(ask, slow):
    name = slow.signature.outputs[0].name
    failover = {"deadline_ms": 20, "chain": [{"default": {name: [7.0] * 256}}]}
    source = """const model = await library.load(undefined, { failover: sent.failover });
      const x = Array.from({ length: 64 }, () => Array(256).fill(0.01));
      return model.predict({ x });"""
    answer = ask(source, {"failover": failover}, folder=slow.path)["value"]
    assert answer["outputs"][name] == [[7.0] * 256] * 64
    receipt = answer["receipt"]
    assert (receipt["reason"], receipt["attempts"], receipt["target"], receipt["entry"]) == ("deadline", ["0:deadline"], "default", 1)


def test_a_damaged_model_leaves_the_default(ask, bundle, tmp_path):
    folder = tmp_path / "dist"
    shutil.copytree(bundle.path, folder)
    file = next(folder.glob("engine/*.onnx"))
    file.write_bytes(b"nothing")
    source = "const model = await library.load(undefined, sent.options); return [model.info.fault, await model.predict(sent.wire)];"
    fault, answer = ask(source, {"options": {"failover": {"chain": [{"default": BACKUP}]}}, "wire": WIRE}, folder=folder)["value"]
    assert fault["kind"] == "IntegrityError"
    assert answer["outputs"] == {"level": ["middle"] * 2, "scores": [[0.0, 1.0, 0.0]] * 2}
    assert (answer["receipt"]["reason"], answer["receipt"]["attempts"]) == ("down", ["0:down"])


class Server(BaseHTTPRequestHandler):
    """The typed route of another server; `odd` replaces what it answers."""

    asked: ClassVar[list[Any]] = []
    odd: ClassVar[Any] = None

    def do_OPTIONS(self) -> None:
        self._send(b"")

    def do_POST(self) -> None:
        self.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        rows = len(self.asked[-1]["inputs"]["age"])
        outputs = {name: [value] * rows for name, value in BACKUP.items()}
        self._send(json.dumps(self.odd or {"outputs": outputs, "receipt": {}}).encode())

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        for name in ("origin", "headers"):
            self.send_header(f"access-control-allow-{name}", "*")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Nothing."""


OPTIONS_ONLY = """const model = await library.load({ threads: 2, failover: { chain: [{ default: sent.backup }] } });
  return [model.info.notices.length, await model.predict(sent.wire)];"""


def test_options_alone_open_the_bundle_beside_the_library(ask, package):
    notices, answer = ask(OPTIONS_ONLY, {"backup": BACKUP, "wire": WIRE})["value"]
    assert notices == 1
    same(answer["outputs"], package.predict(WIRE))


@pytest.mark.parametrize("given", ["{ thread: 2 }", "undefined, { thread: 2 }", "'../bundle/', { thread: 2 }"])
def test_an_option_that_is_not_known_is_refused(ask, given):
    error = ask(f"return library.load({given});")["error"]
    assert (error["kind"], error["what"], error["fix"]) == ("InputError", "load has no option 'thread'", "Did you mean 'threads'?")
    assert "threads, worker, digest, failover, fetch, onprogress" in error["expected"]


def test_an_address_that_is_none_is_refused(ask):
    error = ask("return library.load('http://');")["error"]
    assert (error["kind"], error["what"]) == ("InputError", "This is no address of a bundle")


BEFOREHAND = """const model = await library.load(sent.options);
  const abort = new AbortController(); abort.abort();
  const given = await model.predict(sent.wire, { signal: abort.signal }).catch((error) => error.toJSON());
  return [given, await model.predict(sent.wire)];"""


@pytest.mark.parametrize("options", [
    {}, {"worker": False}, {"failover": {"deadline_ms": 5000, "chain": [{"cache": {"ttl_s": 60}}, {"default": BACKUP}]}},
])  # fmt: skip
def test_a_signal_that_was_aborted_beforehand_ends_the_call_and_no_other(ask, package, options):
    given, after = ask(BEFOREHAND, {"options": options, "wire": WIRE})["value"]
    assert (given["kind"], given["reason"]) == ("EngineError", "cancelled")
    same(after["outputs"], package.predict(WIRE))
    assert after["receipt"]["attempts"] == []


NO_OBJECT = """const model = await library.load(undefined, sent.options); const kinds = [];
  for (let call = 0; call < 8; call += 1) for (const odd of [null, undefined, 5, "x", [1], new Float32Array(2)])
    kinds.push(await model.predict(odd).then(() => "answered", (error) => error.kind));
  return [[...new Set(kinds)], await model.predict(sent.wire)];"""


def test_what_is_no_object_of_fields_is_refused_and_no_breaker_counts_it(ask, package):
    options = {"failover": {"deadline_ms": 5000, "chain": [{"default": BACKUP}]}}
    kinds, after = ask(NO_OBJECT, {"options": options, "wire": WIRE})["value"]
    assert kinds == ["InputError"]
    assert after["receipt"]["attempts"] == []
    same(after["outputs"], package.predict(WIRE))


@pytest.fixture
def endpoint() -> Iterator[str]:
    """URL of such a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/predict"
    Server.odd = None
    server.shutdown()
    server.server_close()


BEHIND = """const model = await library.load(undefined, {});
  const abort = new AbortController();
  const given = model.run(sent, { signal: abort.signal }).catch((error) => error.toJSON());
  await new Promise((done) => setTimeout(done, 20));
  abort.abort();
  const behind = await model.run(sent);
  return [await given, Object.keys(behind)];"""


def test_a_call_behind_one_that_was_given_up_is_answered(ask, slow):
    inputs = samples.slow(nodes=3000, width=256).inputs(64)
    sent = {name: {"dtype": "f32", "shape": list(value.shape), "data": value.ravel().tolist()} for name, value in inputs.items()}
    given, outputs = ask(BEHIND, sent, folder=slow.path)["value"]
    assert (given["kind"], given["reason"]) == ("EngineError", "cancelled")
    assert outputs == [spec.name for spec in slow.signature.outputs]


NO_WORKER = """const model = await library.load(undefined, sent.options); await model.predict(sent.wire);
  await model.close(); return model.predict(sent.again ?? sent.wire);"""


def test_an_endpoint_answers_for_a_lost_model(ask, endpoint):
    options = {"failover": {"chain": [{"endpoint": {"url": endpoint, "timeout_ms": 5000}}]}}
    said = ask(NO_WORKER, {"options": options, "wire": WIRE}, strict=False)
    assert "error" not in said, said
    answer = said["value"]
    assert answer["outputs"] == {"level": ["middle"] * 2, "scores": [[0.0, 1.0, 0.0]] * 2}
    assert Server.asked[-1] == {"inputs": WIRE}
    assert (answer["receipt"]["model"], answer["receipt"]["target"], answer["receipt"]["attempts"]) == (endpoint, "endpoint", ["0:down"])


SCORES = [[0.0, 1.0, 0.0]] * 2


@pytest.mark.parametrize(("odd", "reason"), [
    ({"outputs": {"level": ["middle"] * 2}}, "failed"), ({"outputs": {"level": ["middle"] * 2, "scores": [[0.0, 1.0]] * 2}}, "failed"),
    ({"outputs": {"level": ["middle"], "scores": SCORES[:1]}}, "failed"),
    ({"outputs": {"level": ["medium"] * 2, "scores": SCORES}}, "failed"),
    ({"outputs": {"level": ["middle"] * 2, "scores": [[0.0, None, 0.0]] * 2}}, "non-finite"), ([1], "failed"), ({"answer": 42}, "failed"),
])  # fmt: skip
def test_an_endpoint_whose_answer_does_not_fit_the_signature_is_a_failed_attempt(ask, endpoint, odd, reason):
    Server.odd = odd
    options = {"failover": {"chain": [{"endpoint": {"url": endpoint, "timeout_ms": 5000}}, {"default": BACKUP}]}}
    answer = ask(NO_WORKER, {"options": options, "wire": WIRE}, strict=False)["value"]
    assert answer["outputs"] == {"level": ["middle"] * 2, "scores": SCORES}
    assert (answer["receipt"]["target"], answer["receipt"]["attempts"]) == ("default", ["0:down", f"1:{reason}"])


@pytest.mark.parametrize(("link", "what"), [
    ({"default": {**BACKUP, "level": "medium"}}, "The default is not an answer that the signature allows: this category is unknown"),
    ({"default": {"level": "middle"}}, "The default lacks output 'scores'"),
    ({"endpoint": {"url": "http://", "timeout_ms": 5}}, "An endpoint of the failover chain has no address"),
])  # fmt: skip
def test_a_chain_that_could_not_answer_is_refused_when_it_is_loaded(ask, link, what):
    error = ask(PREDICT, {"options": {"failover": {"chain": [link]}}, "wire": WIRE})["error"]
    assert (error["kind"], error["what"]) == ("FormatError", what)


HUGE = {**WIRE, "weights": [[math.inf, math.inf], [2, 0.25]]}


def test_nan_is_no_answer(ask):
    """An infinity, which the door flags and the model turns into NaN: the next entry answers, and without one nobody does."""
    answer = ask(PREDICT, {"options": {"failover": {"chain": [{"default": BACKUP}]}}, "wire": HUGE})["value"]
    assert answer["outputs"] == {"level": ["middle"] * 2, "scores": SCORES}
    assert (answer["receipt"]["reason"], answer["receipt"]["attempts"]) == ("non-finite", ["0:non-finite"])
    error = ask(PREDICT, {"options": {}, "wire": HUGE})["error"]
    assert (error["kind"], error["got"]) == ("EngineError", "0:non-finite")


DEAF = """const Real = Worker; const workers = [];
  globalThis.Worker = class extends Real {
    constructor(...given) { super(...given); workers.push(this); }
    postMessage(message, ...more) { if (workers.length > 1 || message.method !== "predict") super.postMessage(message, ...more); }
  };
  const model = await library.load({ failover: { deadline_ms: 200, chain: [{ default: sent.backup }] } });
  const first = await model.predict(sent.wire);
  await new Promise((done) => setTimeout(done, 1500));
  for (let tries = 0; tries < 40; tries += 1) {
    const answer = await model.predict(sent.wire);
    if (answer.receipt.entry === 0) return [first, answer, workers.length];
    await new Promise((done) => setTimeout(done, 250));
  }"""


def test_a_worker_that_never_answers_is_replaced(ask, package):
    first, after, workers = ask(DEAF, {"backup": BACKUP, "wire": WIRE})["value"]
    assert (first["receipt"]["reason"], first["outputs"]["level"]) == ("deadline", ["middle"] * 2)
    assert workers == 2
    same(after["outputs"], package.predict(WIRE))


def test_an_own_fetch_fetches_every_file_of_the_bundle_for_the_worker_too(ask, bundle, package):
    source = """const asked = [];
      const own = (url, init) => { asked.push(url.href.split("/bundle/")[1]); return fetch(url, init); };
      const seen = []; const onprogress = ({ file }) => seen.push(file);
      const model = await library.load({ fetch: own, onprogress });
      return [asked, seen, await model.predict(sent)];"""
    asked, seen, answer = ask(source, WIRE)["value"]
    same(answer["outputs"], package.predict(WIRE))
    assert {name for name in bundle.files if name.startswith("engine/")} <= set(asked)
    assert any(name.endswith(".onnx") for name in seen)


@pytest.mark.parametrize(("own", "what"), [
    ('(url) => (url.href.endsWith(".onnx") ? Promise.reject(new TypeError("no way")) : fetch(url))', "could not be fetched to its end"),
    ('(url) => (url.href.endsWith(".onnx") ? new Response(null, { status: 403 }) : fetch(url))', "is not there"),
])  # fmt: skip
def test_an_own_fetch_that_fails_is_told(ask, own, what):
    error = ask(f"await library.load({{ fetch: async (url) => ({own})(url) }});")["error"]
    assert error["kind"] == "FormatError"
    assert what in error["what"]
    assert error["got"] in ("no way", f"HTTP 403 from {error['got'].split(' from ')[-1]}")


def test_a_policy_of_the_page_that_allows_no_endpoint_is_a_failed_attempt(ask, endpoint):
    options = {"failover": {"chain": [{"endpoint": {"url": endpoint, "timeout_ms": 5000}}, {"default": BACKUP}]}}
    answer = ask(NO_WORKER, {"options": options, "wire": WIRE})["value"]
    assert (answer["receipt"]["target"], answer["receipt"]["attempts"]) == ("default", ["0:down", "1:failed"])


def test_a_cache_answers_what_it_was_asked_before_and_nothing_else(ask, package):
    options = {"failover": {"chain": [{"cache": {"ttl_s": 60}}]}}
    answer = ask(NO_WORKER, {"options": options, "wire": WIRE})["value"]
    same(answer["outputs"], package.predict(WIRE))
    assert (answer["receipt"]["target"], answer["receipt"]["stale"]) == ("cache", False)
    error = ask(NO_WORKER, {"options": options, "wire": WIRE, "again": {**WIRE, "age": [41, 13]}})["error"]
    assert (error["kind"], error["receipt"]["attempts"]) == ("EngineError", ["0:down", "1:miss"])


def test_a_browser_without_webassembly_is_told_so(ask):
    source = "delete globalThis.WebAssembly; await library.load(undefined, { worker: false });"
    error = ask(source)["error"]
    assert (error["kind"], error["what"]) == ("UnsupportedError", "This browser runs no WebAssembly")


@pytest.mark.parametrize("failover", [None, {"chain": [{"default": BACKUP}]}])
def test_a_browser_without_simd_is_told_so(ask, failover):
    source = """WebAssembly.validate = () => false;
      const model = await library.load({ worker: false, ...(sent.failover && { failover: sent.failover }) });
      return [model.info.fault, await model.predict(sent.wire)];"""
    said = ask(source, {"failover": failover, "wire": WIRE})
    error = said["error"] if failover is None else said["value"][0]
    assert (error["kind"], error["what"]) == ("UnsupportedError", "This browser's WebAssembly has no SIMD instructions")
    assert "Use a browser of 2023 or newer" in error["fix"]
    assert failover is None or said["value"][1]["receipt"]["attempts"] == ["0:down"]


PLAIN = """async ([wire, worker]) => {
  const { load } = await import("/model.js");
  const model = await load({ worker });
  return [isSecureContext, typeof crypto.subtle, (await model.predict(wire)).outputs];
}"""


@pytest.mark.parametrize("worker", [True, False])
def test_a_page_over_plain_http_has_no_subtle_crypto_and_answers_all_the_same(browser, bundle, package, serve, worker):
    origin = serve(bundle.path)
    elsewhere = browser.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, "--host-resolver-rules=MAP plain.test 127.0.0.1"])
    page = elsewhere.new_page()
    page.goto(f"{origin.replace('127.0.0.1', 'plain.test')}/artifact.json")
    secure, subtle, outputs = page.evaluate(PLAIN, [WIRE, worker])
    elsewhere.close()
    assert (secure, subtle) == (False, "undefined")
    same(outputs, package.predict(WIRE))


def running(model: nn.Module, features: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """A sum, and what is carried to the next call."""
    x, total = features
    return {"mean": (total + x).mean(1) + 0 * model(x).sum(1), "kept": total + x}


def write_running(out: Path) -> ps.Package:
    """A model with a memory."""
    x = RNG.uniform(1, 9, (64, 4)).astype(np.float32)
    return ps.pack(Small(), name="running", featurize=lambda x, total: (x, total), predict=running, examples={"x": x},
                   state={"kept": ("total", np.ones((1, 4), np.float32))}, out=out)  # fmt: skip


STEPS = """const model = await library.load(sent.options);
  const answers = []; let state = {};
  for (const x of sent.steps) {
    const { outputs } = await model.predict({ x, ...state });
    answers.push(outputs);
    state = { total: outputs.kept };
  }
  return answers;"""


@pytest.mark.parametrize("worker", [True, False])
def test_a_memory_starts_as_packed_and_is_what_the_caller_carries(ask, tmp_path, worker):
    package = write_running(tmp_path / "package")
    made = WasmWeb().compile(package, CompileOptions(), tmp_path / "dist")
    steps = [RNG.uniform(-2, 2, (3, 4)).astype(np.float32).tolist() for _ in range(4)]
    answers = ask(STEPS, {"options": {"worker": worker}, "steps": steps}, folder=made.path)["value"]
    state: dict[str, Any] = {}
    for x, answer in zip(steps, answers, strict=True):
        truth = package.predict({"x": x, **state})
        state = {"total": truth["kept"]}
        for name, value in truth.items():
            np.testing.assert_allclose(answer[name], value, atol=1e-5)
