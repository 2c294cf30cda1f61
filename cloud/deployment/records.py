"""The `[records]` section: where records go, how much may wait for it, what of a request is kept, and for how long."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from ...sdk.core.errors import FormatError
from .base import Count, Days, Positive, Section

LOCAL = "records.sqlite"


class Records(Section):
    """Where records go, and what they hold.

    Attributes:
        enabled: False: nothing is written.
        path: of a SQLite file, relative to the deployment file.
        url_env: name of an environment variable that holds the URL of a PostgreSQL database; instead of `path`.
        queue, queue_mb: records that may wait to be written, and megabytes of their tensors; more are lost, and counted.
        raw_limit_bytes: larger tensors are described (shape, dtype, sha256), not kept.
        features: boundaries of the program ("features") whose values are kept for the rows answered.
        traits: figures of images, texts and sound (brightness, length, loudness) are taken and kept.
        keep_days, keep_mb: older records are deleted; the oldest are, while all take more than this. None: they stay.
    """

    enabled: bool = True
    path: str | None = None
    url_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    queue: Count = 10_000
    queue_mb: Positive = 64.0
    raw_limit_bytes: Annotated[int, Field(ge=0)] = 4096
    features: list[str] = Field(default_factory=list[str])
    traits: bool = True
    keep_days: Days | None = None
    keep_mb: Positive | None = None

    @model_validator(mode="after")
    def _one(self) -> Records:
        if self.path is not None and self.url_env is not None:
            raise ValueError("records go to a path or to a url_env, not to both")
        if len(set(self.features)) != len(self.features):
            raise ValueError("features names a boundary twice")
        return self

    def place(self, folder: Path) -> Path | str:
        """The SQLite file, or the URL of the database; `folder`: of the deployment file. Raises FormatError where nothing says it."""
        if self.url_env is None:
            return folder / (self.path or LOCAL)
        if not (url := os.environ.get(self.url_env)):
            raise FormatError("The environment does not say where records go", got=f"no {self.url_env}",
                              expected="postgresql://user:password@host/name",
                              fix=f"Set {self.url_env}, or give [records] a path.")  # fmt: skip
        return url
