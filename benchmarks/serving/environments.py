"""Peers in environments of their own, outside of the checkout: made once with venv and pip at the versions that stand here."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ENGINE = ("onnxruntime==1.31.1", "numpy==2.4.6")
"""The same in every environment, where a peer's own pins allow it."""
WEB = ("uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0", "orjson==3.13.0")
PINS: dict[str, tuple[str, ...]] = {
    "bare": (*WEB, *ENGINE),
    "fastapi": ("fastapi==0.165.0", "uvicorn[standard]==0.54.0", *WEB[1:], "pillow==13.0.0", *ENGINE),
    "litserve": ("litserve==0.2.19", "pillow==13.0.0", *ENGINE),
    "bentoml": ("bentoml==1.4.39", *ENGINE),
    "mlserver": ("mlserver==1.7.1", "onnxruntime==1.31.1"),
    "frouros": ("frouros==0.9.0", "numpy<2"),
    "ville": ("ville==0.1.0", "numpy==2.4.6", "scipy==1.17.1"),
}


def python_of(name: str, folder: Path) -> Path:
    """The interpreter of a peer's environment, made when it is not there yet or its pins have changed. Takes a minute each.

    Raises:
        subprocess.CalledProcessError: pip cannot install it; what it says is on stderr.
    """
    place = folder / name
    wanted, marker = "\n".join(PINS[name]), place / "pins.txt"
    if not marker.is_file() or marker.read_text() != wanted:
        print(f"making the environment of {name} in {place}", file=sys.stderr, flush=True)
        venv.create(place, with_pip=True, clear=True)
        words = [place / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINS[name]]
        subprocess.run(words, check=True, stdout=sys.stderr)
        marker.write_text(wanted)
    return place / "bin" / "python"
