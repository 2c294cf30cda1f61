"""From what a user has to what a user wants: the codec around a session's `run`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from ..sdk.core.codec.codec import Codec
from ..sdk.core.errors import FormatError, InputError
from ..sdk.core.infer import columns
from ..sdk.core.signature import Array, Signature
from .base import Cancel

Run: TypeAlias = Callable[[Mapping[str, Any], "Cancel | None"], dict[str, Array]]


class Predictor:
    """`Session.predict` on top of `Session.run`. The codec is built at the first call: most sessions never need it.

    Args:
        signature: tensors in and out.
        steps: codec steps as data.
        read: reads a codec file of the package or artifact by its path.
    """

    def __init__(self, signature: Signature, steps: Sequence[Mapping[str, Any]], read: Callable[[str], bytes] | None = None) -> None:
        self._signature = signature
        self._source = (tuple(steps), read or _no_files)
        self._codec: Codec | None = None

    def __call__(self, run: Run, inputs: Any, cancel: Cancel | None = None) -> dict[str, Array]:
        """Encode, run, and give categories their names.

        Args:
            run: the session's; passed in, so that session and predictor do not keep each other alive.
            inputs: wire field -> batch, or a DataFrame; a bare value where there is one field.
            cancel: as for `run`.
        """
        codec = self._codec = self._codec or Codec.from_steps(*self._source)
        wire = self._by_field(inputs, codec)
        return codec.decode(run(codec.encode(wire), cancel), self._signature)

    def _by_field(self, inputs: Any, codec: Codec) -> Mapping[str, Any]:
        if isinstance(inputs, Mapping):
            return cast("Mapping[str, Any]", inputs)
        if hasattr(inputs, "columns") and hasattr(inputs, "iloc"):  # a table, as `pack` takes it
            return columns(inputs)
        return {only_field(codec, self._signature): inputs}


def only_field(codec: Codec, signature: Signature) -> str:
    """The one wire field of a package with one input, for callers who pass a bare value. Raises InputError."""
    state = {pair.input for pair in signature.state}
    fields = [field.name for field in codec.wire_fields(signature) if field.name not in state]
    if len(fields) != 1:
        raise InputError("The package has several inputs", expected=f"a mapping with {', '.join(fields)}")
    return fields[0]


def _no_files(path: str) -> bytes:
    raise FormatError("The codec names a file, and the session has none", got=path)
