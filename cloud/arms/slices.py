"""The values of input fields by which a rollout is judged apart, as texts; and the slice to which a canary's first step is held. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...sdk.core.errors import FormatError
from ...sdk.core.signature import Signature, TensorSpec
from ..automating.plan import Slice, slice_of
from ..deployment.rollout import Rollout
from .agreeing import discrete

MISSING = "(missing)"


class Fields:
    """Some input fields of a signature. Raises FormatError for one that has no texts."""

    def __init__(self, names: Sequence[str], signature: Signature) -> None:
        self._specs = [_sliced(name, signature) for name in names]

    def __bool__(self) -> bool:
        return bool(self._specs)

    def texts(self, inputs: Mapping[str, Any]) -> dict[str, list[str]]:
        """Field -> a text per row, of typed inputs. Fields that were not sent are left out."""
        return {spec.name: [text_of(value, spec) for value in np.asarray(inputs[spec.name]).ravel().tolist()]
                for spec in self._specs if spec.name in inputs}  # fmt: skip


class Segment:
    """The rows of one slice, "field=value". Raises FormatError where there can be none."""

    def __init__(self, name: str, signature: Signature) -> None:
        _sliced(name.partition("=")[0], signature)
        self.name, self._slice = name, _input_slice(name, signature)

    def holds(self, inputs: Mapping[str, Any]) -> bool:
        """All rows of a request are in it."""
        values = inputs.get(self._slice.field)
        return values is not None and len(values) > 0 and all(value == self._slice.value for value in np.asarray(values).ravel().tolist())


def check_rollout(settings: Rollout, signature: Signature, where: str) -> None:
    """Raise FormatError for what `[rollout]` asks of a champion that has it not. where: file and line."""
    try:
        Fields(settings.slices, signature)
        if settings.first is not None:
            Segment(settings.first, signature)
    except FormatError as error:
        error.what = f"{where}, [rollout]: {error.what}"
        error.args = (error._message(),)
        raise
    if settings.limits.disagreement is not None and not discrete(signature):
        raise FormatError(f"{where}, [rollout]: limits.disagreement is about decisions, and no output is one",
                          got=", ".join(f"{spec.name} ({spec.kind or spec.dtype})" for spec in signature.outputs),
                          fix="Leave it out; accuracy, errors and lateness are judged.")  # fmt: skip


def text_of(value: Any, spec: TensorSpec) -> str:
    """A typed value as a text: the name of a category, "true" or "false", a whole number, or itself."""
    if spec.categories is not None:
        return spec.categories[value] if isinstance(value, int) and 0 <= value < len(spec.categories) else MISSING
    if value is None or value == "":
        return MISSING
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sliced(name: str, signature: Signature) -> TensorSpec:
    spec = next((spec for spec in signature.inputs if spec.name == name), None)
    if spec is None:
        raise FormatError("A slice is of an input field that there is not", got=name,
                          expected=", ".join(spec.name for spec in signature.inputs))  # fmt: skip
    if spec.redact or spec.stays_on_device:
        raise FormatError("Records keep nothing of this field, so nothing is judged by its values", got=name)
    whole = spec.categories is not None or spec.dtype in ("string", "bool", "i8", "u8", "i32", "i64")
    if not whole or spec.batch_axis != 0 or len(spec.shape) != 1:
        raise FormatError("A slice is of a field with one category, whole number, truth value or text per row",
                          got=f"{name}: {spec.dtype} {spec.shape}")  # fmt: skip
    return spec


def _input_slice(name: str, signature: Signature) -> Slice:
    return slice_of(name, Signature(signature.inputs, ()))
