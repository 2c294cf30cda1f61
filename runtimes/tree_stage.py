"""A trees stage as a Segment: the arrays of the package, walked in numpy, independent of any engine's tree operator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import PurePosixPath

from safetensors import SafetensorError
from safetensors.numpy import load

from ..sdk.core.errors import EngineError, FormatError
from ..sdk.core.manifest import WEIGHTS
from ..sdk.core.signature import Array
from .base import Cancel
from .trees import Trees


class TreeStage:
    """An ensemble between two values. Thread-safe; cancelled only between calls."""

    def __init__(self, trees: Trees, source: str, result: str) -> None:
        self.inputs, self.outputs = (source,), (result,)
        self._trees, self._source = trees, source

    def run(self, names: list[str], feeds: dict[str, Array], cancel: Cancel | None = None) -> list[Array]:
        """The ensemble's result, once per name asked for. Raises EngineError when cancelled."""
        if cancel is not None and cancel.cancelled:
            raise EngineError("The call was cancelled", reason="cancelled")
        result = self._trees.evaluate(feeds[self._source])
        return [result for _ in names]

    def close(self) -> None:
        """Nothing to free."""


def read_trees(read: Callable[[str], bytes], file: str) -> Trees:
    """The ensemble of a stage file and of the weights beside it.

    Args:
        read: path -> bytes, of a package or an artifact.
        file: path of the stage, e.g. "program/01-trees.trees.json".

    Raises FormatError for a malformed stage.
    """
    weights = str(PurePosixPath(file).with_name(PurePosixPath(WEIGHTS).name))
    try:
        held = json.loads(read(file))
        tensors = load(read(weights)) if held["tensors"] else {}
        return Trees.from_tensors(held["data"], {key: tensors[name] for key, name in held["tensors"].items()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise FormatError(f"A trees stage is malformed: {str(error)[:200]}", got=file) from error
