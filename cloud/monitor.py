"""The hook of a deployment's owner: what a monitor may be told, and what it answers.

A hook is an object with any of the three methods of `Monitor`, or one function whose parameter is named `record`, `label` or `window`:

    def too_dark(window):
        brightness = window.profile.fields["trait.photo.brightness"].mean
        yield ps.Finding("too-dark", value=brightness, limit=40, verdict="breach" if brightness < 40 else "ok")

Hooks run in processes of their own, beside the serving ones. One that fails, hangs or is slow is counted, and stops nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Any, Literal, Protocol, cast

from ..sdk.core.labels import Label
from ..sdk.core.profile import Profile
from ..sdk.core.records import Record
from ..sdk.core.window import Window

Severity = Literal["info", "warning", "critical"]
Verdict = Literal["breach", "ok", "not enough data"]


@dataclass(frozen=True)
class Finding:
    """What was found about one subject in one span of time.

    Attributes:
        name: what was looked at: "drift", "quality", "slo", or a name of your own.
        subject: of what: a field, a slice, an output; "" for the whole deployment.
        value: the figure; NaN where there is none.
        verdict: "not enough data" neither raises nor ends an alert.
        what: a sentence for a person.
        severity: of the alert, where its rule does not say.
        low, high: the interval of `value`, where it has one.
        limit: what it was held against.
        evidence: JSON-ready: "plot" (data of a plot), "records" (ids), whatever explains it.
    """

    name: str
    subject: str = ""
    value: float = nan
    verdict: Verdict = "ok"
    what: str = ""
    severity: Severity = "warning"
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; a figure that does not exist is None."""
        return {**vars(self), "evidence": dict(self.evidence)} | {
            name: _number(getattr(self, name)) for name in ("value", "low", "high", "limit")
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """Parse what `to_dict` wrote; unknown keys are left out."""
        values: dict[str, Any] = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        values["value"] = nan if data.get("value") is None else float(data["value"])
        return cls(**values)


class Monitor(Protocol):
    """What a hook may be told. Each method is optional; a class that inherits from this one has the others as they stand here."""

    def on_record(self, record: Record) -> None:
        """One request was answered. Records come in the order in which they were stored, each at least once."""
        ...

    def on_label(self, label: Label, record: Record | None) -> None:
        """A label came, or a correction of one. `record`: what it is about, None where that is not kept any more."""
        ...

    def on_window(self, window: Window, reference: Window | Profile | None) -> Iterable[Finding] | None:
        """A span of time has ended. `reference`: what it is held against, the training profile or a past window."""
        ...


def findings_of(answer: Any, name: str) -> list[Finding]:
    """What a hook's `on_window` answered, as findings.

    Args:
        answer: None, a Finding, an iterable of them, or a number: the value of a finding called `name`.
        name: of the hook.

    Raises:
        TypeError: something else.
    """
    if answer is None:
        return []
    if isinstance(answer, Finding):
        return [answer]
    if isinstance(answer, bool | int | float):
        return [Finding(name, value=float(answer))]
    found = list(cast("Iterable[Any]", answer))
    if wrong := [item for item in found if not isinstance(item, Finding)]:
        raise TypeError(f"a hook answers findings, not {type(wrong[0]).__name__}")
    return found


def _number(value: float | None) -> float | None:
    return None if value is None or not isfinite(value) else float(value)
