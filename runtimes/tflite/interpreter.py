"""A `.tflite` file as a Segment: LiteRT's interpreter, or tflite-runtime's on old devices, called by name.

An interpreter cannot be stopped inside a call; a cancellation is obeyed before a call and between its pieces. It serves one
thread at a time, so interpreters are borrowed from a pool. Importing this file imports an interpreter and nothing that compiles.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

import numpy as np

from ...sdk.core.errors import EngineError, FormatError
from ...sdk.core.signature import NUMPY, Array
from ..base import Cancel
from ..hardware import cores
from .plan import Piece, Plan, Slot, concrete
from .quiet import hush

try:
    from ai_edge_litert.interpreter import Interpreter
except ModuleNotFoundError:  # an old device: tflite-runtime has the same interface, and needs numpy<2
    from tflite_runtime.interpreter import Interpreter  # type: ignore[import-not-found,no-redef]

Call: TypeAlias = Callable[[Sequence[Array]], "list[Array]"]
"""Arrays of the plan's inputs, in order and of exactly one signature's shapes -> arrays of its outputs, the caller's own."""

POOL_BYTES = 128 << 20
"""A second interpreter is opened for a second thread only where its weights, which every signature packs anew, stay below this."""
POOL_LIMIT = 8
MOST_ROUTES = 1024
"""Combinations of shapes whose route is remembered."""


class TfliteEngine:
    """One `.tflite` file, opened.

    Args:
        file: the model.
        plan: its rim and its signatures.
        threads: of the interpreter, per call.

    Raises EngineError for a file that the interpreter refuses, FormatError for one that is not what the plan says.
    """

    def __init__(self, file: Path, plan: Plan, threads: int = 1) -> None:
        self.inputs = tuple(slot.name for slot in plan.inputs)
        self.outputs = tuple(slot.name for slot in plan.outputs)
        self._plan, self._all = plan, list(self.outputs)
        self._index = {name: place for place, name in enumerate(self.outputs)}
        self._pool = _Pool(lambda: open_calls(file, plan, threads), interpreters(file, plan))
        self._routes: dict[tuple[tuple[int, ...], ...], Route] = {}

    def run(self, names: list[str], feeds: dict[str, Array], cancel: Cancel | None = None) -> list[Array]:
        """The outputs `names` for the inputs `feeds`, whose names are exactly the file's.

        Raises:
            EngineError: the interpreter failed, the call was cancelled, or the segment is closed.
            InputError: a dimension is longer than anything that was compiled.
        """
        if cancel is not None:
            _obey(cancel)
        arrays = [feeds[name] for name in self.inputs]
        shapes = tuple([array.shape for array in arrays])
        route = self._routes.get(shapes) or self._route(shapes)
        calls = self._pool.take()
        try:
            made = calls[route.key](arrays) if route.key is not None else self._pieced(calls, route, arrays, cancel)
        except (ValueError, RuntimeError, TypeError, MemoryError) as error:
            raise EngineError(f"The TFLite interpreter failed: {_first_line(error)}") from error
        finally:
            self._pool.give(calls)
        return made if names == self._all else [made[self._index[name]] for name in names]

    def _route(self, shapes: tuple[tuple[int, ...], ...]) -> Route:
        """How a call of these shapes is answered; worked out once per combination of shapes."""
        found = route(self._plan, shapes)
        if len(self._routes) < MOST_ROUTES:
            self._routes[shapes] = found
        return found

    def _pieced(self, calls: Mapping[str, Call], route: Route, feeds: Sequence[Array], cancel: Cancel | None) -> list[Array]:
        plan = self._plan
        outputs: list[Array] = []
        for piece in route.pieces:
            _obey(cancel)
            held = plan.signatures[piece.key]
            padded = [fitted(slot, feed, piece, held, plan.batch) for slot, feed in zip(plan.inputs, feeds, strict=True)]
            made = calls[piece.key](padded)
            outputs = outputs or [room(slot, part, route.sizes) for slot, part in zip(plan.outputs, made, strict=True)]
            for slot, whole, part in zip(plan.outputs, outputs, made, strict=True):
                keep(slot, whole, part, piece, plan.batch)
        return outputs or [np.zeros(concrete(slot.shape, route.sizes), NUMPY[slot.dtype]) for slot in plan.outputs]

    def close(self) -> None:
        """Drop the interpreters; calls under way finish."""
        self._pool.close()


@dataclass(frozen=True)
class Route:
    """How calls of certain shapes are answered.

    Attributes:
        key: the signature of just these shapes, called as it is; None where the call comes in pieces or is padded.
        pieces: calls of the engine otherwise.
        sizes: symbol -> size in the call.
    """

    key: str | None
    pieces: tuple[Piece, ...]
    sizes: Mapping[str, int]


def route(plan: Plan, shapes: Sequence[tuple[int, ...]]) -> Route:
    """The route for inputs of these shapes. Raises InputError for a size that was not compiled."""
    sizes = plan.sizes({slot.name: shape for slot, shape in zip(plan.inputs, shapes, strict=True)})
    pieces = tuple(plan.fit(sizes))
    whole = len(pieces) == 1 and all(sizes.get(symbol, size) == size for symbol, size in plan.signatures[pieces[0].key].items())
    return Route(pieces[0].key if whole else None, pieces, sizes)


def room(slot: Slot, part: Array, sizes: Mapping[str, int]) -> Array:
    """An answer to be filled, from its first piece: symbolic axes have the call's sizes, others the piece's."""
    shape = [sizes.get(size, held) if isinstance(size, str) else held for size, held in zip(slot.shape, part.shape, strict=True)]
    return np.empty(shape, part.dtype)


def fitted(slot: Slot, feed: Array, piece: Piece, held: Mapping[str, int], batch: str | None) -> Array:
    """The rows of a piece, in the shape of its signature: missing rows repeat the last one, other dimensions end in `pad`."""
    if batch is not None and batch in slot.shape:
        axis = slot.shape.index(batch)
        feed = feed[(slice(None),) * axis + (slice(piece.start, piece.start + piece.rows),)]
        if piece.rows < piece.batch:
            missing = [(0, piece.batch - piece.rows) if place == axis else (0, 0) for place in range(feed.ndim)]
            feed = np.pad(feed, missing, mode="edge")
    shape = tuple(held[size] if isinstance(size, str) else given for size, given in zip(slot.shape, feed.shape, strict=True))
    if shape == feed.shape:
        return feed
    whole = np.full(shape, slot.pad, feed.dtype)
    whole[tuple(slice(size) for size in feed.shape)] = feed
    return whole


def keep(slot: Slot, whole: Array, part: Array, piece: Piece, batch: str | None) -> None:
    """Write a piece's output into the answer: its own rows, without what was padded."""
    rows = slice(piece.start, piece.start + piece.rows)
    target = whole[tuple(rows if batch is not None and symbol == batch else slice(None) for symbol in slot.shape)]
    target[...] = part[tuple(slice(size) for size in target.shape)]


def open_calls(file: Path, plan: Plan, threads: int) -> dict[str, Call]:
    """An interpreter of its own for the file: signature -> call, with tensors allocated.

    Raises EngineError, FormatError.
    """
    hush(Interpreter)
    try:
        interpreter = Interpreter(model_path=str(file), num_threads=threads)
        return {key: _call(interpreter, key, plan) for key in plan.signatures}
    except (ValueError, RuntimeError) as error:
        raise EngineError(f"The TFLite interpreter cannot open the model: {_first_line(error)}", got=file.name,
                          fix="A newer interpreter may hold it: pip install --upgrade ai-edge-litert") from error  # fmt: skip


def _call(interpreter: Any, key: str, plan: Plan) -> Call:
    """One signature as a call. Its tensors are looked up once: the interpreter's own runner does it, and allocates, at every call."""
    engine = interpreter._interpreter
    reads, writes = _places(interpreter, key)
    subgraph = engine.GetSubgraphIndexFromSignature(key) if key else 0
    inputs = [_place(reads, slot) for slot in plan.inputs]
    if unset := sorted(set(reads) - {slot.key for slot in plan.inputs}):
        raise FormatError("The TFLite file has an input that nobody gives", got=unset[0])
    outputs = [_place(writes, slot) for slot in plan.outputs]
    engine.AllocateTensors(subgraph)
    set_tensor, invoke, get_tensor = engine.SetTensor, engine.Invoke, engine.GetTensor

    def call(feeds: Sequence[Array]) -> list[Array]:
        for place, feed in zip(inputs, feeds):  # noqa: B905 - both in the plan's order; `strict` would cost as much as a tensor
            set_tensor(place, feed, subgraph)
        invoke(subgraph)
        return [get_tensor(place, subgraph) for place in outputs]

    return call


def _places(interpreter: Any, key: str) -> tuple[dict[str, int], dict[str, int]]:
    """Names of the file's inputs and outputs -> where they are: of a signature, or of the file itself."""
    if not key:
        sides = (interpreter.get_input_details(), interpreter.get_output_details())
        reads, writes = ({tensor["name"]: tensor["index"] for tensor in side} for side in sides)
        return reads, writes
    described = interpreter._get_full_signature_list()
    if key not in described:
        raise FormatError("The TFLite file lacks a signature", got=key, expected=", ".join(described) or "none")
    return described[key]["inputs"], described[key]["outputs"]


def _place(places: Mapping[str, int], slot: Slot) -> int:
    if slot.key not in places:
        raise FormatError("The TFLite file lacks a tensor", got=slot.key, expected=", ".join(places))
    return places[slot.key]


class _Pool:
    """Interpreters that calls borrow, one each; opened when a call finds none free, up to `limit`. The first is opened at once."""

    def __init__(self, open_one: Callable[[], Mapping[str, Call]], limit: int) -> None:
        self._open, self._limit, self._opened = open_one, limit, 1
        self._lock, self._closed = threading.Lock(), False
        self._free: SimpleQueue[Mapping[str, Call] | None] = SimpleQueue()
        self._free.put(open_one())

    def take(self) -> Mapping[str, Call]:
        """An interpreter's calls, to be given back. Raises EngineError when closed."""
        try:
            calls = self._free.get_nowait()
        except Empty:
            calls = self._another()
        if calls is None or self._closed:
            self._free.put(None)  # for the next one who waits
            raise EngineError("The session is closed", reason="closed", fix="Load the artifact again.")
        return calls

    def give(self, calls: Mapping[str, Call]) -> None:
        """Back to the pool."""
        if not self._closed:
            self._free.put(calls)

    def _another(self) -> Mapping[str, Call] | None:
        with self._lock:
            more = self._opened < self._limit and not self._closed
            self._opened += more
        if not more:
            return self._free.get()
        try:
            return self._open()
        except BaseException:
            with self._lock:
                self._opened -= 1
            raise

    def close(self) -> None:
        """Drop the free interpreters, and the others when they come back."""
        self._closed = True
        with suppress(Empty):
            while True:
                self._free.get_nowait()
        self._free.put(None)


def interpreters(file: Path, plan: Plan) -> int:
    """How many interpreters may be open at once."""
    each = file.stat().st_size * max(1, len(plan.signatures))
    return max(1, min(cores(), POOL_LIMIT, POOL_BYTES // max(each, 1)))


def _obey(cancel: Cancel | None) -> None:
    if cancel is not None and cancel.cancelled:
        raise EngineError("The call was cancelled", reason="cancelled")


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__
