"""Target `wasm`: a folder that is a web site, running on onnxruntime-web in any modern browser, without a server's help.

Compile writes it; what proves it is the same folder, open in a headless Chromium.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from ..sdk.core.errors import FormatError
from ..sdk.core.package import Package
from .artifact import Artifact, read_artifact
from .base import CompileOptions, LoadOptions, Missing, Session


class WasmWeb:
    """Entry point "wasm"."""

    name: ClassVar[str] = "wasm"
    extra: ClassVar[str] = "wasm"
    smooths: ClassVar[bool] = True

    def missing(self) -> str | None:
        """None when bundles can be made and proven here, otherwise what is not installed."""
        from .web.engine_files import FETCH, pinned  # nothing of the target is loaded before it is asked for
        from .web.find_chromium import missing as missing_chromium  # as above

        if (module := next((name for name in ("onnx", "playwright") if find_spec(name) is None), None)) is not None:
            return module
        if absent := pinned().missing():
            return Missing(f"engine of the browser ({', '.join(absent)})", FETCH)
        return missing_chromium()

    def compile(self, package: Package, options: CompileOptions, out: Path) -> Artifact:
        """Lower the package into the bundle `out`. It has no options of its own, and needs no browser: proving does.

        Raises:
            UnsupportedError: a host stage, operator, size, boundary or option that a page cannot hold, by name; or no engine files.
            IntegrityError: an engine file is not the pinned one.
        """
        from .web.bundle import compile_package  # onnx is loaded by compile alone

        return compile_package(package, self.name, options, out)

    def load(self, artifact: Path, options: LoadOptions) -> Session:
        """Open a bundle in a page. `spinning`, `trust`, `cache` and `door` do not apply.

        Raises:
            FormatError: an artifact of another target.
            IntegrityError: the page found a file changed.
            UnsupportedError: there is no Chromium.
            EngineError: browser, page or engine failed.
        """
        from .web.web_session import WebSession  # playwright is loaded when a session is opened, not when targets are listed

        opened = read_artifact(artifact)
        if opened.target != self.name:
            raise FormatError("The artifact was compiled for another target", got=opened.target, expected=self.name)
        return WebSession(opened, options)
