"""A request made from what a server says of itself: a JSON Schema of its OpenAPI document, or the tensors of its OIP metadata."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import httpx
import numpy as np
import orjson

from ...sdk.core.errors import EngineError, InputError

JSON = "application/json"
SIDE = 224
"""Of a made-up image, pixels."""
_OIP = re.compile(r"(?P<model>.*/v2/models/[^/]+(/versions/[^/]+)?)/infer")
_ASK = "Give a body with --body FILE."
KEY = 'Send an API key with --header "Authorization: Bearer KEY".'
_TENSORS: dict[str, Callable[[np.random.Generator, int], list[Any]]] = {
    "FP": lambda random, count: [round(float(value), 4) for value in random.random(count)],
    "IN": lambda random, count: [int(value) for value in random.integers(0, 2, count)],
    "UI": lambda random, count: [int(value) for value in random.integers(0, 2, count)],
    "BO": lambda random, count: [bool(value) for value in random.integers(0, 2, count)],
    "BY": lambda random, count: ["text"] * count,
}


@dataclass(frozen=True)
class Body:
    """Bytes to post."""

    data: bytes
    content_type: str = JSON


def described(root: str, path: str, headers: Mapping[str, str], given: bool = False) -> tuple[str, Body, str]:
    """(path, body, what it was made from).

    Args:
        root: scheme, host and port.
        path: of a route; "": the first that takes a body.
        headers: to ask with.
        given: the body is there already, only the path is looked for.

    Raises InputError, EngineError: the server does not say enough.
    """
    if found := _OIP.fullmatch(path):
        return path, Body(orjson.dumps(oip_request(_get(root + found["model"], headers)))), "made from its Open Inference Protocol metadata"
    paths = cast("dict[str, Any]", _get(f"{root}/openapi.json", headers).get("paths", {}))
    able = {name: held["post"] for name, held in paths.items() if "requestBody" in held.get("post", {}) and "{" not in name}
    path = path or next((name for name in able if "predict" in name), next(iter(able), ""))
    if given and path:
        return path, Body(b""), "given"
    schema = able.get(path, {}).get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema")
    if schema is None:
        raise InputError("The server's OpenAPI document describes no JSON body for this route", field="url", got=path or root,
                         expected=", ".join(able) or None, fix=_ASK)  # fmt: skip
    return path, Body(orjson.dumps(sample(schema))), f"made from its OpenAPI document, {path}"


def oip_request(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """An inference request of one row from a model's metadata. Raises InputError for a datatype without a meaning here."""
    random = np.random.default_rng(0)
    inputs: list[dict[str, Any]] = []
    for held in metadata.get("inputs", []):
        shape = [size if size > 0 else 1 for size in map(int, held["shape"])]
        make = _TENSORS.get(str(held["datatype"])[:2])
        if make is None:
            raise InputError("A tensor of this datatype cannot be made up", field=held.get("name"), got=held["datatype"], fix=_ASK)
        inputs.append({**{key: held[key] for key in ("name", "datatype")}, "shape": shape, "data": make(random, int(np.prod(shape)))})
    return {"inputs": inputs}


def sample(schema: Mapping[str, Any], random: np.random.Generator | None = None) -> Any:
    """A value that a JSON Schema without references allows: types, sizes, bounds, examples; one row where it may choose."""
    random = random or np.random.default_rng(0)
    for word in ("oneOf", "anyOf"):
        if forms := schema.get(word):
            return sample(next((form for form in forms if "row" in form.get("required", ())), forms[0]), random)
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    if choices := schema.get("enum") or schema.get("examples"):
        return choices[int(random.integers(len(choices)))]
    kinds = schema.get("type", "object" if "properties" in schema else "number")
    kind = kinds if isinstance(kinds, str) else next((name for name in kinds if name != "null"), "null")
    return _MAKE.get(kind, _null)(schema, random)


def _object(schema: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any]:
    properties = schema.get("properties", {})
    return {name: sample(properties[name], random) for name in schema.get("required", properties) if name in properties}


def _array(schema: Mapping[str, Any], random: np.random.Generator) -> list[Any]:
    return [sample(schema.get("items", {}), random) for _ in range(int(schema.get("minItems", 1)))]


def _number(schema: Mapping[str, Any], random: np.random.Generator) -> float:
    low, high = float(schema.get("minimum", 0.0)), float(schema.get("maximum", schema.get("minimum", 0.0) + 1.0))
    return round(low + (high - low) * float(random.random()), 4)


def _integer(schema: Mapping[str, Any], random: np.random.Generator) -> int:
    low = int(schema.get("minimum", 0))
    return int(random.integers(low, int(schema.get("maximum", low + 1)) + 1))


def _string(schema: Mapping[str, Any], random: np.random.Generator) -> str:
    if schema.get("contentEncoding") == "base64":
        return base64.b64encode(png(random)).decode()
    return "text".ljust(int(schema.get("minLength", 0)), "x")


def _null(schema: Mapping[str, Any], random: np.random.Generator) -> None:
    return None


_MAKE: dict[str, Callable[[Mapping[str, Any], np.random.Generator], Any]] = {
    "object": _object, "array": _array, "number": _number, "integer": _integer, "string": _string,
    "boolean": lambda schema, random: bool(random.integers(2)),
}  # fmt: skip


def png(random: np.random.Generator, side: int = SIDE) -> bytes:
    """A square picture of waves in RGB, as a PNG file."""
    across, down = np.meshgrid(np.arange(side), np.arange(side))
    waves = [
        np.sin(across / scale + shift) + np.cos(down / (scale + 3)) for scale, shift in zip((5, 9, 17), random.random(3) * 6, strict=True)
    ]
    pixels = (np.stack(waves, -1) * 60 + 128).astype(np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    parts = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def unreachable(url: str, error: httpx.HTTPError) -> EngineError:
    """The error for a server that gives no answer."""
    return EngineError(f"The server cannot be asked: {error or type(error).__name__}", got=url, fix="Is it running? See portside serve.")


def _get(url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    try:
        answer = httpx.get(url, headers=dict(headers), timeout=30, trust_env=False)
    except httpx.HTTPError as error:
        raise unreachable(url, error) from error
    try:
        said = answer.json()
    except ValueError:
        said = None
    if answer.status_code != 200 or not isinstance(said, dict):
        raise InputError("The server does not describe itself", field="url", got=f"{answer.status_code} from {url}",
                         fix=KEY if answer.status_code in (401, 403) else _ASK)  # fmt: skip
    return cast("dict[str, Any]", said)
