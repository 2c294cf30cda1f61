"""What callers name a deployment's champion by: its number in the store, else the beginning of its digest."""

from __future__ import annotations

from collections.abc import Sequence

from ...sdk.core.errors import FormatError, PortsideError
from ...sdk.store_reference import Reference
from .resolving import Resolved

DIGITS = 12


def version_of(resolved: Resolved) -> str:
    """"3" for the reference "cell:3"; for a folder, a tag (which moves) or no version, 12 hex digits of the digest."""
    champion, folder = resolved.champion, resolved.deployment.folder
    reference = champion.settings.package
    if not (folder / reference).is_dir():
        try:
            number = Reference.parse(reference).number
        except PortsideError:
            number = None  # a folder elsewhere
        if number is not None:
            return str(number)
    return champion.digest.removeprefix("sha256:")[:DIGITS]


def check_distinct(deployments: Sequence[Resolved]) -> None:
    """Raise FormatError where two deployments of one server could not be told apart by name and version."""
    seen: dict[tuple[str, str], Resolved] = {}
    for place, one in enumerate(deployments):
        name, version = one.deployment.name, version_of(one)
        before = seen.setdefault((name, version), one)
        if before is not one:
            raise FormatError(f"Two deployments are called {name!r} and have the same version of a champion", got=version,
                              fix=f"Give {one.deployment.path.name} another name, or another package.")  # fmt: skip
        if place and name == "predict":
            raise FormatError("Only the first deployment may be called 'predict', which is its route", got=one.deployment.path.name)
