"""The `[retrain]` section: when a candidate is trained, by which command of the user's, on which labelled rows."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ...sdk.core.errors import PortsideError
from ...sdk.store_reference import Reference, check_name
from .base import Count, Days, Positive, Section, Share

Word = Annotated[str, Field(min_length=1)]


def _checked(check: Callable[[str], object], text: str) -> str:
    """Raise ValueError where `check` raises an error of ours."""
    try:
        check(text)
    except PortsideError as error:
        raise ValueError(str(error)) from error
    return text


class Rows(Section):
    """The dataset that the command is given: labelled rows of this deployment, split so that nothing leaks.

    Attributes:
        days: of so many days; None: all that are kept.
        split: "hash": at random, stable while labels come; "time": the latest rows test.
        fractions: split -> share. Rows of "test" are held back for the gates.
        seed, near: see docs/review.md, datasets.
    """

    days: Days | None = None
    split: Literal["hash", "time"] = "hash"
    fractions: dict[str, Share] = Field(default_factory=lambda: {"train": 0.7, "validation": 0.1, "test": 0.2})
    seed: int = 0
    near: Share | None = None

    @model_validator(mode="after")
    def _meant(self) -> Rows:
        if not {"train", "test"} <= set(self.fractions):
            raise ValueError("the fractions of a dataset for training name 'train' and 'test'")
        if abs(sum(self.fractions.values()) - 1) > 1e-9:
            raise ValueError("the fractions of a dataset sum to 1")
        return self


class Retrain(Section):
    """When and how.

    Attributes:
        command: the training command, run in the folder of the deployment file; no shell. It is told what to do by the environment
            (PORTSIDE_DATASET, PORTSIDE_OUT, PORTSIDE_CHAMPION, PORTSIDE_WEIGHTS, PORTSIDE_CHECKPOINTS, PORTSIDE_RUN) and leaves a package
            at PORTSIDE_OUT.
        weights: "new": trained from the beginning; "champion": on from the champion's weights. It is told to the command.
        name: of the candidates in the store; None: that of the champion's package.
        timeout_minutes: then the command is ended, and the run has failed.
        on_alerts: names of alerts that ask for training when they fire, each time once.
        on_labels: so many new labels do; None: they do not.
        every_days: so much time does.
        on_upstream: packages in the store, such as "backbone:prod": training is asked for when one is another than last time.
        min_labels: labelled rows without which nothing is trained.
        cooldown_hours: between the beginnings of two runs, whatever asks; also after one that failed.
        rollout: a candidate that passes its gates is tried at once, where [rollout] names it ("NAME:candidate").
        keep: folders of runs that stay.
        rows: see Rows.
    """

    command: Word | Annotated[list[Word], Field(min_length=1)]
    weights: Literal["new", "champion"] = "new"
    name: str | None = None
    timeout_minutes: Positive = 120.0
    on_alerts: list[str] = Field(default_factory=lambda: ["drift"])
    on_labels: Count | None = None
    every_days: Days | None = None
    on_upstream: list[str] = Field(default_factory=list[str])
    min_labels: Count = 100
    cooldown_hours: Annotated[float, Field(ge=0, le=876_000)] = 24.0
    rollout: bool = True
    keep: Count = 10
    rows: Rows = Rows()

    @model_validator(mode="after")
    def _meant(self) -> Retrain:
        if not self.words:
            raise ValueError("the command is empty")
        if "\0" in "".join(self.words):
            raise ValueError("no program can be given a word with a NUL character in it")
        return self

    @field_validator("name")
    @classmethod
    def _stored(cls, name: str | None) -> str | None:
        """Said here, not by the store after hours of training."""
        return name if name is None else _checked(check_name, name)

    @field_validator("on_upstream")
    @classmethod
    def _references(cls, references: list[str]) -> list[str]:
        return [_checked(Reference.parse, one) for one in references]

    @property
    def words(self) -> list[str]:
        """The command as the system takes it."""
        return shlex.split(self.command) if isinstance(self.command, str) else list(self.command)
