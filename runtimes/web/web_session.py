"""A bundle open in a page, as a Session: Python hands the page what a user has, and the page's own library answers.

A call's bytes travel through the host (`host.py`): JSON through the browser's debugging protocol is slow and has no NaN.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from statistics import median
from typing import Any, Literal, TypeAlias

import numpy as np
from playwright.async_api import Error, Page

from ...sdk.core.codec.codec import Codec
from ...sdk.core.errors import EngineError, FormatError, InputError, IntegrityError, PortsideError, UnsupportedError
from ...sdk.core.refusal import refusal
from ...sdk.core.signature import NUMPY, Array, TensorSpec
from ..artifact import DESCRIPTION, Artifact
from ..base import Cancel, LoadOptions, SessionInfo
from ..predicting import by_field
from ..timing import Footprint, Samples
from .chromium import Chromium, leave, shared
from .frame import pack, unpack
from .host import Mount
from .outgoing import tensors, wire

Method: TypeAlias = Literal["load", "run", "predict", "measure", "start", "memory", "close"]
_KINDS = {kind.__name__: kind for kind in (InputError, FormatError, IntegrityError, EngineError, UnsupportedError)}


class WebPage:
    """A page that drives one bundle; closed when nobody holds it any more.

    Raises what the browser raises, as EngineError.
    """

    def __init__(self, artifact: Artifact, isolated: bool) -> None:
        self._browser = shared()
        self._mount = self._browser.host.mount(artifact.path, (*artifact.files, DESCRIPTION), isolated)
        try:
            self._page = self._browser.wait(self._browser.open(self._browser.host.url(self._mount, "page/session.html")))
        except BaseException:
            self._browser.host.unmount(self._mount)
            raise
        self._lost = lost = asyncio.Event()
        self._page.on("crash", lambda _: lost.set())  # not self: the page must not hold what closes it
        self._numbers = itertools.count()
        self.close = weakref.finalize(self, _close, self._browser, self._page, self._mount)
        self.close.atexit = False  # the browser itself ends then

    def load(self, options: Mapping[str, Any]) -> None:
        """Open the bundle. Raises as `call`, and FormatError that names a script which the bundle lacks."""
        try:
            self.call("load", options)
        except EngineError as error:
            if lacking := sorted(self._mount.absent):
                raise FormatError("The bundle lacks a file that it loads", got=", ".join(lacking),
                                  fix="Compile the package again.") from error  # fmt: skip
            raise

    def call(self, method: Method, sent: Any, cancel: Cancel | None = None) -> Any:
        """What the page's library answers. Raises its errors as ours, EngineError where page or browser are lost."""
        if cancel is not None and cancel.cancelled:
            raise _cancelled()
        if not self.close.alive:
            raise EngineError("The session is closed", reason="closed", fix="Load the artifact again.")
        name = f"calls/{next(self._numbers)}"
        self._mount.offer(name, pack(sent))
        try:
            self._made(name, method, cancel)
            return _answered(unpack(self._mount.take(name)))
        finally:
            self._mount.drop(name)

    def _made(self, name: str, method: Method, cancel: Cancel | None) -> None:
        """Wait until the page has posted its answer, the page is lost, or the call is cancelled."""
        outcome: Future[None] = Future()

        def settle(made: Future[None]) -> None:
            with suppress(InvalidStateError):  # cancelled meanwhile
                error = made.exception()
                outcome.set_exception(error) if error else outcome.set_result(None)

        def stop() -> None:
            with suppress(InvalidStateError):  # answered meanwhile
                outcome.set_exception(_cancelled())
                self._browser.submit(_abort(self._page, name))

        if cancel is not None:
            cancel.on_cancel(stop)
        try:
            self._browser.submit(_make(self._page, self._lost, name, method)).add_done_callback(settle)
            outcome.result()
        except Error as error:
            raise self._failed(error) from error
        finally:
            if cancel is not None:
                cancel.forget(stop)

    def _failed(self, error: Error) -> EngineError:
        if not self.close.alive:
            return EngineError("The session was closed during the call", reason="closed")
        if self._lost.is_set() or self._page.is_closed() or not self._browser.alive:
            return EngineError("The page that ran the bundle was killed or ran out of memory", reason="crashed",
                               fix="Load the artifact again.")  # fmt: skip
        return EngineError(f"The page failed: {error.message.splitlines()[0][:300]}")


class WebSession:
    """A loaded bundle.

    Args:
        artifact: read, and audited by the caller; the page checks every file again.
        options: threads. The page's door is always closed: `door=False` only says that it will find nothing.

    Raises what the page's `load` raises, and UnsupportedError where there is no Chromium.
    """

    def __init__(self, artifact: Artifact, options: LoadOptions) -> None:
        self._artifact = artifact
        self._options = {"threads": options.threads, "worker": True, "digest": artifact.digest}
        self._page = WebPage(artifact, isolated=options.threads > 1)
        self.info = SessionInfo(
            signature=artifact.signature, target=artifact.target, package_digest=artifact.package_digest,
            batch_invariant=artifact.batch_invariant, thread_safe=True, cancellable=True,
        )  # fmt: skip
        try:
            self._page.load(self._options)
        except BaseException:
            self._page.close()
            raise

    def run(self, inputs: Mapping[str, Any], cancel: Cancel | None = None) -> dict[str, Array]:
        """Typed tensors in, by name; outputs in the signature's dtypes and order.

        Raises:
            InputError: what cannot be sent, and what the page's door refuses.
            EngineError: the engine failed, the call was cancelled, the page is lost, or the session is closed.
        """
        return self._outputs(self._page.call("run", tensors(inputs, self.info.signature), cancel))

    def __repr__(self) -> str:
        """One line: target, package, inputs and outputs."""
        return str(self.info)

    def predict(self, inputs: Any = None, cancel: Cancel | None = None) -> dict[str, Array]:
        """What a user has, by wire field: the page's codec, door and engine, categories as names. Raises as `run` does."""
        held = self._page.call("predict", wire(by_field(inputs, self.info.signature, self._codec)), cancel)
        return {spec.name: _answer(spec, held[spec.name]) for spec in self.info.signature.outputs}

    def measure(self, inputs: Mapping[str, Any], repeats: int = 5, seconds: float = 0.5) -> Samples:
        """Durations of `run` taken inside a page, where its users would take them. Raises as `run` does.

        The page is isolated, because only there the browser's clock ticks in 5 us; elsewhere it is 100 us.
        """
        sent = {"inputs": tensors(inputs, self.info.signature), "repeats": repeats, "seconds": seconds}
        with self._isolated() as page:
            page.load(self._options)
            return Samples(tuple(map(tuple, page.call("measure", sent))))

    def footprint(self, inputs: Mapping[str, Any], starts: int = 3) -> Footprint:
        """What the bundle costs new pages of a browser that runs: from the start of navigation to the first answer, and what the page and
        its workers hold then, by the browser's own account. Raises as `run` does."""
        sent = {"inputs": tensors(inputs, self.info.signature), "options": self._options}
        found = [self._started(sent) for _ in range(starts)]
        took = [start for start, _ in found]
        held = [memory for _, memory in found if memory is not None]
        return Footprint(median(took), (min(took), max(took)), median(held) / 1e6 if held else None)

    def close(self) -> None:
        """Close the page; later calls raise EngineError."""
        self._page.close()

    def _started(self, sent: Mapping[str, Any]) -> tuple[float, float | None]:
        with self._isolated() as page:
            return page.call("start", sent), page.call("memory", None)

    @contextmanager
    def _isolated(self) -> Generator[WebPage]:
        """A page of its own, for figures."""
        page = WebPage(self._artifact, isolated=True)
        try:
            yield page
        finally:
            page.close()

    def _codec(self) -> Codec:
        return Codec.from_steps(self._artifact.codec, self._artifact.read)

    def _outputs(self, held: Mapping[str, Any]) -> dict[str, Array]:
        """In the signature's order and dtypes."""
        specs = self.info.signature.outputs
        if absent := [spec.name for spec in specs if spec.name not in held]:
            raise EngineError("The page left out an output", got=", ".join(held), expected=absent[0])
        return {spec.name: held[spec.name].astype(NUMPY[spec.dtype], copy=False) for spec in specs}


async def _make(page: Page, lost: asyncio.Event, name: str, method: Method) -> None:
    """The call, which a page that crashes does not always end."""
    made = asyncio.ensure_future(page.evaluate("([name, method]) => portside.make(name, method)", [name, method]))
    crashed = asyncio.ensure_future(lost.wait())
    await asyncio.wait((made, crashed), return_when=asyncio.FIRST_COMPLETED)
    crashed.cancel()
    if not made.done():
        made.cancel()
        raise Error("the page crashed")
    await made


async def _abort(page: Page, name: str) -> None:
    with suppress(Error):
        await page.evaluate("name => portside.cancel(name)", name)


def _close(browser: Chromium, page: Page, mount: Mount) -> None:
    """Without waiting: the garbage collector may call this in any thread, the browser's own too."""
    browser.host.unmount(mount)
    if browser.alive:
        browser.submit(leave(page.context))


def _cancelled() -> EngineError:
    return EngineError("The call was cancelled", reason="cancelled")


def _answered(answer: Mapping[str, Any]) -> Any:
    """The value of an answer. Raises the page's error as one of ours."""
    if (error := answer.get("error")) is None:
        return answer["value"]
    raise _error(error)


def _error(error: Mapping[str, Any]) -> PortsideError:
    known = {name: error[name] for name in ("got", "expected", "fix") if error.get(name) is not None}
    if error["kind"] == InputError.__name__ and error.get("field") is not None:
        return refusal(error["what"], error["field"], error.get("row"), **known)
    if error["kind"] == EngineError.__name__ and error.get("reason") in EngineError.REASONS:
        return EngineError(error["what"], reason=error["reason"], **known)
    return _KINDS.get(error["kind"], EngineError)(error["what"], **known)


def _answer(spec: TensorSpec, value: Any) -> Array:
    """Plain nested lists as an array: names as objects, everything else in the signature's dtype."""
    if spec.categories is not None and NUMPY[spec.dtype].kind in "iu":
        return _objects(value)
    return np.array(_filled(value, NUMPY[spec.dtype]), NUMPY[spec.dtype])


def _filled(value: Any, dtype: np.dtype[Any]) -> Any:
    """JSON's null is NaN among floats."""
    if value is None and dtype.kind == "f":
        return np.nan
    return [_filled(item, dtype) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def _objects(value: Any) -> Array:
    return np.array(value, dtype=object)
