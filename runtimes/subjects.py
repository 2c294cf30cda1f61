"""What `verify` and `evaluate` are asked about: an artifact or a package, as a value, a folder or a name in the store."""

from __future__ import annotations

from pathlib import Path

from ..sdk.core.contract import Contract
from ..sdk.core.errors import FormatError
from ..sdk.core.manifest import CONTRACT, CONTRACT_TENSORS
from ..sdk.core.package import Package
from ..sdk.opening import open as open_package
from .artifact import DESCRIPTION, Artifact, open_artifact

BATCH = 128
"""Rows that are run at once."""


def opened(subject: Artifact | Package | Path | str, trust: bool = False) -> Artifact | Package:
    """The subject, audited if it is a folder. Raises FormatError, IntegrityError, StoreError."""
    if isinstance(subject, Artifact | Package):
        return subject
    if (Path(subject).expanduser() / DESCRIPTION).is_file():
        return open_artifact(Path(subject).expanduser())
    return open_package(subject, trust=trust)


def contract_of(package: Package) -> Contract:
    """The contract of a package. Raises FormatError when it has none."""
    if CONTRACT not in package.content.files:
        raise FormatError("The package has no contract", got=str(package.path), fix="Pack it again with examples.")
    return Contract.from_bytes(package.read(CONTRACT), package.read(CONTRACT_TENSORS))
