"""A Release: the index of one package and its artifacts by platform, as pure data: what devices and pages receive.

Edge and cloud meet here and in Record. A release says what each artifact was compiled for, where it runs, how large it
is and what its verification said; the bytes themselves lie in a store. Its digest is that of the OCI index that holds it,
so a registry, a store and a signature mean the same thing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .canonical import check_digest
from .errors import FormatError, StoreError

ANY = "any"
"""The platform of an artifact that runs wherever its engine does."""
_PLATFORM = re.compile(r"[a-z0-9]+(/[a-z0-9._-]+){0,2}")


@dataclass(frozen=True)
class ReleasePart:
    """One artifact of a release.

    Attributes:
        target: name of the runtime that loads it.
        platform: "any", or what it was built for, e.g. "linux/arm64" or "cuda/sm_90".
        artifact: the artifact's digest.
        verdict: what verification said when it was compiled: "passed", or "not enough data" where that was allowed.
        size_bytes: bytes to ship, every file of the artifact.
    """

    target: str
    platform: str
    artifact: str
    verdict: str
    size_bytes: int

    def __post_init__(self) -> None:
        check_digest(self.artifact, "An artifact of a release")
        if not _PLATFORM.fullmatch(self.platform):
            raise FormatError("A platform is a word, or words with slashes", got=self.platform, expected="any, linux/arm64, cuda/sm_90")

    @property
    def label(self) -> str:
        """ "tflite", or "tensorrt on cuda/sm_90" where it does not run everywhere."""
        return self.target if self.platform == ANY else f"{self.target} on {self.platform}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Release:
    """One package and its artifacts.

    Attributes:
        name: of the package.
        package: its digest.
        parts: the artifacts, by target and platform.
        digest: of the release itself, "sha256:...".
    """

    name: str
    package: str
    parts: tuple[ReleasePart, ...]
    digest: str

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets that it has an artifact for."""
        return tuple(dict.fromkeys(part.target for part in self.parts))

    def part(self, target: str, platform: str | None = None) -> ReleasePart:
        """The artifact for a target, on this platform or on any.

        Raises StoreError naming what there is.
        """
        fitting = [part for part in self.parts if part.target == target and part.platform in (platform or part.platform, ANY)]
        if not fitting:
            raise StoreError(f"The release of {self.name!r} has no artifact for {target}" + (f" on {platform}" if platform else ""),
                             expected=", ".join(part.label for part in self.parts))  # fmt: skip
        return max(fitting, key=lambda part: part.platform != ANY)  # one made for the platform before one that runs anywhere

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        parts = [part.to_dict() for part in self.parts]
        return {"name": self.name, "package": self.package, "digest": self.digest, "artifacts": parts}

    def __repr__(self) -> str:
        """One line: what a notebook shows."""
        return f"<Release of {self.name!r}: {', '.join(part.label for part in self.parts)}; {self.digest[:19]}>"


def ordered(parts: Sequence[ReleasePart]) -> tuple[ReleasePart, ...]:
    """Parts by target and platform, one each. Raises FormatError for none, and for two of the same."""
    if not parts:
        raise FormatError("A release holds at least one artifact")
    held: dict[tuple[str, str], ReleasePart] = {}
    for part in parts:
        if (part.target, part.platform) in held:
            raise FormatError("A release holds one artifact per target and platform", got=f"two for {part.label}")
        held[part.target, part.platform] = part
    return tuple(held[key] for key in sorted(held))


def part_notes(part: ReleasePart) -> dict[str, str]:
    """The part as annotations of its descriptor in the OCI index."""
    return {f"vnd.portside.{key}": str(value) for key, value in part.to_dict().items()}


def part_of(notes: Mapping[str, str]) -> ReleasePart:
    """What `part_notes` wrote. Raises FormatError."""
    try:
        given = {key: notes[f"vnd.portside.{key}"] for key in ("target", "platform", "artifact", "verdict")}
        return ReleasePart(**given, size_bytes=int(notes["vnd.portside.size_bytes"]))
    except (KeyError, ValueError) as error:
        raise FormatError(f"An artifact of a release is malformed: {error!r}") from error
