"""The child that builds engines as a check: `python -P -m portside.runtimes.tensorrt.check_process FOLDER`.

A builder is native code: it may crash, and takes memory that is given back when the process ends. The folder holds `request.json`; the
child writes `answer.json`. Nothing is run: that takes a GPU.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from .building import Refused, Settings, build
from .rim import Rim

MODULE = "tensorrt_rtx_bindings"
"""TensorRT-RTX: the parser and builder of TensorRT, importable without a GPU."""


def main(arguments: list[str]) -> int:
    """Build every engine of the request, and write what became of each."""
    folder = Path(arguments[0])
    request: dict[str, Any] = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    trt = import_module(MODULE)
    settings = Settings.from_dict(request["settings"])
    found = [_built(trt, model, Rim.from_dict(rim), settings) for model, rim in request["engines"].items()]
    answer = {"version": str(trt.__version__), "engines": found}
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
    return 0


def _built(trt: Any, model: str, rim: Rim, settings: Settings) -> dict[str, Any]:
    try:
        made = build(trt, model, rim.profile, settings)
    except Refused as refused:
        faults = [vars(fault) for fault in refused.faults]
        return {"stage": refused.stage, "faults": faults}
    return {"bytes": len(made.plan), "layers": made.layers}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
