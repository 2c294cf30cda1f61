"""The plant as its people use it: the commands of `portside`, the running server, the deployment file on the disk."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DONE, NO, NOT_ENOUGH = 0, 1, 4
"""Exit codes that are answers; others are faults."""


@dataclass(frozen=True)
class Said:
    """What a command said: its exit code, its JSON, what it wrote beside."""

    code: int
    data: Any
    beside: str

    def __bool__(self) -> bool:
        return self.code == DONE


class Plant:
    """One deployment in a folder of its own, with a store of its own.

    Args:
        folder: holds deployment.toml.
        port: of the server, once it runs.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder, self.port = folder, port
        self.deployment, self.home = folder / "deployment.toml", folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        """Of every process of the story: its store lies in its folder, one thread per engine."""
        own = {"PORTSIDE_HOME": str(self.home), "BENTOML_DO_NOT_TRACK": "True", "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
        return {**os.environ, **own}

    def run(self, *words: str | Path, fails: bool = False, timeout_s: float = 900) -> Said:
        """`portside WORDS --json`. Raises RuntimeError for a fault, unless it `fails` without harm."""
        command = [sys.executable, "-m", "portside", *map(str, words), "--json"]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout_s)
        try:
            data = json.loads(done.stdout)
        except ValueError:
            data = {"text": done.stdout}
        if done.returncode not in (DONE, NO, NOT_ENOUGH) and not fails:
            raise RuntimeError(f"portside {' '.join(map(str, words))}\n{done.stderr[-2000:]}{done.stdout[-2000:]}")
        return Said(done.returncode, data, done.stderr)

    def set(self, name: str, value: str) -> None:
        """Change a line `NAME = ...` of the deployment file."""
        text, count = re.subn(rf'(?m)^{name} = "[^"]*"', f'{name} = "{value}"', self.deployment.read_text())
        if count != 1:
            raise RuntimeError(f"{self.deployment} has {count} lines for {name}")
        self.deployment.write_text(text)

    def reload(self) -> Said:
        """The running server takes up what the file says."""
        return self.run("reload", self.deployment, "--wait", "120")

    def ask(self, image: bytes, entity: str) -> tuple[int, dict[str, Any]]:
        """One cell: HTTP status and body."""
        return self.call("/predict", {"inputs": {"image": [base64.b64encode(image).decode()]}, "entity": entity})

    def call(self, path: str, body: Any = None, timeout_s: float = 30) -> tuple[int, Any]:
        """GET, or POST of JSON; (status, JSON)."""
        status, content = self.fetch(path, None if body is None else json.dumps(body).encode(), timeout_s)
        try:
            return status, json.loads(content)
        except ValueError:
            return status, {}

    def fetch(self, path: str, body: bytes | None = None, timeout_s: float = 30) -> tuple[int, bytes]:
        """The same, bytes; (0, b"") where nobody answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def alerts(self) -> list[dict[str, Any]]:
        """What the monitor says fires, or did."""
        _, said = self.call(f"/dashboard/data/alerts?deployment={NAME}")
        return said.get("alerts", []) if isinstance(said, dict) else []


NAME = "cell-inspector"


def png(image: NDArray[np.uint8]) -> bytes:
    """A grey image as PNG, packed fast."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()

