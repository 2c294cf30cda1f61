"""Where Portside keeps what it makes for itself: `$PORTSIDE_HOME`, else `~/.portside`."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The folder; it need not exist yet."""
    return Path(os.environ.get("PORTSIDE_HOME") or "~/.portside").expanduser()
