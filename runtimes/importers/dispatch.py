"""Choose the importer of a model by its type, importing torch or scikit-learn only where the model came from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from ...sdk.core.errors import MissingExtraError, TraceError
from .program import ImportOptions, Program


class Importer(Protocol):
    """What an importer file offers."""

    def handles(self, model: object) -> bool:
        """True for models of its kind."""
        ...

    def input_names(self, model: Any, options: ImportOptions) -> tuple[str, ...]:
        """Names of the program's inputs: featurize's parameters, else those that the model itself has."""
        ...

    def run(self, model: Any, options: ImportOptions) -> Program:
        """Import the model."""
        ...


def import_model(model: object, options: ImportOptions) -> Program:
    """The program of a model and the functions around it.

    Args:
        model: a torch module, a scikit-learn estimator, an ONNX file (path, bytes, ModelProto), a `.tflite` file (path, bytes), or
            a plain callable.
        options: see `ImportOptions`; `examples` may be one array where the program has one input.

    Raises:
        TraceError: what cannot become a program, with the line at fault and the way out.
        InputError: examples that do not fit.
        MissingExtraError: the importer's own dependencies are not installed.
    """
    importer = importer_of(model)
    options = with_initial_state(with_named_examples(importer, model, options))
    if options.host:
        return cast("Program", cast("Any", _load("host_stage", "onnx")).run(importer, model, options))
    return importer.run(model, options)


def input_names(model: object, options: ImportOptions) -> tuple[str, ...]:
    """Names of the inputs that the program of this model will have, without importing the model."""
    return importer_of(model).input_names(model, options)


def with_named_examples(importer: Importer, model: object, options: ImportOptions) -> ImportOptions:
    """The options with examples by name: one array stands for the only input."""
    given: Any = options.examples
    if isinstance(given, Mapping):
        return options
    names = importer.input_names(model, replace(options, examples={}))
    if len(names) > 1:
        raise TraceError("The program has several inputs and the examples are one array", got=", ".join(names),
                         fix="Give the examples as a mapping from input name to array.")  # fmt: skip
    return replace(options, examples={names[0] if names else "x": given})


def with_initial_state(options: ImportOptions) -> ImportOptions:
    """The options with an example for every state input that has none: its initial value, its first axis of 1 repeated per row."""
    examples = dict(options.examples)
    # A list is one image per row, of any sizes: numpy cannot say how many axes it has.
    rows = next((len(values) for values in examples.values() if isinstance(values, list | tuple) or np.ndim(values)), 1)
    for name, initial in options.state.values():
        if name not in examples and np.ndim(initial):
            value = np.asarray(initial)
            axis = value.shape.index(1) if 1 in value.shape else None
            examples[name] = value if axis is None else np.repeat(value, rows, axis)
    return replace(options, examples=examples)


def importer_of(model: object) -> Importer:
    """The importer that handles a model. Raises TraceError for what no importer handles."""
    modules = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    if "torch" in modules:
        return _load("torch_module", "torch")
    if "sklearn" in modules:
        return _load("sklearn", "sklearn")
    if is_tflite(model):
        return _load("tflite_file", "tflite")
    if is_onnx(model):
        return _load("onnx_file", "onnx")
    if isinstance(model, Callable):
        return _load("callable", "onnx")
    raise TraceError(
        "This is not a model that can be packed", got=type(model).__name__,
        expected="a torch module, a scikit-learn estimator or pipeline, an ONNX or .tflite file, or a plain function",
    )  # fmt: skip


def is_onnx(model: object) -> bool:
    """True for a ModelProto, the bytes of one, and a path that ends in .onnx."""
    if isinstance(model, bytes):
        return not is_tflite(model)
    return (isinstance(model, str | Path) and str(model).endswith(".onnx")) or type(model).__name__ == "ModelProto"


def is_tflite(model: object) -> bool:
    """True for a path that ends in .tflite, and for bytes that carry the mark of such files."""
    if isinstance(model, bytes):
        return model[4:8] == b"TFL3"
    return isinstance(model, str | Path) and str(model).endswith(".tflite")


def _load(name: str, extra: str) -> Importer:
    try:
        return cast("Importer", import_module(f"{__package__}.{name}"))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("portside"):
            raise
        raise MissingExtraError(f"Packing this model needs {error.name!r}", extra=extra) from error
