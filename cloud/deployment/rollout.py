"""The `[rollout]` section: a challenger beside the champion, how it comes to traffic, what it must show, and who is asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, model_validator

from ...runtimes.base import Isolation
from .automation import SliceName
from .base import Count, Days, Positive, Section, Share
from .sections import Model

Mode: TypeAlias = Literal["shadow", "canary", "blue-green"]
Asked: TypeAlias = Literal["canary", "step", "promote"]


class Challenger(Model):
    """A package that is tried beside the champion. A shadow that wedges or crashes takes a process of its own with it, nothing else."""

    isolation: Isolation = "process"


class Limits(Section):
    """How much worse a challenger may be. Every limit is tested with the same kind of sequence, over everyone and in each slice.

    Attributes:
        errors: share of requests that it fails (crashed, too late, non-finite), above the champion's.
        latency_ms: answers that take longer are late; None: the deployment's deadline, without which nobody is late.
        late: share of its answers that may be late: in shadow of all, in traffic above the champion's.
        disagreement: share of rows in which its decisions may differ from the champion's; None: not judged. In shadow only.
        accuracy_drop: share of labelled rows that it may get wrong above the champion's.
        slice_factor: in a slice every limit is so many times wider.
    """

    errors: Share = 0.01
    latency_ms: Positive | None = None
    late: Share = 0.01
    disagreement: Share | None = None
    accuracy_drop: Share = 0.02
    slice_factor: Annotated[float, Field(ge=1)] = 2.0


class Rollout(Section):
    """What is tried, and how.

    Attributes:
        mode: "shadow": challengers answer beside the champion and nobody is given it; "canary": a growing share of entities is given it;
            "blue-green": everyone is, at once, and the champion stays warm.
        challenger: a package, a package with settings, or in shadow several of them.
        shadow_first: a canary or blue-green rollout is a shadow until its limits are shown to hold there.
        steps: shares of a canary, growing.
        first: the first step of a canary goes to the rows of this slice alone ("line=test").
        slices: input fields by whose values everything is also judged apart.
        alpha: chance of a promotion although a limit does not hold, and that of a rollback although all do, however often one looks.
        accuracy: "when there": labels count where they come, and min_rows of them are asked for a proof; "required": no promotion
            without; "off": never.
        gain: accuracy that it must be shown to have above the champion's; 0: that it is no worse is enough.
        min_rows, min_minutes: of a step, before anything but a rollback is decided.
        watch_minutes: how long after a promotion a fault still rolls it back.
        max_days: then a person is paged, and nothing is promoted any more.
        approve: steps that wait for a person: "canary" (its beginning), "step" (each), "promote".
        limits: see Limits.
    """

    mode: Mode = "canary"
    challenger: str | Challenger | Annotated[list[Challenger], Field(min_length=1)]
    shadow_first: bool = True
    steps: list[Share] = Field(default_factory=lambda: [0.01, 0.05, 0.2, 0.5])
    first: SliceName | None = None
    slices: list[str] = Field(default_factory=list[str])
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.05
    accuracy: Literal["when there", "required", "off"] = "when there"
    gain: Annotated[float, Field(ge=0, lt=1)] = 0.0
    min_rows: Count = 200
    min_minutes: Annotated[float, Field(ge=0)] = 5.0
    watch_minutes: Annotated[float, Field(ge=0)] = 60.0
    max_days: Days = 14.0
    approve: list[Asked] = Field(default_factory=list[Asked])
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _meant(self) -> Rollout:
        if len(self.challengers) > 1 and self.mode != "shadow":
            raise ValueError(f"mode {self.mode!r} tries one challenger; several can be compared in mode 'shadow'")
        if self.steps != sorted(set(self.steps)) or not self.steps:
            raise ValueError("the steps of a canary are shares that grow")
        if self.mode == "canary" and self.steps[-1] >= 1:
            raise ValueError("a step of a canary leaves somebody to the champion; the switch to everyone follows the last step by itself")
        if self.first is not None and self.mode != "canary":
            raise ValueError("'first' is the first step of a canary")
        if len(set(self.slices)) < len(self.slices):
            raise ValueError("a field stands twice in slices")
        return self

    @property
    def challengers(self) -> tuple[Challenger, ...]:
        """All of them, with their settings."""
        given: Any = self.challenger
        if isinstance(given, str):
            return (Challenger(package=given),)
        return tuple(given) if isinstance(given, list) else (given,)
