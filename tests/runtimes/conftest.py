"""Packages made by hand, and the runtime that fails on command."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import pytest

from portside.runtimes import samples
from portside.runtimes.onnx_weights import TensorPart, pack_files, stage_file
from portside.sdk.core.contract import Contract
from portside.sdk.core.errors import PortsideError
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Annotations, Content, Stage
from portside.sdk.core.package import write

FAKES = Path(__file__).resolve().parent.parent / "fakes"


@pytest.fixture(scope="session")
def faulty():
    """The module tests/fakes/faulty_runtime.py."""
    spec = spec_from_file_location("faulty_runtime", FAKES / "faulty_runtime.py")
    module = sys.modules["faulty_runtime"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def simulated_tensorrt(monkeypatch):
    """TensorRT and CUDA without a device (tests/fakes/simulated): the modules, and the machine that they run on."""
    monkeypatch.syspath_prepend(FAKES / "simulated")
    forget_tensorrt()
    trt, cuda = import_module("tensorrt"), import_module("cuda.bindings.runtime")
    yield SimpleNamespace(trt=trt, cuda=cuda, machine=cuda.machine)
    forget_tensorrt()


def forget_tensorrt():
    """So that no later test finds what this one had imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tensorrt", "cuda")]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def remembering(tmp_path_factory):
    """Runtime class -> the same with compiles remembered for the session: a lowering in a process of its own takes seconds."""
    folder = tmp_path_factory.mktemp("remembered")
    kept = {}

    def remember(runtime):
        class Remembering(runtime):
            def compile(self, package, options, out):
                key = (runtime.name, package.digest, options.taps, repr(sorted(options.extra.items())))
                if key not in kept:
                    kept[key] = self._made(package, options, folder / str(len(kept)))
                if isinstance(kept[key], PortsideError):
                    raise kept[key]
                shutil.copytree(kept[key].path, out)
                return replace(kept[key], path=out)

            def _made(self, package, options, out):
                try:
                    return super().compile(package, options, out)
                except PortsideError as error:
                    return error

        return Remembering

    return remember


@pytest.fixture(params=sorted(samples.SAMPLES))
def any_sample(request):
    """Each sample of the conformance suite."""
    return samples.SAMPLES[request.param]()


@pytest.fixture
def mixed(tmp_path):
    """The sample "mixed" and its package."""
    sample = samples.mixed()
    return sample, sample.write(tmp_path / "mixed")


@pytest.fixture
def make_package(tmp_path):
    """(signature, parts, ...) -> Package: parts are (name, ModelProto | Trees) or (name, source text, inputs, outputs)."""

    def make(signature, parts, *, cases=(), rules=None, boundaries=None, only=(), trusted=False, name="made", fault=False):
        stages, files, stored = [], {}, []
        for index, (title, part, *rim) in enumerate(parts):
            if isinstance(part, str):
                file = f"host/{index:02d}-{title}.py"
                files[file] = part.encode()
                stages.append(Stage("host", title, file, tuple(rim[0]), tuple(rim[1]), function=title))
            elif hasattr(part, "graph"):
                stored.append((index, title, part))
                reads, writes = [[value.name for value in side] for side in (part.graph.input, part.graph.output)]
                stages.append(Stage("graph", title, stage_file(index, title, "onnx"), tuple(reads), tuple(writes), only=only))
            else:
                stored.append((index, title, TensorPart(part.to_dict(), part.to_tensors())))
                stages.append(Stage("trees", title, stage_file(index, title, "trees.json"), tuple(rim[0]), tuple(rim[1])))
        files |= _program(stored)
        if cases:
            files[CONTRACT], files[CONTRACT_TENSORS] = Contract(tuple(cases), rules).to_bytes()
        content = Content(signature, tuple(stages), {}, boundaries=boundaries or {})
        return write(content, files, tmp_path / name, Annotations(name=name), trusted=trusted)

    return make


def _program(stored):
    """`pack_files` numbers its parts in a row; host stages between them take numbers too."""
    files = pack_files([(title, part) for _, title, part in stored])
    renamed = {}
    for place, (index, title, part) in enumerate(stored):
        suffix = part.suffix if isinstance(part, TensorPart) else "onnx"
        renamed[stage_file(place, title, suffix)] = stage_file(index, title, suffix)
    return {renamed.get(path, path): data for path, data in files.items()}
