"""One byte string for one value, and a reader that refuses what two readers could understand differently.

Digests are taken over canonical JSON, so the text they come from must have exactly one meaning: a key stands once, every
number is finite, every string can be written as UTF-8. Python's own reader lets all three pass.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from .errors import FormatError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def canonical_json(data: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8, no NaN. Raises ValueError (NaN, lone surrogates) or TypeError (not JSON)."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(data: Any) -> str:
    """The digest "sha256:..." of a JSON-ready value in canonical form."""
    return digest_of_bytes(canonical_json(data))


def digest_of_bytes(data: bytes) -> str:
    """The digest "sha256:..." of these bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def check_digest(value: object, what: str) -> str:
    """`value` as a digest. Raises FormatError unless it is "sha256:" and 64 lower-case hex digits."""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise FormatError(f"{what} is not a digest", got=repr(value), expected='"sha256:" and 64 lower-case hex digits')
    return value


def read_json(text: str | bytes, what: str) -> Any:
    """Parse JSON that has one meaning.

    Args:
        text: UTF-8.
        what: how messages call it, e.g. "manifest.json".

    Raises FormatError: not JSON, a key twice in one object, NaN or infinity, text that is not UTF-8, nested too deep.
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        data = json.loads(decoded, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)
        canonical_json(data)  # lone surrogates only show when they are written
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not valid JSON: {error}", fix="Fetch it again from where it came.") from error
    return data


def read_object(text: str | bytes, what: str) -> dict[str, Any]:
    """As `read_json`, for a JSON object. Raises FormatError."""
    data = read_json(text, what)
    if not isinstance(data, dict):
        raise FormatError(f"{what} is not a JSON object", got=type(data).__name__)
    return data


def with_extra(known: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """`known` and after it the unknown fields that were kept; a known field always wins."""
    return known | {key: value for key, value in extra.items() if key not in known}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return data


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value
