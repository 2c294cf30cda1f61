"""The wheel on an install without torch: open, verify, compile, load and serve packages that were packed elsewhere.

Usage: without_torch.py GOLDEN PACKED. Run isolated (-I), from a folder that holds nothing of the repository.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

import portside as ps


def packages(folders: list[Path]) -> list[Path]:
    """Every package folder below these, in order."""
    found = sorted(manifest.parent for folder in folders for manifest in folder.rglob("manifest.json"))
    assert found, f"no package below {folders}"
    return found


def check(path: Path, out: Path) -> dict[str, Any]:
    """One package through open, the reference answer, compile, verify and load; one row for the table."""
    package = ps.open(path)
    only = {target for stage in package.content.stages for target in stage.only}
    if only and "onnx-cpu" not in only:
        return {"package": package.name, "digest": package.digest[:19], "verdict": f"opened; for {', '.join(sorted(only))} alone"}
    artifact = ps.compile(package, target="onnx-cpu", out=out)
    report = ps.verify(artifact)
    assert report, report
    session = ps.load(artifact)
    case = package_contract(path).cases[0]
    answer = session.run(case.inputs)
    assert set(answer) == set(case.outputs)
    return {"package": package.name, "digest": package.digest[:19], "verdict": report.verdict, "inputs": case.inputs}


def bundle(path: Path, out: Path) -> None:
    """The wheel carries the browser library and its engine: a bundle is whole without anything from the repository."""
    from portside.runtimes.base import CompileOptions
    from portside.runtimes.wasm_web import WasmWeb

    made = WasmWeb().compile(ps.open(path), CompileOptions(), out)
    assert {"index.html", "model.js", "model.d.ts", "engine/ort/ort-wasm-simd-threaded.wasm"} <= set(made.files)
    print(f"{made.name:<24} bundle of {made.size_bytes / 1e6:.1f} MB")


def package_contract(path: Path) -> Any:
    """The golden cases of a package folder."""
    from portside.sdk.core.contract import Contract

    return Contract.from_bytes((path / "contract/contract.json").read_bytes(), (path / "contract/cases.safetensors").read_bytes())


def serve(path: Path, inputs: dict[str, Any]) -> None:
    """Serve the package by the command line and ask it once over HTTP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    Path("deployment.toml").write_text(f'name = "light"\n[champion]\npackage = "{path}"\ntarget = "onnx-cpu"\n')
    server = subprocess.Popen([sys.executable, "-I", "-m", "portside", "serve", "deployment.toml", "--port", str(port)])
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/readyz", server)
        body = json.dumps({"inputs": {name: np.asarray(value)[:2].tolist() for name, value in inputs.items()}}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/predict", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            print("served:", answer.read().decode())
    finally:
        server.terminate()
        server.wait(timeout=60)


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """Poll until the service answers 200, or fail after 120 s or when the server ends."""
    for _ in range(240):
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} never answered")


def main() -> None:
    """Check that torch is away, then every package, then serving."""
    for absent in ("torch", "sklearn"):
        assert importlib.util.find_spec(absent) is None, f"{absent} is installed: this checks nothing"
    golden, packed = Path(sys.argv[1]), Path(sys.argv[2])
    for index, path in enumerate(packages([golden, packed])):
        row = check(path, Path(f"artifact-{index}"))
        print(f"{row['package']:<24} {row['digest']} {row['verdict']}")
    network = packed / "network"
    bundle(network, Path("bundle"))
    serve(network, package_contract(network).cases[0].inputs)


main()
