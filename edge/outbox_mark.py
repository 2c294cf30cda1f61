"""How far sequence numbers of a device are given away: a file beside the database, so that they outlive it."""

from __future__ import annotations

from pathlib import Path

from ..sdk.core.replacing import replace_file


def read_mark(path: Path) -> int:
    """Numbers below may have been given away; 1 where none were."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 1


def write_mark(path: Path, mark: int) -> None:
    """Replace the mark, durably."""
    replace_file(path, f"{mark}\n".encode())
