"""How far sequence numbers of a device are given away: a file beside the database, so that they outlive it."""

from __future__ import annotations

import os
from pathlib import Path


def read_mark(path: Path) -> int:
    """Numbers below may have been given away; 1 where none were."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 1


def write_mark(path: Path, mark: int) -> None:
    """Replace the mark, durably."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("w") as file:
        file.write(f"{mark}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
