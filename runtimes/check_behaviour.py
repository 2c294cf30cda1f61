"""Checks of behaviour: refusals that help, cancellation, threads, closing, tampering, and nothing left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..sdk.core.errors import EngineError, FormatError, InputError, IntegrityError, PortsideError, UnsupportedError
from .artifact import open_artifact
from .base import Cancel, CompileOptions, LoadOptions
from .check_kit import Kit, expect, expect_outputs, refusal

CANCEL_S = 2.0
"""Seconds within which a cancellation must have stopped a call."""


def describes_itself(kit: Kit) -> None:
    """The session's info names the target, the package and its signature; the artifact stands alone and lists its build."""
    held = kit.load("mixed")
    info = held.session.info
    expect(info.target == kit.runtime.name, f"the session says target {info.target}")
    expect(info.package_digest == held.package.digest, "the session names another package")
    expect(info.signature == held.package.signature, "the session has another signature")
    expect(held.artifact.built, "the artifact does not say what built it")
    expect(held.artifact.size_bytes > 0, "the artifact has no engine files")


def missing_input(kit: Kit) -> None:
    """A missing input is refused by name."""
    held = kit.load("mixed")
    inputs = held.sample.inputs(2)
    del inputs["ids"]
    error = refusal(lambda: held.session.run(inputs), InputError)
    expect(getattr(error, "field", None) == "ids", f"the refusal does not name the field: {error}")


def unknown_input(kit: Kit) -> None:
    """An unknown input is refused by name."""
    held = kit.load("mixed")
    error = refusal(lambda: held.session.run({**held.sample.inputs(2), "typo": np.zeros(2)}), InputError)
    expect("typo" in str(error), f"the refusal does not name the field: {error}")


def wrong_dtype_and_shape(kit: Kit) -> None:
    """A wrong dtype, a wrong shape and an id that int32 cannot hold are refused by name."""
    held = kit.load("mixed")
    inputs = held.sample.inputs(2)
    wrong = {"x": [np.zeros((2, 5), np.float32), np.array([["a"] * 4] * 2), np.zeros((2, 4), np.complex64)],
             "ids": [np.array([1, 1 << 40]), np.array([0.5, 1.0])]}  # fmt: skip
    for name, values in wrong.items():
        for value in values:
            error = refusal(lambda name=name, value=value: held.session.run({**inputs, name: value}), InputError)
            expect(getattr(error, "field", None) == name, f"the refusal does not name {name!r}: {error}")


def different_batches(kit: Kit) -> None:
    """Inputs whose rows differ in number are refused, and the session goes on."""
    held = kit.load("mixed")
    inputs = held.sample.inputs(2)
    refusal(lambda: held.session.run({**inputs, "x": np.zeros((3, 4), np.float32)}), InputError)
    expect_outputs(held.sample.signature, held.session.run(inputs), held.sample.truth(inputs))


def engine_errors_are_wrapped(kit: Kit) -> None:
    """Without a door, what the engine refuses is an EngineError, and the session goes on."""
    held = kit.load("mixed", LoadOptions(door=False))
    good = {**held.sample.inputs(2), "ids": np.zeros(2, np.int32)}
    refusal(lambda: held.session.run({**good, "x": np.zeros((2, 5), np.float32)}), EngineError, InputError)
    expect_outputs(held.sample.signature, held.session.run(good), held.sample.truth(good))


def cancel_before(kit: Kit) -> None:
    """A call that is cancelled before it starts does not answer, and the next one does."""
    held = kit.load("slow")
    if not held.session.info.cancellable:
        return
    cancel = Cancel()
    cancel.cancel()
    inputs = held.sample.inputs(1)
    error = refusal(lambda: held.session.run(inputs, cancel), EngineError)
    expect(getattr(error, "reason", None) == "cancelled", f"the reason is {getattr(error, 'reason', None)}")
    held.session.run(inputs, Cancel())


def cancel_during(kit: Kit) -> None:
    """A call is stopped by another thread, without disturbing a second call on the same session."""
    held = kit.load("slow")
    if not held.session.info.cancellable:
        return
    cancel, inputs = Cancel(), held.sample.inputs(512)
    timer = threading.Timer(0.01, cancel.cancel)
    timer.start()
    try:
        error = refusal(lambda: _call_for(CANCEL_S, lambda: held.session.run(inputs, cancel)), EngineError)
    finally:
        timer.cancel()
    expect(getattr(error, "reason", None) == "cancelled", f"the reason is {getattr(error, 'reason', None)}")
    held.session.run(held.sample.inputs(1))


def _call_for(seconds: float, call: Callable[[], object]) -> None:
    """Call again and again, so that a cancellation finds a call to stop on fast machines too."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        call()


def thread_safety(kit: Kit) -> None:
    """A session that says it is thread-safe answers eight threads at once, each its own."""
    held = kit.load("mixed")
    if not held.session.info.thread_safe:
        return
    batches = [held.sample.inputs(rows) for rows in range(1, 9)] * 8
    with ThreadPoolExecutor(8) as pool:
        for inputs, outputs in zip(batches, pool.map(held.session.run, batches), strict=True):
            expect_outputs(held.sample.signature, outputs, held.sample.truth(inputs))


def closed_session(kit: Kit) -> None:
    """A closed session refuses, and closing twice is harmless."""
    held = kit.load("mixed")
    held.session.close()
    held.session.close()
    error = refusal(lambda: held.session.run(held.sample.inputs(1)), EngineError)
    expect(getattr(error, "reason", None) == "closed", f"the reason is {getattr(error, 'reason', None)}")


def tampering_is_refused(kit: Kit) -> None:
    """One changed byte in any file of an artifact, or one file more, is refused at the door of `load`."""
    held = kit.load("mixed")
    for file in sorted(path for path in held.artifact.path.rglob("*") if path.is_file()):
        original = file.read_bytes()
        place = len(original) // 2
        file.write_bytes(original[:place] + bytes([original[place] ^ 1]) + original[place + 1 :])
        refusal(lambda: open_artifact(held.artifact.path), IntegrityError, FormatError)
        file.write_bytes(original)
    (held.artifact.path / "engine" / "stowaway").write_bytes(b"")
    refusal(lambda: open_artifact(held.artifact.path), IntegrityError)


def unknown_options_are_refused(kit: Kit) -> None:
    """An option that the target does not have is an error that names it."""
    _, package = kit.package("mixed")
    options = CompileOptions(extra={"no_such_option": 1})
    error = refusal(lambda: kit.runtime.compile(package, options, kit.folder / "never"), UnsupportedError)
    expect("no_such_option" in str(error), f"the refusal does not name the option: {error}")
    expect(not (kit.folder / "never").exists(), "a refused compile left something behind")


def compile_is_repeatable(kit: Kit) -> None:
    """Two compiles of one package have one digest, wherever they are written."""
    held = kit.load("mixed")
    again = kit.runtime.compile(held.package, CompileOptions(), kit.folder / "elsewhere" / "again")
    expect(again.digest == held.artifact.digest, "the same package compiled to another artifact")


def other_targets_are_refused(kit: Kit) -> None:
    """A folder that is no artifact is refused with a typed error."""
    (kit.folder / "nothing").mkdir()
    refusal(lambda: kit.runtime.load(kit.folder / "nothing", LoadOptions()), PortsideError)


BEHAVIOUR: Mapping[str, Callable[[Kit], None]] = {
    "a session and an artifact describe themselves": describes_itself,
    "a missing input is named": missing_input,
    "an unknown input is named": unknown_input,
    "a wrong dtype or shape is named": wrong_dtype_and_shape,
    "batches of different sizes are refused": different_batches,
    "engine errors are wrapped": engine_errors_are_wrapped,
    "cancel before a call": cancel_before,
    "cancel during a call": cancel_during,
    "threads are safe as declared": thread_safety,
    "a closed session refuses": closed_session,
    "tampering is refused": tampering_is_refused,
    "unknown compile options are refused": unknown_options_are_refused,
    "compile is repeatable": compile_is_repeatable,
    "what is no artifact is refused": other_targets_are_refused,
}  # fmt: skip
