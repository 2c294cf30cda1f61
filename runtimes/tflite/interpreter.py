"""A `.tflite` file as a Segment: LiteRT's interpreter, or tflite-runtime's on old devices, called by name.

An interpreter cannot be stopped inside a call; a cancellation is obeyed before a call and between its pieces. It serves one
thread at a time, so interpreters are borrowed from a pool. Calls that hold nothing unusual have a way of their own (direct.py).
Importing this file imports an interpreter and nothing that compiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ...sdk.core.errors import EngineError, FormatError
from ...sdk.core.signature import NUMPY, Array
from ..base import Cancel
from ..direct import Direct, Entry
from ..hardware import cores
from .direct import Bound, Tensors, bound, direct_call
from .plan import Piece, Plan, Slot, concrete
from .pool import Pool
from .quiet import hush
from .settled import Layout, layout, where

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
        self._pool = Pool(lambda: open_one(file, plan, threads), interpreters(file, plan))
        self._routes: dict[tuple[tuple[int, ...], ...], Route] = {}
        self._ways = 0

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
        opened = self._pool.take()
        try:
            made = opened.call(route.key, arrays) if route.key is not None else self._pieced(opened.calls, route, arrays, cancel)
        except (ValueError, RuntimeError, TypeError, MemoryError) as error:
            raise failed(error) from error
        finally:
            self._pool.give(opened)
        return made if names == self._all else [made[self._index[name]] for name in names]

    def direct(self, entries: Sequence[Entry], answer: Sequence[tuple[str, np.dtype[Any]]]) -> Direct | None:
        """The direct way of calls in exactly the shapes of one signature; see runtimes/direct.py."""
        given = {entry.name for entry in entries} | {entry.size for entry in entries if entry.size is not None}
        if not given or given != {*self.inputs}:
            return None
        way, self._ways, whole = self._ways, self._ways + 1, self._whole()

        def bind(opened: Opened) -> Bound:
            found = opened.ways[way] = bound([opened.settled[key] for key in whole if key in opened.settled], entries, answer)
            return found

        opened = self._pool.take()
        try:
            known = {**opened.fresh, **opened.settled}
            if not bound([known[key] for key in whole if key in known], entries, answer):
                return None
        finally:
            self._pool.give(opened)
        return direct_call(self._pool, way, bind, entries[0].field, len(entries), failed)

    def _whole(self) -> list[str]:
        """Signatures that answer calls of their own sizes in one piece."""
        shapes = {key: [concrete(slot.shape, sizes) for slot in self._plan.inputs] for key, sizes in self._plan.signatures.items()}
        return [key for key, held in shapes.items() if route(self._plan, held).key == key]

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


@dataclass
class Opened:
    """An interpreter for the file, with tensors allocated.

    Attributes:
        calls: signature -> call.
        fresh: signature -> its memory, before the first call.
        settled: signature -> its memory, after a call that left it where it was.
        ways: number of a direct way -> what it is bound to here.
    """

    calls: Mapping[str, Call]
    fresh: dict[str, Tensors]
    settled: dict[str, Tensors] = field(default_factory=dict[str, Tensors])
    ways: dict[int, Bound] = field(default_factory=dict[int, Bound])

    def call(self, key: str, feeds: Sequence[Array]) -> list[Array]:
        """Call a signature. The first call tells whether its memory stays where it is."""
        made = self.calls[key](feeds)
        if key in self.fresh:
            tensors = self.fresh.pop(key)
            if tensors.stay():
                self.settled[key] = tensors
                self.ways.clear()
        return made


def open_one(file: Path, plan: Plan, threads: int) -> Opened:
    """An interpreter of its own for the file.

    Raises EngineError, FormatError.
    """
    hush(Interpreter)
    try:
        interpreter = Interpreter(model_path=str(file), num_threads=threads)
        signatures = {key: _Signature.of(interpreter, key, plan) for key in plan.signatures}
        for one in signatures.values():  # before any memory is looked at: two may share a subgraph
            one.engine.AllocateTensors(one.subgraph)
        held = layout(file)  # behind the interpreter, which has looked at the file's structure
        tensors = {key: one.tensors(plan, plan.signatures[key], held) for key, one in signatures.items()} if held is not None else {}
        return Opened({key: one.call() for key, one in signatures.items()}, {key: one for key, one in tensors.items() if one is not None})
    except (ValueError, RuntimeError) as error:
        raise EngineError(f"The TFLite interpreter cannot open the model: {_first_line(error)}", got=file.name,
                          fix="A newer interpreter may hold it: pip install --upgrade ai-edge-litert") from error  # fmt: skip


@dataclass(frozen=True)
class _Signature:
    """One signature of an interpreter, its tensors by number: the interpreter's own runner looks them up, and allocates, at every call."""

    engine: Any
    subgraph: int
    inputs: list[int]
    outputs: list[int]

    @classmethod
    def of(cls, interpreter: Any, key: str, plan: Plan) -> _Signature:
        engine = interpreter._interpreter
        reads, writes = _places(interpreter, key)
        inputs = [_place(reads, slot) for slot in plan.inputs]
        if unset := sorted(set(reads) - {slot.key for slot in plan.inputs}):
            raise FormatError("The TFLite file has an input that nobody gives", got=unset[0])
        subgraph = engine.GetSubgraphIndexFromSignature(key) if key else 0
        return cls(engine, subgraph, inputs, [_place(writes, slot) for slot in plan.outputs])

    def call(self) -> Call:
        """The signature as a call."""
        inputs, outputs, subgraph = self.inputs, self.outputs, self.subgraph
        set_tensor, invoke, get_tensor = self.engine.SetTensor, self.engine.Invoke, self.engine.GetTensor

        def call(feeds: Sequence[Array]) -> list[Array]:
            for place, feed in zip(inputs, feeds):  # noqa: B905 - both in the plan's order; `strict` would cost as much as a tensor
                set_tensor(place, feed, subgraph)
            invoke(subgraph)
            return [get_tensor(place, subgraph) for place in outputs]

        return call

    def tensors(self, plan: Plan, sizes: Mapping[str, int], held: Layout) -> Tensors | None:
        """The memory of the signature's tensors, of which nothing may have been called yet; None where it may move."""
        if not held.leads(self.subgraph, self.outputs):
            return None
        try:
            inputs, outputs = ([self.engine.tensor(self.engine, place, self.subgraph) for place in places]
                               for places in (self.inputs, self.outputs))  # fmt: skip
        except (ValueError, RuntimeError, TypeError):  # a tensor without memory; an interpreter that shows none
            return None
        for slot, place, view in zip(plan.inputs, self.inputs, inputs, strict=True):
            if not held.plain(self.subgraph, place, view) or view.shape != concrete(slot.shape, sizes):
                return None
        leave: dict[str, Array | Callable[[], Array]] = {}
        kept = [*zip(self.inputs, inputs, strict=True)]
        for slot, place, view in zip(plan.outputs, self.outputs, outputs, strict=True):
            if held.plain(self.subgraph, place, view):
                leave[slot.name] = view
                kept.append((place, view))
            else:
                leave[slot.name] = partial(self.engine.GetTensor, place, self.subgraph)
        return Tensors({slot.name: view for slot, view in zip(plan.inputs, inputs, strict=True)}, leave,
                       partial(self.engine.Invoke, self.subgraph), partial(self._stay, kept))  # fmt: skip

    def _stay(self, views: Sequence[tuple[int, Array]]) -> bool:
        """Whether these tensors are where their views are, and as large."""
        try:
            now = [self.engine.tensor(self.engine, place, self.subgraph) for place, _ in views]
        except (ValueError, RuntimeError):
            return False
        return all(where(one) == where(view) for one, (_, view) in zip(now, views, strict=True))


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


def failed(error: Exception) -> EngineError:
    """What a call of the interpreter raises."""
    return EngineError(f"The TFLite interpreter failed: {_first_line(error)}")
