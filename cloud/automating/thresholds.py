"""The file of thresholds: what `portside automation fit` found, for which model, and on what. One per deployment, replaced in one step.

A threshold holds for the package, the score and the output that it was fitted on, so a file that was fitted on others is refused: a model
that changed starts again at "nothing is automated".
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...sdk.core.errors import FormatError
from ...sdk.core.manifest import digest_of
from .fitting import Point, Threshold

VERSION = 1
REST = ""
"""The key of the rows that are in no slice."""


@dataclass(frozen=True)
class Fitted:
    """Thresholds by slice.

    Attributes:
        deployment, package: name, and digest of the champion.
        score, output: whose answers were labelled.
        fitted_ms: when; Unix milliseconds. Checks of later answers say whether it still holds.
        slices: "field=value", or "" for all other rows -> what was found.
        left_out: why labels were not used -> how many.
    """

    deployment: str
    package: str
    score: str
    output: str
    fitted_ms: int
    slices: Mapping[str, Threshold]
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])

    def value(self, name: str = REST) -> float | None:
        """The threshold of a slice; None: nothing is automated there."""
        found = self.slices.get(name)
        return None if found is None else found.value

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"version": VERSION, **vars(self), "slices": {name: held.to_dict() for name, held in self.slices.items()},
                "left_out": dict(self.left_out)}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Fitted:
        """Parse. Raises KeyError, TypeError, ValueError."""
        if data["version"] != VERSION:
            raise ValueError(f"it is of version {data['version']}, and this Portside reads {VERSION}")
        slices = {name: _threshold(held) for name, held in data["slices"].items()}
        known = {name: data[name] for name in ("deployment", "package", "score", "output", "fitted_ms")}
        return cls(**known, slices=slices, left_out=dict(data.get("left_out", {})))


def read_thresholds(path: Path) -> Fitted | None:
    """The file; None where there is none yet. Raises FormatError."""
    try:
        return Fitted.from_dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"The file of thresholds cannot be read: {error}", got=str(path),
                          fix="Fit them again: portside automation fit DEPLOYMENT.toml") from error  # fmt: skip


def write_thresholds(path: Path, fitted: Fitted) -> None:
    """Written in one step: a server that starts meanwhile reads the old one or the new one. Raises FormatError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", delete=False, encoding="utf-8") as file:
            json.dump(fitted.to_dict(), file, indent=1, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
    except OSError as error:
        raise FormatError(f"The file of thresholds cannot be written: {error}", got=str(path)) from error


def keep_thresholds(folder: Path, fitted: Fitted | None) -> Path:
    """A copy that stays as it is: a worker that comes back serves what was taken up, whatever was fitted since.

    Without thresholds the path of a file that there is not. Raises FormatError.
    """
    if fitted is None:
        return folder / "no-thresholds.json"
    path = folder / f"thresholds-{digest_of(fitted.to_dict()).removeprefix('sha256:')[:16]}.json"
    if not path.is_file():
        write_thresholds(path, fitted)
    return path


def check_fitted(fitted: Fitted, path: Path, package: str, score: str, output: str) -> None:
    """Raise FormatError unless the thresholds were fitted on these answers."""
    for what, got, expected in (("package", fitted.package, package), ("score", fitted.score, score), ("output", fitted.output, output)):
        if got != expected:
            raise FormatError(f"The thresholds in {path.name} were fitted on another {what}", got=got, expected=expected,
                              fix="Fit them again, or remove the file: until then nothing is automated.")  # fmt: skip


def check_promise(found: Threshold, path: Path, name: str, target_error: float, delta: float, people_error: float) -> None:
    """Raise FormatError where a threshold was fitted for a weaker promise than the deployment's."""
    weaker = found.target_error > target_error or found.delta > delta or found.people_error > people_error
    if weaker:
        where = f" for {name}" if name else ""
        raise FormatError(f"The threshold{where} in {path.name} was fitted for a weaker promise than this deployment makes",
                          got=(found.target_error, found.delta, found.people_error), expected=(target_error, delta, people_error),
                          fix="Fit again: portside automation fit DEPLOYMENT.toml")  # fmt: skip


def _threshold(data: Mapping[str, Any]) -> Threshold:
    at = None if data["at"] is None else Point(**data["at"])
    held: dict[str, Any] = {**data, "at": at, "curve": tuple(Point(**point) for point in data["curve"])}
    return Threshold(**held)
