"""Compile for the browser: an artifact folder that is a web site. Nothing here touches a network or starts a browser.

Our JavaScript is copied as it stands, the engine after its digests were compared with the pin, and the program becomes ONNX
segments. Golden rows travel only where the package says that they may be shown in public.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto

from ...sdk.core.errors import FormatError, UnsupportedError
from ...sdk.core.package import Package
from ..artifact import PAGES, Artifact, begin, finish
from ..assemble import Part, assemble, check_stages
from ..base import CompileOptions
from ..hardware import built_on
from ..onnx_files import EXTERNAL_BYTES, file_dtypes, weight_bytes, write_model
from ..precision.onnx_lower import OnnxPrecision
from .engine_files import BROWSER, PLACE, pinned

DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""Operator sets that the pinned engine was built with."""


def compile_package(package: Package, target: str, options: CompileOptions, out: Path) -> Artifact:
    """Lower the package into the bundle `out`.

    Raises:
        UnsupportedError: a host stage, operator, size, boundary or option that a page cannot hold, by name; or no engine files.
        IntegrityError: an engine file is not the pinned one.
    """
    options.only(target, ())
    check_stages(package.content.stages, target)
    _refuse_host(package)
    _refuse_names(package)
    engine = pinned()
    engine.check()
    sources = source_files()
    precision = OnnxPrecision(package)
    parts = assemble(package, target, options.taps, precision=precision)
    for part in parts:
        _refuse_foreign(part)
    artifact = begin(package, target, out, public=True)
    for name in sources:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(BROWSER / name, out / name)
    engine.copy(out / PLACE)
    files = [_write(part, out) for part in parts]
    known: dict[str, Any] = {
        "segments": [part.spec.to_dict() for part in parts],
        "taps": {tap: list(package.content.boundaries[tap]) for tap in options.taps},
        "weights_bytes": file_dtypes(files),
        "ort": engine.to_dict(),
    }
    return finish(artifact, engine=known | precision.record(), lossy=precision.lossy, built=built_on("onnx"))


def source_files(source: Path = BROWSER) -> list[str]:
    """Our pages, scripts and styles, which go into a bundle 1:1. Raises FormatError where they are not installed."""
    if missing := [name for name in PAGES if not (source / name).is_file()]:
        raise FormatError("The browser library is not installed", got=f"no {missing[0]} in {source}", fix="Install Portside again.")
    web = [file.relative_to(source).as_posix() for file in (source / "web").rglob("*") if file.is_file()]
    return [*PAGES, *sorted(web)]


def _refuse_host(package: Package) -> None:
    for stage in package.content.stages:
        if stage.kind == "host":
            raise UnsupportedError(
                f"The stage {stage.name!r} is Python, which a page does not run", got=stage.file,
                expected="graph and trees stages", fix="Write it with operations that trace into a graph, or serve the package instead.",
            )  # fmt: skip


def _refuse_names(package: Package) -> None:
    """JavaScript takes one name for something else, the engine's own code included."""
    signature = package.signature
    if any(spec.name == "__proto__" for spec in (*signature.inputs, *signature.outputs)):
        raise UnsupportedError("A page cannot hold a value of this name", got="__proto__", fix="Rename it when you pack.")


def _refuse_foreign(part: Part) -> None:
    """Raise UnsupportedError for what the engine certainly lacks; the rest is found when the bundle is proven."""
    if part.model is None:
        return
    own = {(function.domain, function.name) for function in part.model.functions}
    for node in nodes(part.model):
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in own:
            raise UnsupportedError(f"The browser's engine has no operator {node.domain}::{node.op_type}", got=node.name or part.spec.file,
                                   expected="operators of ai.onnx, ai.onnx.ml or com.microsoft")  # fmt: skip
    if (size := weight_bytes(part.model)) >= EXTERNAL_BYTES:
        raise UnsupportedError("The weights are too large for a page", got=f"{size} bytes", expected=f"less than {EXTERNAL_BYTES}",
                               fix="Compress the package first.")  # fmt: skip


def nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Every node of a model, in subgraphs and functions too."""
    yield from _nodes(model.graph)
    for function in model.functions:
        yield from _walk(function.node)


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    return _walk(graph.node)


def _walk(held: Iterable[NodeProto]) -> Iterator[NodeProto]:
    for node in held:
        yield node
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _nodes(attribute.g)


def _write(part: Part, out: Path) -> Path:
    if part.model is None:
        raise FormatError("A segment of the bundle has no model", got=part.spec.file)
    write_model(part.model, out / part.spec.file)
    return out / part.spec.file
