"""`release`: compiled, proven artifacts of one package become a Release in the store: what devices and pages receive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..sdk.core.errors import ContractError, FormatError
from ..sdk.core.release import ANY, Release, ReleasePart
from ..sdk.store import Store
from ..sdk.store_release import Compiled
from .artifact import DESCRIPTION, Artifact, open_artifact


class Signs(Protocol):
    """What makes a release one that devices install: `portside.Signing`."""

    def publish(self, store: Store, release: Release) -> object:
        """Sign a release that the store holds."""
        ...


def release(artifacts: Sequence[Artifact | Path | str], store: Store | None = None, *, sign: Signs | None = None) -> Release:
    """Put artifacts of one package, one per target and platform, into the store as a release.

    Every file is read and compared with its digest first, and every artifact must say that it was proven.

    Args:
        artifacts: what `compile` returned, or its folders.
        store: default the user's ($PORTSIDE_HOME, else ~/.portside); it must hold the package.
        sign: publishes the release, signed, for devices; `portside.Signing("releases", keys=[...])`. Where that fails the release is in
            the store, unsigned, and the same call tries again.

    Raises:
        FormatError: artifacts of different packages, two for one target, or none; a release that was signed before.
        ContractError: an artifact that was compiled without proof.
        IntegrityError: a file was changed after it was compiled.
        StoreError: the store does not hold the package.
        TrustError: too few keys sign, or one cannot be opened.
    """
    opened = [open_artifact(item.path if isinstance(item, Artifact) else Path(item)) for item in artifacts]
    packages = sorted({artifact.package_digest for artifact in opened})
    if len(packages) != 1:
        raise FormatError("A release holds artifacts of one package", got=", ".join(packages) or "no artifact",
                          fix="Compile all of them from the same package.")  # fmt: skip
    place = store or Store()
    made = place.put_release(packages[0], [_compiled(artifact) for artifact in opened])
    if sign is not None:
        sign.publish(place, made)
    return made


def _compiled(artifact: Artifact) -> Compiled:
    verdict = str(artifact.verified.get("verdict", "nothing"))
    if verdict != "passed" and not artifact.verified.get("allow_unproven"):
        raise ContractError("An artifact that is not proven cannot be released", got=f"{artifact.target}: {verdict}", expected="passed",
                            fix="Compile it with its proof (prove=True).")  # fmt: skip
    described = (artifact.path / DESCRIPTION).stat().st_size
    size = described + sum(entry.size for entry in artifact.files.values())
    part = ReleasePart(artifact.target, str(artifact.engine.get("platform", ANY)), artifact.digest, verdict, size)
    return Compiled(part, artifact.path, artifact.files)
