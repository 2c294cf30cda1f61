"""The seam between importers and `pack`: what `pack` passes on, and the program that an importer returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ...sdk.core.manifest import Stage
from ...sdk.core.signature import Array, Signature

Source: TypeAlias = Callable[[Mapping[str, Array]], dict[str, Array]]
"""The source itself on typed tensors of native dtype: one thread, eval mode. Outputs by name."""


@dataclass(frozen=True)
class ImportOptions:
    """What `pack` passes on to an importer.

    Attributes:
        featurize: typed raw tensors -> features, or None.
        predict: (model, features) -> named outputs, or None.
        examples: input name -> typed tensor (after the codec) of native dtype, first axis counts rows; a 0-d tensor is
            one value shared by all rows.
        dynamic: input name -> {axis: dimension name}, beyond axis 0, which is "batch".
        state: output name -> (input name, initial value).
        image: input name -> an object with `max` = (H, W), for images of any size (`ps.Image`).
        host: names of the user's functions that run as declared host stages.
        signature: the user's edits, which win over what is inferred; None to infer all.
    """

    examples: Mapping[str, Any]
    featurize: Callable[..., Any] | None = None
    predict: Callable[..., Any] | None = None
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=dict[str, Mapping[int, str]])
    state: Mapping[str, tuple[str, Any]] = field(default_factory=dict[str, tuple[str, Any]])
    image: Mapping[str, Any] = field(default_factory=dict[str, Any])
    host: tuple[str, ...] = ()
    signature: Signature | None = None


@dataclass(frozen=True)
class Program:
    """A source model as an ordered list of typed stages, and the source to compare it with.

    Attributes:
        signature: named tensors in and out with the source's native dtypes, shapes and batch axes.
        stages: the steps, in order.
        files: path -> bytes, for `program/`, `host/` and `codec/`.
        boundaries: "features" and "model" -> names of the inner values where featurize and the model end.
        source: see `Source`.
        codec: steps that the importer adds (text categories of a table model).
        annotation_files: path -> bytes below `annotations/`.
        notes: remarks for the card, e.g. a last resort that was used.
        inner: typed tensors -> the source's values at the boundaries, to name the stage at fault; None where it has none.
    """

    signature: Signature
    stages: tuple[Stage, ...]
    files: Mapping[str, bytes]
    boundaries: Mapping[str, tuple[str, ...]]
    source: Source
    codec: tuple[Mapping[str, Any], ...] = ()
    annotation_files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    notes: tuple[str, ...] = ()
    inner: Source | None = None
