"""Which Chromium runs the pages: $PORTSIDE_CHROMIUM, then PATH, then Playwright's own. Imports nothing heavy."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from ...sdk.core.errors import UnsupportedError
from ..base import Missing

VARIABLE = "PORTSIDE_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "chrome")
INSTALL = (
    f"Install Chromium (e.g. apt-get install chromium, or: python -m playwright install chromium), or set {VARIABLE} to its path."
)


def find() -> Path | None:
    """The browser's program; None where Playwright's own is to be used.

    Raises UnsupportedError where there is none, or the variable names no program.
    """
    if named := os.environ.get(VARIABLE):
        if not os.access(named, os.X_OK) or Path(named).is_dir():
            raise UnsupportedError(f"{VARIABLE} names no program", got=named, fix=INSTALL)
        return Path(named)
    if found := next((path for name in NAMES if (path := shutil.which(name))), None):
        return Path(found)
    if not _playwrights_own():
        raise UnsupportedError("There is no Chromium, in which browser bundles are run and proven", fix=INSTALL)
    return None


def missing() -> Missing | None:
    """None when there is a Chromium, otherwise that, with what to do about it."""
    try:
        find()
    except UnsupportedError as error:
        named = f" (${VARIABLE} is {error.got}, which is no program)" if error.got else ""
        return Missing(f"Chromium to prove bundles in{named}", INSTALL)
    return None


def _playwrights_own() -> bool:
    """Whether Playwright has downloaded a Chromium: its folder is looked at, because asking Playwright starts a process."""
    place = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    caches = {"darwin": Path("~/Library/Caches"), "win32": Path("~/AppData/Local")}.get(sys.platform, Path("~/.cache"))
    folder = Path(place) if place else caches.expanduser() / "ms-playwright"
    return any(folder.glob("chromium*-*"))
