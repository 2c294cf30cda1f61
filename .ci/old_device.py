"""An old device: tflite-runtime and numpy 1, and nothing that compiles. Opens artifact folders, holds them against their contracts.

    python -I old_device.py ARTIFACT ...

Run it with the Python of an environment that has Portside and an interpreter alone (`numpy<2 tflite-runtime pydantic safetensors`,
or the extra `[tflite]`). It fails where anything heavier is installed, because then it would prove nothing.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

HEAVY = ("torch", "onnx", "onnxruntime", "litert_torch", "jax", "sklearn", "bentoml")


def refuses_to_compile(folder: Path) -> None:
    """A device cannot compile, and says what would."""
    import portside as ps
    from portside.runtimes.base import CompileOptions
    from portside.runtimes.tflite_edge import TfliteEdge

    try:
        TfliteEdge().compile(None, CompileOptions(), folder / "never")  # type: ignore[arg-type]
    except ps.errors.MissingExtraError as error:
        assert "portside[tflite-compile]" in str(error), error
    else:
        raise AssertionError("something was compiled without a compiler")


def main(folders: list[str]) -> int:
    assert folders, "name at least one artifact folder"
    present = [name for name in HEAVY if find_spec(name)]
    assert not present, f"this environment has {present}: a device does not"

    import portside as ps
    from portside.runtimes.artifact import open_artifact
    from portside.runtimes.fidelity import check

    failed = 0
    for folder in folders:
        artifact = open_artifact(Path(folder))
        contract = artifact.contract()
        session = ps.load(folder)
        report = check(session, contract.cases, contract.rules)
        worst = max((one.judgement.max_abs for one in report.checks), default=0.0)
        session.close()
        print(f"{artifact.name}: {report.verdict}, {contract.rows} rows, largest difference {worst:.3g}, {artifact.size_bytes} bytes")
        failed += report.verdict != "passed"
    refuses_to_compile(Path(folders[0]))
    loaded = [name for name in HEAVY if name in sys.modules]
    assert not loaded, f"opening an artifact imported {loaded}"
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
