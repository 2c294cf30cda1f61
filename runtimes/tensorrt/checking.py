"""The build check: a program made ready for TensorRT is parsed and built by TensorRT-RTX, which needs no GPU to do that.

It is a proxy, not proof: the parser is TensorRT's but for a few plugins, the kernels are other ones, and nothing is run. So it can say
no, by operator and node; where it says yes, an artifact is still unverified on a GPU.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnx
from onnx import GraphProto

from ...sdk.core.errors import EngineError, UnsupportedError
from .building import Fault, Settings
from .check_process import MODULE
from .rim import Rim

CAPABILITIES = ("SM89",)
"""What the check builds for: the first capability that computes float8 too. SM75 has no product of float32 there."""
TIMEOUT_S = 600.0
NOT_CHECKED = "not built either: TensorRT-RTX is not installed (pip install 'portside[tensorrt-check]')"


@dataclass(frozen=True)
class Checked:
    """What a build check found.

    Attributes:
        version: of TensorRT-RTX.
        layers, size_bytes: of the engines that were built, together.
        engines: how many.
    """

    version: str
    engines: int
    layers: int
    size_bytes: int

    def __str__(self) -> str:
        what = f"{self.engines} engine{'s' if self.engines != 1 else ''} of {self.layers} layers"
        return f"the build check passed: TensorRT-RTX {self.version} built {what} ({self.size_bytes / 1e6:.1f} MB), and nothing was run"


def can_check() -> bool:
    """TensorRT-RTX is installed here."""
    return find_spec(MODULE) is not None


def check_build(root: Path, engines: Mapping[str, Rim], settings: Settings | None = None) -> Checked | None:
    """Build the engines of an artifact in a process of its own; None where TensorRT-RTX is not installed.

    Args:
        root: the artifact's folder.
        engines: ONNX file below it -> how it is called.
        settings: of the builder.

    Raises:
        UnsupportedError: an operator that is refused, by name.
        EngineError: the builder died or ran out of time.
    """
    if not can_check():
        return None
    wanted = settings or Settings()
    request = {"settings": Settings(wanted.level, wanted.tf32, wanted.workspace_mb, CAPABILITIES).to_dict(),
               "engines": {str(root / file): rim.to_dict() for file, rim in engines.items()}}  # fmt: skip
    answer = _ask(request)
    for file, found in zip(engines, answer["engines"], strict=True):
        if "faults" in found:
            faults = tuple(Fault(**fault) for fault in found["faults"])
            raise refusal(f"TensorRT-RTX {answer['version']}", found["stage"], faults, root / file)
    held = answer["engines"]
    return Checked(answer["version"], len(held), sum(one["layers"] for one in held), sum(one["bytes"] for one in held))


def refusal(engine: str, stage: str, faults: tuple[Fault, ...], file: Path) -> UnsupportedError:
    """The error for a parser or builder that said no.

    Args:
        engine: name and version of what refused.
        stage: "parse" or "build".
        faults: what it said; the first that names an operator or a node is shown.
        file: the ONNX file. Where nothing is named, its operators with subgraphs are: they are what a builder stumbles over unnamed.
    """
    first = next((fault for fault in faults if fault.operator or fault.node), faults[0])
    kinds = {node.name: node.op_type for node in _graph(file).node}
    operator = first.operator or kinds.get(first.node, "")
    suspects = sorted({kind for kind in kinds.values() if kind in ("If", "Loop", "Scan")})
    where = f"the operator {operator}{f' ({first.node!r})' if first.node else ''}" if operator else f"the program of {file.name}"
    where = f"the operator {' or '.join(suspects)}, as far as can be told" if not operator and suspects else where
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    who = {"parse": "its parser", "build": "its builder", "profile": "its builder", "start": "it cannot start: it"}[stage]
    return UnsupportedError(f"{engine} does not hold {where}: {who} refuses", got=first.what + more,
                            fix="Compile for onnx-cpu, or pack a model without it.")  # fmt: skip


def _graph(file: Path) -> GraphProto:
    return onnx.load(str(file), load_external_data=False).graph


def _ask(request: Mapping[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="portside-tensorrt-") as name:
        folder = Path(name)
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        paths = os.pathsep.join(dict.fromkeys(filter(None, [*_path_of(MODULE), os.environ.get("PYTHONPATH", "")])))
        command = [sys.executable, "-P", "-m", "portside.runtimes.tensorrt.check_process", str(folder)]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
                                   stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": paths})  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise EngineError("The build check took too long", got=f"more than {TIMEOUT_S:.0f} s") from error
        if ended.returncode or not (folder / "answer.json").is_file():
            last = (ended.stderr.strip().splitlines() or ["no words"])[-1]
            raise EngineError("The build check died", got=f"exit code {ended.returncode}: {last[:300]}")
        return json.loads((folder / "answer.json").read_text(encoding="utf-8"))


def _path_of(module: str) -> list[str]:
    """The folder that a module is found in, so that the child finds it too, wherever this process took it from."""
    spec = find_spec(module)
    return [str(Path(spec.origin).parent.parent)] if spec is not None and spec.origin else []
