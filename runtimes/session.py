"""The Session that every runtime shares: door -> state and canvas -> segments -> dtypes, names and order of the signature.

A runtime opens its segments (an engine's model, a host stage) and hands them to `ProgramSession`, which binds by name and
never by position. What does not change between calls is worked out once, when the session is opened: the hot path
is the door, one engine call and one dict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ..sdk.core.door import Door
from ..sdk.core.errors import EngineError, FormatError, InputError
from ..sdk.core.signature import NUMPY, Array, Signature
from .base import Cancel, SessionInfo
from .canvas import canvases, pad_all, program_inputs
from .direct import Direct, Directly, Entry, entries_of, wire_entries
from .predicting import Predictor
from .segments import Segment
from .state import with_initial

Plan: TypeAlias = list[tuple[Segment, tuple[str, ...], list[str]]]
"""Per segment: the segment, the values it reads, the values that are wanted from it."""


class ProgramSession:
    """A loaded program.

    Args:
        info: what callers must know.
        segments: opened, in order; the last values of a name win.
        codec: codec steps as data, for `predict`.
        read: reads a codec file of the package or artifact by its path.
        door: validate in `run`; False when the caller has (typed rim arrays are expected then).
        taps: boundary -> names of the values that `run_tapped` can return.

    Raises FormatError when the segments cannot make the signature's outputs.
    """

    def __init__(self, info: SessionInfo, segments: Sequence[Segment], *, codec: Sequence[Mapping[str, Any]] = (),
                 read: Callable[[str], bytes] | None = None, door: bool = True,
                 taps: Mapping[str, Sequence[str]] | None = None) -> None:  # fmt: skip
        self.info = info
        self.taps = {boundary: tuple(names) for boundary, names in (taps or {}).items()}
        self._segments = list(segments)
        self._door = Door(info.signature) if door else None
        self._canvases, self._stateful = canvases(info.signature), bool(info.signature.state)
        self._names = [spec.name for spec in info.signature.outputs]
        self._answer = [(place, spec.name, NUMPY[spec.dtype]) for place, spec in enumerate(info.signature.outputs)]
        self._plan = plan(self._segments, self._names, program_inputs(info.signature))
        self._single = self._alone()
        self._predict = Predictor(info.signature, codec, read)
        self._direct, self._wired, self._asked = self._way(), None, False
        self._closed = False

    def run(self, inputs: Mapping[str, Any], cancel: Cancel | None = None) -> dict[str, Array]:
        """Typed tensors in, by name; outputs in the signature's dtypes and order.

        Args:
            inputs: name -> array, shapes and dtypes as `info.signature` says. State inputs may be left out; images of
                different sizes may come as a list.
            cancel: a flag obeyed between the engine's nodes.

        Raises:
            InputError: at the door.
            EngineError: the engine failed, the call was cancelled, or the session is closed.
        """
        if self._direct is not None and (cancel is None or not cancel.cancelled):
            answered = self._direct(inputs)
            if answered is not None:
                return answered
        values = self._enter(inputs)
        if self._single is not None and self._door is not None:
            made = self._single.run(self._names, values, cancel)
        else:
            made = self._execute(self._plan, self._names, values, cancel)
        outputs: dict[str, Array] = {}
        for place, name, dtype in self._answer:
            value = made[place]
            outputs[name] = value if value.dtype is dtype else value.astype(dtype)
        return outputs

    def run_tapped(self, inputs: Mapping[str, Any], taps: Sequence[str],
                   cancel: Cancel | None = None) -> tuple[dict[str, Array], dict[str, Array]]:  # fmt: skip
        """As `run`, with the inner values of the boundaries `taps` beside the outputs.

        Raises, beyond what `run` raises, FormatError for a boundary that was not compiled in as a tap.
        """
        if unknown := [tap for tap in taps if tap not in self.taps]:
            raise FormatError(f"The session has no tap {unknown[0]!r}", expected=", ".join(self.taps) or "none",
                              fix="Compile with taps=(...) naming the boundary.")  # fmt: skip
        inner = [name for tap in taps for name in self.taps[tap]]
        names = list(dict.fromkeys([*self._names, *inner]))
        entered = self._enter(inputs)
        made = [name for name in names if name not in entered]
        wanted = plan(self._segments, made, program_inputs(self.info.signature))
        values = {**entered, **dict(zip(made, self._execute(wanted, made, entered, cancel), strict=True))}
        outputs = {name: values[name].astype(dtype, copy=False) for _, name, dtype in self._answer}
        return outputs, {name: values[name] for name in inner}

    def __repr__(self) -> str:
        """One line: target, package, inputs and outputs."""
        return str(self.info)

    def predict(self, inputs: Any = None, cancel: Cancel | None = None) -> dict[str, Array]:
        """What a user has, by wire field: the codec, then `run`, then categories as names. Raises as `run` does."""
        if not self._asked and not self._closed:  # the codec is built at the first call
            self._wired, self._asked = self._wire(), True
        if self._wired is not None and (cancel is None or not cancel.cancelled):
            answered = self._wired(inputs)
            if answered is not None:
                return answered
        return self._predict(self.run, inputs, cancel)

    def close(self) -> None:
        """Free the engine; later calls raise EngineError."""
        self._closed = True
        for segment in self._segments:
            segment.close()

    def _alone(self) -> Segment | None:
        """The segment that makes all outputs of all that there is, where there is one: behind a door it is called without more ado."""
        if len(self._plan) != 1:
            return None
        segment, reads, _ = self._plan[0]
        return segment if {*reads} == {*program_inputs(self.info.signature)} else None

    def _way(self) -> Direct | None:
        """The direct way of `run`, where the only segment has one."""
        entries = entries_of(self.info.signature, self._door, program_inputs(self.info.signature))
        return self._bound(entries) if entries else None

    def _wire(self) -> Direct | None:
        """The direct way of `predict`, where the codec's work is as simple, and outputs have no names to be given."""
        if self._direct is None or any(spec.categories is not None for spec in self.info.signature.outputs):
            return None
        entries = wire_entries(self.info.signature, self._door, self._predict.codec(), program_inputs(self.info.signature))
        return self._bound(entries) if entries else None

    def _bound(self, entries: Sequence[Entry]) -> Direct | None:
        answer = [(name, dtype) for _, name, dtype in self._answer]
        return self._single.direct(entries, answer) if isinstance(self._single, Directly) else None

    def _enter(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        if self._closed:
            raise EngineError("The session is closed", reason="closed", fix="Load the artifact again.")
        values: dict[str, Array] = dict(inputs) if self._door is None else self._door.admit(inputs, [])
        if self._stateful:
            values = with_initial(self.info.signature, values)
        return pad_all(self._canvases, values) if self._canvases else values

    def _execute(self, steps: Plan, names: list[str], values: dict[str, Array], cancel: Cancel | None) -> list[Array]:
        if len(steps) == 1:
            segment, reads, _ = steps[0]
            return segment.run(names, _picked(reads, values), cancel)
        for segment, reads, writes in steps:
            made = segment.run(writes, _picked(reads, values), cancel)
            values.update(zip(writes, made, strict=True))
        return [values[name] for name in names]


def _picked(names: Sequence[str], values: Mapping[str, Array]) -> dict[str, Array]:
    """These values; only without a door can one be absent."""
    try:
        return {name: values[name] for name in names}
    except KeyError as error:
        raise InputError("An input is missing", field=str(error.args[0]), expected=", ".join(names)) from error


def plan(segments: Sequence[Segment], names: Sequence[str], given: Sequence[str]) -> Plan:
    """Which values each segment must make so that `names` come out; segments that nothing needs are left out.

    Raises FormatError for a value that nobody makes.
    """
    wanted, steps = set(names), list[tuple[Segment, tuple[str, ...], list[str]]]()
    for segment in reversed(segments):
        writes = [name for name in segment.outputs if name in wanted]
        if writes:
            wanted = (wanted - set(writes)) | set(segment.inputs)
            steps.append((segment, segment.inputs, writes))
    if absent := sorted(wanted - set(given)):
        raise FormatError("A value of the program is made by no stage", got=absent[0], expected=", ".join(given))
    return steps[::-1]


def describe(signature: Signature, target: str, package_digest: str, *, batch_invariant: bool, host: bool,
             cancellable: bool) -> SessionInfo:  # fmt: skip
    """The info of a program session: host stages are somebody's Python, so such a session is not shared by threads."""
    return SessionInfo(
        signature=signature, target=target, package_digest=package_digest, batch_invariant=batch_invariant,
        thread_safe=not host, cancellable=cancellable,
    )  # fmt: skip
