"""`import portside`, and the start of the command line, load nothing heavy. What is loaded is asserted, never how long it takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "torch", "onnx", "onnxruntime", "onnxscript", "sklearn", "skl2onnx", "scipy", "pandas", "bentoml", "PIL", "pydantic",
    "transformers", "tokenizers", "starlette", "uvicorn", "sqlalchemy", "tuf", "cryptography",
)  # fmt: skip


def loaded_after(code: str, folder: Path) -> set[str]:
    """Top-level names in sys.modules of a fresh interpreter after running `code`."""
    script = f"{code}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import portside",
        "import portside; dir(portside)",
        "from portside.sdk.cli.main import main; main(['--version'])",
        "from portside.sdk.cli.main import main; main([])",
        "from portside.sdk.cli.main import main; main(['completion', 'bash'])",
    ],
)
def test_nothing_heavy_is_loaded(code: str, tmp_path: Path) -> None:
    assert not loaded_after(code, tmp_path) & set(HEAVY)


def test_onnx_runtime_reports_nothing_to_anybody(tmp_path: Path) -> None:
    """Its builds send events over the network, and keep a session file, unless they are told not to before they are loaded."""
    environment = {**{name: held for name, held in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}, "TMPDIR": str(tmp_path)}
    code = "import os, portside.runtimes.onnx_engine; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, used in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        done = subprocess.run([sys.executable, "-c", code], env={**environment, **given}, cwd=tmp_path, capture_output=True, text=True,
                              timeout=120, check=True)  # fmt: skip
        assert done.stdout.split() == [used], "whoever sets it has the last word"
        assert given or list(tmp_path.iterdir()) == []
