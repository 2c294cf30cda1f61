"""A bundle's `predict` against bare onnxruntime-web in the same page: codec, door, featurize and answer included on both sides.

Target: <= 1.1x. The bare side is what a page without Portside would write for one model: decode, tensor, run, read. Two pairs are
timed in turns: in the page's own thread, and in workers (ours against onnxruntime-web's proxy), where the page stays responsive.

python benchmarks/bench_web.py [cnn] [inspector] [minilm] [table] [--repeats 7] [--seconds 0.5] [--json FILE]
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

import portside as ps
from portside.runtimes.artifact import Artifact
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.timing import Samples, ratio, table
from portside.runtimes.web.chromium import FLAGS
from portside.runtimes.web.find_chromium import find
from portside.runtimes.web.host import Host
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.package import Package, open_folder, write

RATIO = 1.1
WORK = tempfile.TemporaryDirectory()
HERE = Path(__file__).resolve().parent
ZOO = HERE.parent / "examples" / "zoo"


def cnn() -> tuple[Package, dict[str, Any]]:
    """Fashion-MNIST: 28 x 28 bytes as they are."""
    package = ps.open(ZOO / "packages" / "cnn")
    picture = contract_row(package, "picture")
    return package, {"kind": "pixels", "input": base64.b64encode(picture.tobytes()).decode(), "shape": [1, 28, 28]}


def photo() -> tuple[Package, dict[str, Any]]:
    """Visual inspection: a PNG file of 300 x 300, decoded by the codec, resized in the graph."""
    package = with_codec(ps.open(ZOO / "packages" / "efficientnet"), Codec.of({"image": ps.codec.Image(size=(300, 300), mode="L")}))
    image = contract_row(package, "image")
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return package, {"kind": "photo", "input": base64.b64encode(file.getvalue()).decode()}


def minilm() -> tuple[Package, dict[str, Any]]:
    """MiniLM: a sentence, tokenized by the codec."""
    return ps.open(ZOO / "packages" / "minilm"), {"kind": "text", "input": "A crack runs across the lower busbar of the third cell."}


def loans() -> tuple[Package, dict[str, Any]]:
    """The table model: numbers and two categories by name."""
    package = ps.open(ZOO / "packages" / "table")
    names = {spec.name: list(spec.categories) for spec in package.signature.inputs if spec.categories}
    row = {"numbers": [[12000.0, 36.0, 0.0, 1.0]], **{name: [values[1]] for name, values in names.items()}}
    return package, {"kind": "table", "input": row, "categories": names}


def with_codec(package: Package, codec: Codec) -> Package:
    """The package with a codec in front of its typed inputs, in a temporary folder that lasts as long as the process."""
    out = Path(WORK.name) / package.name
    if out.exists():
        return open_folder(out)
    files = {name: package.read(name) for name in package.content.files}
    return write(replace(package.content, codec=codec.steps), files, out, package.manifest.annotations)


CASES: dict[str, Callable[[], tuple[Package, dict[str, Any]]]] = {"cnn": cnn, "inspector": photo, "minilm": minilm, "table": loans}


def contract_row(package: Package, name: str) -> Any:
    """One golden input."""
    from portside.runtimes.subjects import contract_of

    return np.asarray(contract_of(package).cases[0].inputs[name])[0]


def measure(repeats: int = 7, seconds: float = 0.5, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """One row per model, of these names or of all: medians in ms, and the two ratios with their spread over repeats.

    Packages that are not built are left out.
    """
    host = Host()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(find()), args=[*FLAGS, "--no-sandbox"])
        try:
            return [row for name in names or CASES if (row := _case(name, CASES[name], host, browser, repeats, seconds))]
        finally:
            browser.close()
            host.close()


def _case(name: str, case: Callable[[], Any], host: Host, browser: Any, repeats: int, seconds: float) -> dict[str, Any] | None:
    try:
        package, question = case()
    except ps.errors.PortsideError as error:
        print(f"{name} is left out: {error}", file=sys.stderr)
        return None
    with tempfile.TemporaryDirectory() as work:
        artifact = compile_package(package, "wasm", Path(work) / "bundle", prove=False)
        mount = host.mount(artifact.path, _with_bare(artifact), isolated=True)
        page = browser.new_page()
        page.set_default_timeout(600_000)
        page.goto(host.url(mount, "bundle/bench.html"))
        page.wait_for_function("globalThis.measure !== undefined")
        found = page.evaluate("(asked) => measure(asked)", {**question, "repeats": repeats, "seconds": seconds})
        page.close()
        host.unmount(mount)
    _same(name, found["answers"])
    return _row(name, {side: Samples(tuple(tuple(ms / 1000 for ms in turn) for turn in turns)) for side, turns in found["taken"].items()})


def _with_bare(artifact: Artifact) -> list[str]:
    """Put the bare page and two engines of its own beside the bundle; the names that are served."""
    for file in (HERE / "web").iterdir():
        shutil.copyfile(file, artifact.path / file.name)
    for folder in ("bare", "proxy"):
        shutil.copytree(artifact.path / "engine" / "ort", artifact.path / folder)
    return [path.relative_to(artifact.path).as_posix() for path in artifact.path.rglob("*") if path.is_file()]


def _same(name: str, answers: dict[str, Any]) -> None:
    """Both sides answered the same, or the comparison means nothing."""
    for output, value in answers["bare"].items():
        ours = np.asarray(answers["page"][output])
        if ours.dtype.kind in "fi" and not np.allclose(ours.ravel(), value, rtol=1e-4, atol=1e-4):
            raise AssertionError(f"{name}: {output} differs between the two sides: {ours!r} against {value!r}")


def _row(name: str, samples: dict[str, Samples]) -> dict[str, Any]:
    medians = {f"{side}_ms": held.percentile_ms(50) for side, held in samples.items()}
    pairs = {"page": ratio(samples["page"], samples["bare"]), "worker": ratio(samples["worker"], samples["proxy"])}
    ratios = {f"{side}_ratio": list(found) for side, found in pairs.items()}
    lowest = samples["page"].percentile_ms(5) / samples["bare"].percentile_ms(5)  # of what other programs disturbed least
    return {"model": name, **medians, **ratios, "page_ratio_lowest": lowest, "held": all(found[0] <= RATIO for found in pairs.values())}


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read."""
    head = ["model", "bare ms", "page ms", "ratio (spread)", "lowest", "bare, proxy ms", "worker ms", "ratio (spread)", f"<= {RATIO}x"]
    return table([head, *map(_line, rows)])


def _line(row: dict[str, Any]) -> list[str]:
    page, worker = (f"{middle:.2f} ({low:.2f}-{high:.2f})" for middle, low, high in (row["page_ratio"], row["worker_ratio"]))
    figures = [f"{row[f'{side}_ms']:.3f}" for side in ("bare", "page", "proxy", "worker")]
    here = [*figures[:2], page, f"{row['page_ratio_lowest']:.2f}"]
    return [row["model"], *here, *figures[2:], worker, "yes" if row["held"] else "no"]


def main() -> None:
    """Measure what was asked for, or everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--repeats", type=int, default=7, help="turns of each side")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a turn")
    parser.add_argument("--json", type=Path, help="where the figures go")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.names) - set(CASES)):
        parser.error(f"there is no model {unknown[0]!r}; there are {', '.join(CASES)}")
    found = measure(chosen.repeats, chosen.seconds, chosen.names)
    print(show(found))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
