"""What callers name a deployment's champion by: its number in the store, else the beginning of its digest."""

from __future__ import annotations

from ...sdk.core.errors import PortsideError
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
