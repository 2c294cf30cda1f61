"""The seam of targets: what a Runtime and a Session are, and how the installed ones are found.

A target is one entry file, one line under `[project.entry-points."portside.runtimes"]`, one extra. Nothing outside
`runtimes/` branches on a target's name. `runtimes/checks.py` is the conformance suite that says when a target is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from ..sdk.core.errors import MissingExtraError, UnsupportedError
from ..sdk.core.package import Package
from ..sdk.core.refusal import nearest
from ..sdk.core.signature import Array, Signature
from .artifact import Artifact
from .timing import Footprint, Samples

GROUP = "portside.runtimes"


class Missing(str):
    """What is not installed, where pip does not bring it: `fix` says what does."""

    fix: str

    def __new__(cls, what: str, fix: str) -> Missing:
        """Text, with the way out."""
        made = super().__new__(cls, what)
        made.fix = fix
        return made


class Cancel:
    """A flag that one thread sets and a running session obeys between two nodes.

    A session hooks `on_cancel` for the length of a call and unhooks with `forget`; `cancel()` may come from any thread,
    and any number of times.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self.cancelled = False

    def cancel(self) -> None:
        """Ask the call to stop. Hooks run once, in the thread that cancels."""
        with self._lock:
            self.cancelled, callbacks, self._callbacks = True, self._callbacks, []
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Run `callback` at cancellation, at once if that has happened already."""
        with self._lock:
            if not self.cancelled:
                self._callbacks.append(callback)
                return
        callback()

    def forget(self, callback: Callable[[], None]) -> None:
        """Unhook `callback`, which may have run already."""
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)


@dataclass(frozen=True)
class CompileOptions:
    """What a user may ask of any compile.

    Attributes:
        taps: boundaries ("features", "model") that become optional outputs.
        allow_unproven: write a lossy artifact although there is not enough data to judge it; recorded.
        verify: run the contract through the compiled artifact before it is published; False only for benchmarks.
        extra: options of one target, by name; unknown ones are errors.
    """

    taps: tuple[str, ...] = ()
    allow_unproven: bool = False
    verify: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def only(self, target: str, known: Collection[str]) -> Mapping[str, Any]:
        """`extra`, after a check that the target knows every option in it.

        Raises UnsupportedError naming the first unknown option.
        """
        if unknown := sorted(set(self.extra) - set(known)):
            expected = ", ".join(known) if known else "no options of its own"
            raise UnsupportedError(f"{target} has no compile option {unknown[0]!r}", got=unknown[0], expected=expected,
                                   fix=nearest(unknown[0], known))  # fmt: skip
        return self.extra


@dataclass(frozen=True)
class LoadOptions:
    """How a session is opened.

    Attributes:
        threads: intra-op threads of the engine.
        spinning: let engine threads spin while idle (fast on a machine of one's own, ruinous on shared cores).
        trust: host stages may run.
        cache: use hardware-specific optimisation, cached per CPU and engine version outside the artifact.
        door: validate inputs against the signature in `run` (False: the caller has done it).
        taps: boundaries whose values `run` gives beside the outputs (runtimes/tapped.py); in isolated sessions.
    """

    threads: int = 1
    spinning: bool = False
    trust: bool = False
    cache: bool = False
    door: bool = True
    taps: tuple[str, ...] = ()


@dataclass(frozen=True)
class SessionInfo:
    """What a caller must know to share a session.

    Attributes:
        signature: tensors in and out.
        target: name of the runtime.
        package_digest: which package answers.
        batch_invariant: a row's answer does not depend on its batch-mates (measured at compile).
        thread_safe: `run` may be called from several threads at once.
        cancellable: `cancel` is obeyed during a call.
    """

    signature: Signature
    target: str
    package_digest: str
    batch_invariant: bool
    thread_safe: bool
    cancellable: bool

    def __str__(self) -> str:
        """One line: what a notebook shows of a session."""
        state = {pair.input for pair in self.signature.state}
        inputs = ", ".join(f"{spec.name} {spec.dtype} ({', '.join(map(str, spec.shape))})" for spec in self.signature.inputs
                           if spec.name not in state)  # fmt: skip
        outputs = ", ".join(spec.name for spec in self.signature.outputs)
        return f"<Session on {self.target} of package {self.package_digest[:19]}: {inputs} -> {outputs}>"


@runtime_checkable
class Session(Protocol):
    """A loaded artifact."""

    info: SessionInfo

    def run(self, inputs: Mapping[str, Any], cancel: Cancel | None = None) -> dict[str, Array]:
        """Typed tensors in, by name; outputs in signature dtypes and order.

        Raises InputError at the door, EngineError for everything the engine does wrong.
        """
        ...

    def predict(self, inputs: Any = None, cancel: Cancel | None = None) -> dict[str, Array]:
        """What a user has: the codec, then `run`, then categories as names. Without inputs, InputError names them."""
        ...

    def close(self) -> None:
        """Free the engine; later calls raise EngineError."""
        ...


@runtime_checkable
class Measurable(Protocol):
    """What a session offers whose engine is elsewhere (a page): figures taken there, without the way to it and back."""

    def measure(self, inputs: Mapping[str, Any], repeats: int = 5, seconds: float = 0.5) -> Samples:
        """Durations of `run`, in `repeats` turns of this many seconds. Raises as `run` does."""
        ...

    def footprint(self, inputs: Mapping[str, Any], starts: int = 3) -> Footprint:
        """Cold start and memory, over this many fresh starts. Raises as `run` does."""
        ...


@runtime_checkable
class Runtime(Protocol):
    """The plugin of one target."""

    name: ClassVar[str]
    extra: ClassVar[str]

    def missing(self) -> str | None:
        """None when the target works here, otherwise the name of what is not installed.

        The extra says how to get it, unless the answer is a `Missing` with a fix of its own.
        """
        ...

    def compile(self, package: Package, options: CompileOptions, out: Path) -> Artifact:
        """Lower the package into the folder `out` (which does not exist yet). Does not verify: `runtimes/compiling.py` does.

        Raises UnsupportedError naming the operator, dtype or stage.
        """
        ...

    def load(self, artifact: Path, options: LoadOptions) -> Session:
        """Open a compiled artifact. The caller has audited its files."""
        ...


@runtime_checkable
class Smooths(Protocol):
    """What a runtime states that lowers a plan's smoothing; others compile such a plan without it."""

    smooths: ClassVar[bool]


@runtime_checkable
class CompiledElsewhere(Protocol):
    """What a runtime offers whose artifacts can be loaded on a device that cannot compile them."""

    compile_extra: ClassVar[str]

    def missing_to_compile(self) -> str | None:
        """None when artifacts can be made here too, otherwise the name of what is not installed."""
        ...


@runtime_checkable
class WithOptions(Protocol):
    """What a runtime offers that has compile options of its own: option -> what it does, in a line."""

    options: ClassVar[Mapping[str, str]]


Isolation = Literal["inline", "thread", "process"]


def installed() -> dict[str, type[Runtime]]:
    """Every registered runtime by name. Entry files are light: what a target needs is imported when it is used."""
    return {entry.name: entry.load() for entry in entry_points(group=GROUP)}


def compile_options() -> dict[str, Mapping[str, str]]:
    """Target -> its own compile options with a line each, of every runtime whose entry file can be loaded here."""
    found: dict[str, Mapping[str, str]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        with suppress(ImportError):  # an engine that is not installed: `portside doctor` says so
            made: Runtime = entry.load()()
            found[entry.name] = made.options if isinstance(made, WithOptions) else {}
    return found


def runtime(name: str) -> Runtime:
    """The runtime of a target.

    Raises UnsupportedError for an unknown target, MissingExtraError where its extra is not installed.
    """
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return _usable(entry.load()())
    known = sorted(entry.name for entry in entry_points(group=GROUP))
    fix = " ".join(filter(None, (nearest(name, known), "Run: portside doctor")))
    raise UnsupportedError("There is no such target", got=name, expected=", ".join(known), fix=fix)


def lack(found: Runtime) -> MissingExtraError | None:
    """What keeps a target from working here, with the command that enables it; None where nothing does."""
    return _lacking(f"The target {found.name}", found.missing(), found.extra)


def compile_lack(found: Runtime) -> MissingExtraError | None:
    """What keeps a target from being compiled for here; None where nothing does."""
    if isinstance(found, CompiledElsewhere):
        return _lacking(f"Compiling for {found.name}", found.missing_to_compile(), found.compile_extra)
    return lack(found)


def _lacking(what: str, missing: str | None, extra: str) -> MissingExtraError | None:
    if missing is None:
        return None
    fix = missing.fix if isinstance(missing, Missing) else None
    return MissingExtraError(f"{what} needs what is not installed here", got=f"no {missing}", extra=extra, fix=fix)


def _usable(found: Runtime) -> Runtime:
    if (error := lack(found)) is not None:
        raise error
    return found
