"""The models that are served, as ONNX files and as packages of those very files; made once and kept in the work folder."""

from __future__ import annotations

import base64
import io
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import portside as ps

OPSET, IR = 18, 9


@dataclass(frozen=True)
class Subject:
    """A model to serve.

    Attributes:
        name: of it.
        onnx: the file that peers open.
        package: the folder of the package made from it.
        input: name of its input.
        row: one row, batch axis in front; a JPEG file's base64 where `picture`.
        picture: its wire is a picture.
        artifact: compiled already; None: `portside serve` compiles it.
    """

    name: str
    onnx: Path
    package: Path
    input: str
    row: Any
    picture: bool = False
    artifact: Path | None = None


class Graph:
    """Nodes in a row, each on the output of the one before."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._random, self._shape, self._last = np.random.default_rng(0), shape, "x"

    def add(self, kind: str, *weights: Any, **attributes: Any) -> Graph:
        """One node; weights are given as arrays, or as shapes to fill at random."""
        names = [self._keep(held) for held in weights]
        out = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, [self._last, *names], [out], **attributes))
        self._last = out
        return self

    def save(self, file: Path, width: int) -> Path:
        """Write it; the output is (batch, width)."""
        self._nodes[-1].output[0] = "scores"
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *self._shape])]
        outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", width])]
        graph = helper.make_graph(self._nodes, "g", inputs, outputs, self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        onnx.checker.check_model(model)
        onnx.save(model, file)
        return file

    def _keep(self, held: Any) -> str:
        name = f"w{len(self._weights)}"
        if isinstance(held, tuple):
            inputs = np.prod(held[1:]) if len(held) > 2 else held[:1]
            held = self._random.standard_normal(held).astype(np.float32) / np.sqrt(inputs, dtype=np.float32)
        self._weights.append(numpy_helper.from_array(np.asarray(held), name))
        return name


def tiny(file: Path) -> tuple[Path, tuple[int, ...]]:
    """Two small products: about 5 us."""
    graph = Graph((16,)).add("Gemm", (16, 32), (32,)).add("Relu").add("Gemm", (32, 3), (3,)).add("Softmax", axis=-1)
    return graph.save(file, 3), (16,)


def middle(file: Path) -> tuple[Path, tuple[int, ...]]:
    """Convolutions: about 4 ms on one core, twice that for two rows."""
    graph = Graph((256,)).add("Reshape", np.array([-1, 1, 16, 16])).add("Conv", (64, 1, 3, 3), pads=[1] * 4).add("Relu")
    for _ in range(10):
        graph.add("Conv", (64, 64, 3, 3), pads=[1] * 4).add("Relu")
    for _ in range(3):
        graph.add("Conv", (160, 64, 3, 3), pads=[1] * 4).add("Relu").add("Conv", (64, 160, 3, 3), pads=[1] * 4).add("Relu")
    return _ended(graph, 64).save(file, 10), (256,)


def wide(file: Path) -> tuple[Path, tuple[int, ...]]:
    """Products whose weights do not fit in a cache: a second row costs next to nothing."""
    graph = Graph((32,)).add("Gemm", (32, 2048), (2048,)).add("Relu")
    for _ in range(3):
        graph.add("Gemm", (2048, 2048), (2048,)).add("Relu")
    return graph.add("Gemm", (2048, 8), (8,)).add("Softmax", axis=-1).save(file, 8), (32,)


def large(file: Path) -> tuple[Path, tuple[int, ...]]:
    """A picture as 150,528 numbers, and convolutions as a small network for such pictures has them: about 4 ms."""
    graph = Graph((3, 224, 224)).add("Conv", (32, 3, 7, 7), strides=[4, 4], pads=[3] * 4).add("Relu")
    graph.add("Conv", (64, 32, 3, 3), strides=[2, 2], pads=[1] * 4).add("Relu")
    for _ in range(8):
        graph.add("Conv", (64, 64, 3, 3), pads=[1] * 4).add("Relu")
    return _ended(graph, 64).save(file, 10), (3, 224, 224)


def _ended(graph: Graph, channels: int) -> Graph:
    return graph.add("GlobalAveragePool").add("Flatten").add("Gemm", (channels, 10), (10,)).add("Softmax", axis=-1)


MADE: dict[str, Callable[[Path], tuple[Path, tuple[int, ...]]]] = {"tiny": tiny, "middle": middle, "wide": wide, "large": large}
FLOAT = ("main/Gemm_121", "main/Conv_29", "main/Conv_31", "main/Conv_38")
"""What sensitivity says hurts most in this network (docs/results.md): the head and three of the convolutions."""
CELLS = 160
"""Photographs that it learns from and is calibrated on."""


def subject(name: str, work: Path) -> Subject:
    """One of `MADE`, or "jpeg"."""
    work.mkdir(parents=True, exist_ok=True)
    if name == "jpeg":
        return _jpeg(work)
    file, shape = MADE[name](work / f"{name}.onnx")
    rows = np.random.default_rng(1).random((32, *shape), dtype=np.float32)
    package = work / name
    if not (package / "manifest.json").is_file():
        print(f"packing {name}", file=sys.stderr, flush=True)
        ps.pack(file, name=name, examples={"x": rows}, out=package)
    return Subject(name, file, package, "x", rows[:1].round(4))


def _jpeg(work: Path) -> Subject:
    """The example's inspector in int8: EfficientNet-Lite0 with a head trained on cells; a codec decodes in front of it."""
    from PIL import Image

    sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "examples" / "visual_inspection")]
    cells, folder = import_module("cells"), work / "jpeg"
    few, artifact = cells.thin(cells.load(), CELLS), folder / "artifact"
    if not artifact.is_dir():
        print("training, packing and quantizing the inspector", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        made = _quantized(few, folder)
        ps.compile(made, target="onnx-cpu", out=artifact, allow_unproven=True)
    file, buffer = next((artifact / "engine").glob("*.onnx")), io.BytesIO()
    Image.fromarray(few.images[0]).save(buffer, "JPEG", quality=90)
    text = base64.b64encode(buffer.getvalue()).decode()
    return Subject("jpeg", file, folder / "int8", "image", text, picture=True, artifact=artifact)


def _quantized(cells: Any, folder: Path) -> ps.Package:
    """Trained on these cells, packed with its codec, in int8 but for `FLOAT`, whatever that costs in quality: speed is compared here."""
    example, order = import_module("inspector"), np.random.default_rng(0).permutation(len(cells.images))
    codec, rows = {"image": ps.codec.Image(size=(300, 300), mode="L")}, cells.images[:64]
    first = ps.pack(example.train(cells.images, cells.labels), name="inspector", featurize=example.featurize, predict=example.predict,
                    examples={"image": rows}, labels=cells.labels[:64], tolerances={"defect": {"p99": 0.3}}, codec=codec,
                    out=folder / "float")  # fmt: skip
    learn = ps.Data({"image": cells.images[order[::2]]})
    return ps.compress(first, ps.Quantize("int8-static", keep=FLOAT), learn, out=folder / "int8")
