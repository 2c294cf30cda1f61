"""What `verify` and `evaluate` are asked about: an artifact or a package, as a value, a folder or a name in the store."""

from __future__ import annotations

from math import prod
from pathlib import Path

from ..sdk.core import golden
from ..sdk.core.codec.codec import Codec
from ..sdk.core.contract import Contract
from ..sdk.core.errors import FormatError
from ..sdk.core.manifest import CONTRACT, CONTRACT_TENSORS
from ..sdk.core.package import Package
from ..sdk.core.signature import NUMPY, Signature
from ..sdk.opening import open as open_package
from .artifact import DESCRIPTION, Artifact, open_artifact

MANY, FEW = 128, 16
"""Rows that are run at once: of small fixed size, and others."""


def opened(subject: Artifact | Package | Path | str, trust: bool = False) -> Artifact | Package:
    """The subject, audited if it is a folder. Raises FormatError, IntegrityError, StoreError."""
    if isinstance(subject, Artifact | Package):
        return subject
    if (Path(subject).expanduser() / DESCRIPTION).is_file():
        return open_artifact(Path(subject).expanduser())
    return open_package(subject, trust=trust)


def codec_of(model: Package | Artifact) -> Codec:
    """What stands between wire fields and typed tensors. Raises FormatError."""
    return Codec.from_steps(model.content.codec if isinstance(model, Package) else model.codec, model.read)


def rows_at_once(signature: Signature) -> int:
    """Rows of a batch of held-out data.

    Texts of one batch are padded to its longest, and the inner values of pictures leave the CPU's caches, so few of them
    at once take half the time and an eighth of the memory. Small rows cost mostly the call itself. A program whose rows are a
    fixed number is given just these.
    """
    fixed = golden.fixed_rows(signature) if golden.batched(signature) else None
    if fixed is not None:
        return fixed
    if golden.free_dimensions(signature):
        return FEW
    sizes = [(spec, [size for size in spec.shape if isinstance(size, int)]) for spec in golden.batched(signature)]
    row_bytes = sum(prod(shape) * NUMPY[spec.dtype].itemsize for spec, shape in sizes)
    return MANY if row_bytes <= golden.SMALL else FEW


def contract_of(package: Package) -> Contract:
    """The contract of a package. Raises FormatError when it has none."""
    if CONTRACT not in package.content.files:
        raise FormatError("The package has no contract", got=str(package.path), fix="Pack it again with examples.")
    return Contract.from_bytes(package.read(CONTRACT), package.read(CONTRACT_TENSORS))


def contract_for(artifact: Artifact, package: Package | None) -> Contract:
    """The contract that an artifact is held against: its own, or its package's where it travels without golden rows.

    Raises FormatError when neither is at hand, and when `package` is another than it was compiled from.
    """
    if package is not None and package.digest != artifact.package_digest:
        raise FormatError("The artifact was not compiled from this package", got=package.digest, expected=artifact.package_digest)
    if CONTRACT in artifact.files:
        return artifact.contract()
    if package is None:
        raise FormatError(f"The {artifact.target} artifact of {artifact.name!r} carries no golden rows: they may not be shown in public",
                          fix="Give the package that it was compiled from: package=..., or --package.")  # fmt: skip
    return contract_of(package)
