"""The wire of a package with the standard library's JSON: the same forms as in the cloud, without its parser.

Numbers of 32 bits are written with the digits of 64: they are read back as the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..sdk.core.codec.step import WireField
from ..sdk.core.refusal import shown
from ..sdk.core.signature import Signature
from ..sdk.core.wire import Asked, WireForms


class DeviceWire(WireForms):
    """The wire of what a device runs."""

    def __init__(self, fields: Sequence[WireField], signature: Signature) -> None:
        super().__init__(fields, signature, parse, jsonable)

    def read_json(self, body: bytes | bytearray) -> Asked:
        """Parse a body. Raises ValueError where it is not JSON, InputError where it is JSON of another form."""
        return self.read(parse(body.decode()))


def parse(text: str) -> Any:
    """JSON to values. Raises ValueError, also for NaN, for what is nested too deep, and for text that UTF-8 cannot hold."""
    try:
        said = json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if "\\u" in text:  # half of a surrogate pair is no character, and codecs would fail on it far from here
        json.dumps(said, ensure_ascii=False).encode()
    return said


def jsonable(array: Any) -> Any:
    """An output as nested lists; NaN and infinity are None."""
    array = np.asarray(array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        told = array.astype(object)
        told[~np.isfinite(array)] = None
        return told.tolist()
    return array.tolist()


def dumps(value: Any) -> bytes:
    """JSON as bytes, without spaces."""
    return json.dumps(value, separators=(",", ":"), default=shown).encode()


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
