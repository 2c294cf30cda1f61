"""One headless Chromium per process, started when the first bundle is loaded and shared by all: a page of its own for each session.

Playwright is bound to the loop that started it, so it lives in a thread of ours; sessions may be used from any thread, and beside
another asyncio loop. The browser ends with the process: at exit in order, otherwise because Playwright's driver sees its pipe close.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from playwright.async_api import Browser, BrowserContext, Error, Page, Playwright, async_playwright

from ...sdk.core.errors import EngineError
from .find_chromium import find
from .host import Host

T = TypeVar("T")
START_S = 60
FLAGS = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--mute-audio",
    "--enable-blink-features=ForceEagerMeasureMemory",
)  # fmt: skip
"""No network of its own, no throttling of pages that nobody sees, and figures of memory at once instead of after a minute."""


class Chromium:
    """A browser and the server of its pages.

    Raises UnsupportedError where there is no Chromium, EngineError where it does not start.
    """

    def __init__(self) -> None:
        self.host = Host()
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="portside-chromium", daemon=True)
        self._thread.start()
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        try:
            self.version = self.wait(self._start(find()))
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether pages can be opened: the browser runs, and in this very process."""
        return self._browser is not None and self._browser.is_connected() and self._pid == os.getpid()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start `work` on the browser's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`. Raises EngineError for what the browser does wrong."""
        try:
            return self.submit(work).result()
        except Error as error:
            raise EngineError(f"The browser failed: {error.message.splitlines()[0]}", reason="crashed") from error

    async def open(self, url: str) -> Page:
        """A page at `url`, in a context that shares nothing with others."""
        if self._browser is None:
            raise EngineError("The browser is closed", reason="closed")
        context = await self._browser.new_context()
        try:
            page = await context.new_page()
            await page.goto(url, wait_until="load", timeout=START_S * 1000)
            await page.wait_for_function("globalThis.portside !== undefined", timeout=START_S * 1000)
        except BaseException:
            await leave(context)
            raise
        return page

    def close(self) -> None:
        """End the browser, the loop and the server. In another process than the one that started it, nothing is ours to end."""
        if self._pid != os.getpid():
            return
        with contextlib.suppress(Error, TimeoutError):
            self.submit(self._stop()).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        if not self._loop.is_running():
            self._loop.close()
        self.host.close()

    async def _start(self, executable: Path | None) -> str:
        self._playwright = await async_playwright().start()
        try:
            self._browser = await self._playwright.chromium.launch(
                executable_path=executable, args=list(FLAGS), timeout=START_S * 1000, handle_sigint=False,
            )  # fmt: skip
        except Error as error:
            raise EngineError(f"Chromium does not start: {error.message.splitlines()[0][:300]}", got=executable or "Playwright's own",
                              reason="crashed") from error  # fmt: skip
        return self._browser.version

    async def _stop(self) -> None:
        if self._browser is not None:
            with contextlib.suppress(Error):
                await self._browser.close()
        if self._playwright is not None:
            await self._playwright.stop()


async def leave(context: BrowserContext) -> None:
    """Close a context, which may be gone already."""
    with contextlib.suppress(Error):
        await context.close()


_lock = threading.Lock()
_shared: Chromium | None = None


def shared() -> Chromium:
    """The browser of this process; another one after a crash or a fork. Raises as `Chromium`."""
    global _shared
    with _lock:
        if _shared is not None and not _shared.alive:
            _shared.close()
            _shared = None
        if _shared is None:
            _shared = Chromium()
        return _shared


def close_shared() -> None:
    """End this process's browser, if there is one; the next load starts another."""
    global _shared
    with _lock:
        browser, _shared = _shared, None
    if browser is not None:
        browser.close()


atexit.register(close_shared)
