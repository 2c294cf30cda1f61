"""The browser's engine: three files of onnxruntime-web at one version, pinned by `edge/browser/engine/ort.json`.

They are not in git. `make engine` fetches them and runs this file, which compares them with the pin before it puts them in place:

    python -m portside.runtimes.web.engine_files build/engine/package/dist
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...sdk.core.errors import FormatError, IntegrityError, UnsupportedError
from ...sdk.core.manifest import FileEntry
from ..artifact import entry_of

BROWSER = Path(__file__).resolve().parents[2] / "edge" / "browser"
"""Our JavaScript, beside this package in a checkout and in a wheel."""
PIN = BROWSER / "engine" / "ort.json"
PLACE = "engine/ort"
"""Where the files lie: below `edge/browser`, and in a bundle."""
FETCH = (
    "Run: make engine (in a clone: it installs the development environment, and fetches onnxruntime-web from the npm registry), "
    "or install Portside from a wheel, which has them."
)


@dataclass(frozen=True)
class EngineFiles:
    """A pinned engine.

    Attributes:
        package: its name in the npm registry.
        version: the one version that bundles are proven with.
        licence: SPDX name.
        files: name -> sha256 and size.
        folder: where the files are.
    """

    package: str
    version: str
    licence: str
    files: Mapping[str, FileEntry]
    folder: Path

    def missing(self) -> list[str]:
        """Names of the files that are not there."""
        return sorted(name for name in self.files if not (self.folder / name).is_file())

    def check(self) -> None:
        """Compare every file with the pin.

        Raises UnsupportedError where one is not there, IntegrityError where one is another file.
        """
        if missing := self.missing():
            raise UnsupportedError("The browser's engine is not here", got=f"no {', '.join(missing)} in {self.folder}",
                                   expected=f"{self.package} {self.version}", fix=FETCH)  # fmt: skip
        for name, pinned in self.files.items():
            if (found := entry_of(self.folder / name)) != pinned:
                raise IntegrityError(f"{name} is not the file of {self.package} {self.version}", got=found.sha256,
                                     expected=pinned.sha256, fix=FETCH)  # fmt: skip

    def copy(self, to: Path) -> None:
        """Check the files, then copy them into the folder `to`. Raises as `check`."""
        self.check()
        to.mkdir(parents=True, exist_ok=True)
        for name in self.files:
            shutil.copyfile(self.folder / name, to / name)

    def to_dict(self) -> dict[str, Any]:
        """What an artifact says of its engine."""
        return {"package": self.package, "version": self.version, "licence": self.licence, "files": sorted(self.files)}


def pinned(folder: Path | None = None, pin: Path = PIN) -> EngineFiles:
    """The engine of `pin`, in `folder` (default: where `make engine` puts it). Raises FormatError."""
    try:
        data = json.loads(pin.read_text(encoding="utf-8"))
        files = {str(name): FileEntry.from_dict(entry) for name, entry in data["files"].items()}
        return EngineFiles(data["package"], data["version"], data["licence"], files, folder or BROWSER / PLACE)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"The engine's pin cannot be read: {error!r}", got=str(pin), fix="Install Portside again.") from error


def main(source: str) -> None:
    """Put the pinned files of the folder `source` in place. Raises as `EngineFiles.check`."""
    pinned(Path(source)).copy(BROWSER / PLACE)


if __name__ == "__main__":
    main(*sys.argv[1:])
