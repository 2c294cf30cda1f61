"""What every section of a deployment file is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Days = Annotated[float, Field(gt=0, le=36_500)]
"""A span of at most a hundred years: as milliseconds, and taken from now, it is still a time that databases hold."""
Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base of every section: unknown keys, `inf` and `nan` are refused, values are never coerced, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
