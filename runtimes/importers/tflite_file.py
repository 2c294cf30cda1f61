"""Import a `.tflite` file as it is: a native stage for targets that have its engine, quantised tensors and all.

What the file remembers between calls becomes state pairs (`tflite_state.py`); such a file is asked twice, as it came and with
its memory outside, and both must give the same bits. Importing this file needs ai-edge-litert, and no torch.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...sdk.core import golden
from ...sdk.core.errors import EngineError, FormatError, InputError, TraceError
from ...sdk.core.manifest import Stage
from ...sdk.core.signature import NUMPY, Array, Signature, TensorSpec
from ..onnx_weights import stage_file
from ..state import with_initial
from ..tflite.interpreter import TfliteEngine
from ..tflite.plan import Plan
from .dispatch import is_tflite
from .program import ImportOptions, Program, Source
from .tflite_rim import NativeRim, rim_of
from .tflite_state import Lifted, lift

ONLY = ("tflite", "reference")
_COMPARED = 64
"""Frames that a file with a memory answers as it came and with its memory outside."""


@dataclass(frozen=True, eq=False)
class _File:
    """What was read of a file: the bytes that came, the bytes that are packed, and how those are called."""

    given: bytes
    lifted: Lifted
    rim: NativeRim


def handles(model: object) -> bool:
    """True for a path to a .tflite file, and for its bytes."""
    return is_tflite(model)


def input_names(model: object, options: ImportOptions) -> tuple[str, ...]:
    """The file's inputs, without what holds its memory."""
    _refuse(options)
    return tuple(spec.name for spec in _outer(_read(model).rim.signature))


def run(model: object, options: ImportOptions) -> Program:
    """Import a `.tflite` file.

    Raises:
        FormatError: not a `.tflite` file, or a damaged one.
        UnsupportedError: several signatures, free dimensions, or a memory that cannot be made explicit.
        EngineError: the interpreter refuses it.
        TraceError: functions around it, or options that a finished file has no place for.
        InputError: examples that do not fit.
    """
    _refuse(options)
    held = _read(model)
    signature = in_rows(held.rim.signature)
    examples = _examples(signature, options.examples)
    source = _source(_Asked(held.lifted.data, held.rim.plan), signature)
    _compare(held, source, signature, examples)
    reads, writes = (tuple(spec.name for spec in side) for side in (signature.inputs, signature.outputs))
    stage = Stage("native", "main", stage_file(0, "main", "tflite"), reads, writes, only=ONLY, note="it is a .tflite file",
                  extra={"plan": held.rim.plan.to_dict()})  # fmt: skip
    return Program(
        signature=signature, stages=(stage,), files={stage.file: held.lifted.data},
        boundaries={"features": reads, "model": writes}, source=source, notes=_notes(held),
    )  # fmt: skip


def in_rows(signature: Signature) -> Signature:
    """A leading 1 counts rows, one per call, of all tensors that are no state; other tensors belong to the call as a whole."""
    state = {name for pair in signature.state for name in (pair.input, pair.output)}

    def counted(spec: TensorSpec) -> TensorSpec:
        return replace(spec, batch_axis=0) if spec.name not in state and spec.shape[:1] == (1,) else spec

    return replace(signature, inputs=tuple(map(counted, signature.inputs)), outputs=tuple(map(counted, signature.outputs)))


def _outer(signature: Signature) -> list[TensorSpec]:
    state = {pair.input for pair in signature.state}
    return [spec for spec in signature.inputs if spec.name not in state]


def _refuse(options: ImportOptions) -> None:
    """Raise TraceError for what would have to stand around or inside of the file."""
    for what, given in (("featurize", options.featurize), ("predict", options.predict), ("host", options.host)):
        if given:
            raise TraceError(f"A .tflite file is packed as it is: {what}= cannot stand around it", got=what, expected="examples alone",
                             fix="Give examples of the file's own inputs, or pack the model that it was made from.")  # fmt: skip
    for what, given in (("state", options.state), ("dynamic", options.dynamic), ("image", options.image)):
        if given:
            raise TraceError(f"A .tflite file is packed as it is: {what}= cannot change it", got=", ".join(given),
                             fix="Leave it out: the memory and the sizes of a file are read from the file.")  # fmt: skip


def _read(model: Any) -> _File:
    try:
        data = model if isinstance(model, bytes) else Path(model).read_bytes()
    except OSError as error:
        raise FormatError(f"The .tflite file cannot be read: {error.strerror or error}", got=str(model)[:200]) from error
    lifted = lift(data)
    rim = rim_of(lifted)
    names = [spec.name for spec in (*rim.signature.inputs, *rim.signature.outputs)]
    if clash := [name for name in names if names.count(name) > 1 or not name]:
        raise TraceError("Two tensors at the rim of the .tflite file have the same name, or one has none", got=repr(clash[0]),
                         fix="Export it with names: a signature of named inputs and outputs.")  # fmt: skip
    return _File(data, lifted, rim)


def _examples(signature: Signature, given: Mapping[str, Any]) -> dict[str, Array]:
    """The examples in the file's dtypes. Raises InputError."""
    names = [spec.name for spec in _outer(signature)]
    if wrong := sorted(set(names) ^ set(given)):
        raise InputError("The examples do not have the inputs of the .tflite file", field=wrong[0], got=", ".join(given) or "no examples",
                         expected=", ".join(names))  # fmt: skip
    return {spec.name: _example(spec, np.asarray(given[spec.name])) for spec in _outer(signature)}


def _example(spec: TensorSpec, values: Array) -> Array:
    rows = spec.batch_axis is not None
    shape = values.shape[1:] if rows or values.ndim == len(spec.shape) + 1 else values.shape
    if shape != (spec.shape[1:] if rows else spec.shape):
        expected = ("rows", *spec.shape[1:]) if rows else spec.shape
        raise InputError("An example does not have the shape of the .tflite file", field=spec.name, got=values.shape, expected=expected)
    dtype = NUMPY[spec.dtype]
    if not np.can_cast(values.dtype, dtype, "same_kind") and not _small(values, dtype):
        fix = f"Quantise it first: its values are {spec.unit}." if spec.unit else f"Give it as {dtype}."
        raise InputError("An example does not have the dtype of the .tflite file", field=spec.name, got=values.dtype, expected=dtype,
                         fix=fix)  # fmt: skip
    made = values.astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(made, values):
        raise InputError("An example does not fit the dtype of the .tflite file", field=spec.name, got=f"{values.min()} to {values.max()}",
                         expected=dtype)  # fmt: skip
    return made


def _small(values: Array, dtype: Any) -> bool:
    """Integers, whatever their dtype: whether they fit is looked at one by one."""
    return values.dtype.kind in "iu" and dtype.kind in "iu"


def _source(asked: _Asked, signature: Signature) -> Source:
    """The file in its own interpreter on typed arrays by name, state inputs that are left out at their start."""

    def source(arrays: Mapping[str, Any]) -> dict[str, Array]:
        given = with_initial(signature, arrays)
        return asked.answer({spec.name: np.asarray(given[spec.name]).astype(NUMPY[spec.dtype]) for spec in signature.inputs})

    return source


class _Asked:
    """Bytes of a file in an interpreter; their place on disk stays as long as this does, for a second thread's interpreter."""

    def __init__(self, data: bytes, plan: Plan) -> None:
        folder = tempfile.mkdtemp(prefix="portside-tflite-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)  # a source has no end that anybody says
        file = Path(folder) / "model.tflite"
        file.write_bytes(data)
        self._engine = TfliteEngine(file, plan)

    def answer(self, feeds: dict[str, Array]) -> dict[str, Array]:
        """All outputs by name."""
        names = list(self._engine.outputs)
        return dict(zip(names, self._engine.run(names, feeds), strict=True))


def _compare(held: _File, source: Source, signature: Signature, examples: Mapping[str, Array]) -> None:
    """Raise EngineError where the file with its memory outside gives other bits than the file as it came."""
    if not signature.state:
        return
    hidden = {name for pair in signature.state for name in (pair.input, pair.output)}
    plan = held.rim.plan
    bare = replace(plan, inputs=tuple(slot for slot in plan.inputs if slot.name not in hidden),
                   outputs=tuple(slot for slot in plan.outputs if slot.name not in hidden))  # fmt: skip
    given = _Asked(held.given, bare)
    state: dict[str, Array] = {}
    for number, frame in enumerate(_steps(signature, examples)):
        expected, found = given.answer(frame), source({**frame, **state})
        state = {pair.input: found[pair.output] for pair in signature.state}
        for name, answer in expected.items():
            if answer.tobytes() != found[name].tobytes():
                raise EngineError("The .tflite file answers otherwise with its memory outside", got=f"{name!r}, frame {number}",
                                  fix="This is a fault of the import: please report it.")  # fmt: skip


def _steps(signature: Signature, examples: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    rows = golden.rows_of(signature, examples)
    return (golden.take(signature, examples, [row]) for row in range(min(rows, _COMPARED)))


def _notes(held: _File) -> tuple[str, ...]:
    digest = hashlib.sha256(held.given).hexdigest()
    if not held.lifted.memories:
        return (f"The .tflite file is packed byte for byte (sha256 {digest}).",)
    count = len(held.lifted.memories)
    note = (f"The .tflite file (sha256 {digest}) keeps {count} tensors between calls; in the package they are inputs and outputs, "
            "so that callers do not share them. Weights and operators are untouched.")  # fmt: skip
    return (note,)
