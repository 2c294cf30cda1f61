"""From what a user has to what a user wants: the codec around a session's `run`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from ..sdk.core.codec.codec import Codec
from ..sdk.core.codec.step import WireField
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
            inputs: wire field -> batch, or a DataFrame; a batch or bare value where there is one field.
            cancel: as for `run`.
        """
        codec = self.codec()
        wire = by_field(inputs, self._signature, lambda: codec)
        return codec.decode(run(codec.encode(wire), cancel), self._signature)

    def codec(self) -> Codec:
        """The codec, built once. Raises FormatError, MissingExtraError."""
        self._codec = self._codec or Codec.from_steps(*self._source)
        return self._codec


def by_field(inputs: Any, signature: Signature, codec: Callable[[], Codec]) -> Mapping[str, Any]:
    """What a caller passed, by wire field: a mapping, the columns of a table, or a bare value where there is one field.

    Raises InputError for nothing at all, and for a bare value where there are several fields.
    """
    if isinstance(inputs, (dict, Mapping)) and inputs:  # a dict is found four times as fast in front of Mapping
        return cast("Mapping[str, Any]", inputs)
    if hasattr(inputs, "columns") and hasattr(inputs, "iloc"):  # a table, as `pack` takes it
        return columns(inputs)
    state = {pair.input for pair in signature.state}
    fields = [field for field in codec().wire_fields(signature) if field.name not in state]
    if inputs is None or isinstance(inputs, Mapping):
        if not any(spec.required and spec.name not in state for spec in signature.inputs):
            return {}
        example = ", ".join(f"{field.name!r}: [...]" for field in fields)
        raise InputError("predict needs inputs", field=fields[0].name, got="nothing", expected=", ".join(map(_field_text, fields)),
                         fix=f"Pass a batch per field: predict({{{example}}}).")  # fmt: skip
    if len(fields) != 1:
        raise InputError("The package has several inputs", expected=f"a mapping with {', '.join(field.name for field in fields)}")
    return {fields[0].name: inputs}


def _field_text(field: WireField) -> str:
    return field.name if field.type == "tensor" else f"{field.name} ({field.type})"


def _no_files(path: str) -> bytes:
    raise FormatError("The codec names a file, and the session has none", got=path)
