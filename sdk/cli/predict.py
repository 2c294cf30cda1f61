"""`portside predict`: one question to a package or an artifact, answered with a receipt."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ...runtimes.artifact import Artifact
from ...runtimes.subjects import codec_of
from ..core.codec.codec import Codec
from ..core.door import Door
from ..core.door_gate import Why
from ..core.errors import InputError
from ..core.failover import PRIMARY
from ..core.package import Package
from ..core.records import plain
from ..core.signature import Array, Signature
from .console import Result, fields, short, table
from .inputs import read_inputs
from .models import open_model, session

EXAMPLE = """
  portside predict inspector photo.jpg                 an image file, where the package has one image field
  portside predict prices age=41 colour=red            field=value; photo=@file.jpg reads a file
  portside predict prices rows.json --json             {"age": [41, 30], "colour": ["red", "blue"]}
  echo '{"age": 41, "colour": "red"}' | portside predict prices -
"""
REFERENCE = "reference"
NOTICED: Mapping[Why, str] = {
    "range": "is outside its range", "clamped": "was moved to the limit of its range", "unknown": "is an unknown category",
    "absent": "is absent and takes its default",
}  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    """The model, its inputs, and what answers."""
    parser.add_argument("model", metavar="PACKAGE|ARTIFACT", help="a folder, or a name in the store")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="a .json file, -, an image file, or field=value pairs")
    parser.add_argument("--target", default=REFERENCE, help="what a package is compiled for first (default: its reference answer)")
    parser.add_argument("--trust", action="store_true", help="allow Python from the package (host stages) to run")


def run(args: argparse.Namespace) -> Result:
    """Ask once; the time is that of the second, warm call."""
    model = open_model(args.model, args.trust)
    codec = codec_of(model)
    inputs = read_inputs(args.inputs, codec, model.signature)
    if isinstance(model, Package) and args.target == REFERENCE:
        answer, elapsed_ms = _timed(lambda: model.predict(inputs))
    else:
        with session(model, args.target, args.trust) as opened:
            answer, elapsed_ms = _timed(lambda: opened.predict(inputs))
    target = model.target if isinstance(model, Artifact) else args.target
    digest = model.package_digest if isinstance(model, Artifact) else model.digest
    receipt = {"model": model.name, "digest": digest, "target": target, "reason": PRIMARY, "time_ms": round(elapsed_ms, 3)}
    outputs = {name: plain(np.asarray(value)) for name, value in answer.items()}
    flags = list(_flags(codec, model.signature, inputs))
    text = "\n\n".join([_rows(answer), fields({**receipt, "digest": short(digest)}), *(["\n".join(map(_noticed, flags))] if flags else [])])
    return Result({"outputs": outputs, "receipt": receipt, **({"flags": flags} if flags else {})}, text)


def _flags(codec: Codec, signature: Signature, inputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What the door accepts but notices, as over HTTP; of an unknown category the name that was sent, not its code."""
    for flag in Door(signature).check(codec.encode(inputs)).flags:
        sent = codec.sent(flag.field, flag.row, inputs) if flag.why == "unknown" else None
        yield {**flag._asdict(), "value": sent if isinstance(sent, str) else flag.value}


def _noticed(flag: Mapping[str, Any]) -> str:
    row = "" if flag["row"] is None else f" row {flag['row']}"
    return f"noticed: {flag['field']}{row} {NOTICED[flag['why']]}: {flag['value']}"


def _timed(call: Any) -> tuple[dict[str, Array], float]:
    call()
    started = time.perf_counter()
    answer = call()
    return answer, (time.perf_counter() - started) * 1000


def _rows(answer: Mapping[str, Array]) -> str:
    """One line per row where every output has the same rows, else one line per output."""
    counts = {np.shape(value)[0] if np.ndim(value) else 0 for value in answer.values()}
    if len(counts) != 1 or not (rows := counts.pop()):
        return table([[name, _shown(value)] for name, value in answer.items()])
    if rows > 1000:
        raise InputError("That is too much for a screen", got=f"{rows} rows", fix="Add --json.")
    return table([[_shown(value[row]) for value in answer.values()] for row in range(rows)], head=list(answer))


def _shown(value: Any) -> str:
    array = np.asarray(value)
    if array.ndim == 0:
        held = array.item()
        return f"{held:.6g}" if isinstance(held, float) else str(held)
    text = ", ".join(_shown(item) for item in array.ravel()[:6])
    return f"[{text}{f', ... {array.size} numbers' if array.size > 6 else ''}]"
