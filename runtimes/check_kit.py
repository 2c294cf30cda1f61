"""What the checks of `runtimes/checks.py` work with: samples compiled and loaded by the runtime under test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..sdk.core.errors import PortsideError
from ..sdk.core.package import Package
from ..sdk.core.signature import NUMPY, Array, Signature
from .artifact import Artifact, open_artifact
from .base import CompileOptions, LoadOptions, Runtime, Session
from .samples import SAMPLES, Sample

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Loaded:
    """A sample, its package and artifact, and an open session."""

    sample: Sample
    package: Package
    artifact: Artifact
    session: Session


@dataclass(frozen=True)
class Kit:
    """A runtime under test and a folder to work in."""

    runtime: Runtime
    folder: Path

    def package(self, name: str) -> tuple[Sample, Package]:
        """A sample written as a package."""
        sample = SAMPLES[name]()
        return sample, sample.write(self.folder / f"{name}-package")

    def load(self, name: str, options: LoadOptions | None = None) -> Loaded:
        """A sample compiled, audited and loaded."""
        sample, package = self.package(name)
        made = self.runtime.compile(package, CompileOptions(), self.folder / f"{name}-artifact")
        artifact = open_artifact(made.path)
        return Loaded(sample, package, artifact, self.runtime.load(artifact.path, options or LoadOptions()))


def expect(condition: object, message: str) -> None:
    """A check's assertion, which `python -O` keeps."""
    if not condition:
        raise AssertionError(message)


def expect_outputs(signature: Signature, got: Mapping[str, Array], truth: Mapping[str, Array]) -> None:
    """Names, order, dtypes, shapes and values are what they should be."""
    names = [spec.name for spec in signature.outputs]
    expect(list(got) == names, f"outputs are {list(got)}, the signature says {names}")
    for spec in signature.outputs:
        value: Any = got[spec.name]
        wanted = truth[spec.name]
        expect(isinstance(value, np.ndarray), f"{spec.name} is a {type(value).__name__}, not an array")
        expect(value.dtype == NUMPY[spec.dtype], f"{spec.name} is {value.dtype}, the signature says {spec.dtype}")
        expect(value.shape == wanted.shape, f"{spec.name} has shape {value.shape}, expected {wanted.shape}")
        close = np.allclose(value, wanted, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        expect(close, f"{spec.name} differs from the truth: {value!r}, expected {wanted!r}")


def refusal(act: Callable[[], object], *kinds: type[PortsideError]) -> PortsideError:
    """The error with which `act` refuses, which must be one of `kinds`."""
    try:
        act()
    except kinds as error:
        return error
    raise AssertionError(f"nothing was refused, expected {' or '.join(kind.__name__ for kind in kinds)}")
