"""What a comparison says: options, one field, all of them. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

from ..errors import InputError
from ..statistics import MIN_ROWS, Estimate

Verdict: TypeAlias = Literal["drift", "stable", "not enough data"]


@dataclass(frozen=True)
class DriftOptions:
    """How to compare.

    Attributes:
        alpha: probability that anything is called drift although nothing changed by more than is tolerated, over all fields together,
            in this one comparison. Who looks again and again divides a budget over the looks (`watch.Watch`).
        effect: a share of rows that may lie elsewhere without being drift, in every field.
        tolerances: field -> the same for this field, where it is larger: how far it wanders when all is well (`Watch.learn`).
        visible: "stable" is said only where so many rows beyond what is tolerated would have shown; otherwise "not enough data".
        least: fewer rows than these are never enough.
        confidence: of the intervals that are shown.
    """

    alpha: float = 0.01
    effect: float = 0.05
    tolerances: Mapping[str, float] = field(default_factory=dict[str, float])
    visible: float = 0.3
    least: int = MIN_ROWS
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name in ("alpha", "visible", "confidence"):
            if not 0 < getattr(self, name) < 1:
                raise InputError("An option of a comparison is a share", field=name, got=getattr(self, name), expected="between 0 and 1")
        if not 0 <= self.effect < 1:
            raise InputError("An option of a comparison is a share", field="effect", got=self.effect, expected="0 or more, and below 1")

    def tolerance(self, name: str) -> float:
        """What is tolerated in a field."""
        return max(self.effect, self.tolerances.get(name, 0.0))


@dataclass(frozen=True)
class FieldDrift:
    """How far one field has moved.

    Attributes:
        field: its name.
        kind: "number" or "category".
        reference_rows, rows: rows with a value, of both sides.
        effect: the share of rows that lie elsewhere, in [0, 1]: the largest distance of the distribution functions (KS) for numbers,
            the total variation for categories. Its interval holds the sketches' error.
        error: the most by which the sketches of both sides can have moved `effect`.
        missing: the change of the share of missing values, with its interval.
        psi: population stability index over tenths of the reference, or over categories.
        ks_p, chi2, chi2_p: the usual tests of "nothing changed at all", of this field alone; None where they do not apply.
        wasserstein: how far values moved on average, in standard deviations of the reference; None for categories.
        p: corrected over fields: of "no more changed than is tolerated". What the verdict is taken from.
        tolerance: what is tolerated.
        visible: the smallest effect that this many rows would have shown.
        verdict: "drift", "stable" or "not enough data".
    """

    field: str
    kind: Literal["number", "category"]
    reference_rows: int
    rows: int
    effect: Estimate
    error: float
    missing: Estimate
    psi: float
    p: float
    tolerance: float
    visible: float
    verdict: Verdict
    ks_p: float | None = None
    chi2: float | None = None
    chi2_p: float | None = None
    wasserstein: float | None = None

    @property
    def what(self) -> str:
        """A sentence."""
        if self.verdict == "not enough data":
            return f"{self.field}: {self.rows} rows are not enough data, for only a change of {min(self.visible, 1):.0%} of rows would show"
        share = f"{self.effect.value:.0%} [{self.effect.low:.0%}, {self.effect.high:.0%}]"
        gone = f", missing values {self.missing.value:+.1%}" if abs(self.missing.value) >= 0.001 else ""
        return f"{self.field}: {share} of rows lie elsewhere{gone} (PSI {self.psi:.2g}, p {self.p:.1g}): {self.verdict}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**vars(self), "effect": self.effect.to_dict(), "missing": self.missing.to_dict(), "visible": min(self.visible, 1.0)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FieldDrift:
        """Parse what `to_dict` wrote."""
        known = {item.name for item in fields(cls)}
        shares = {name: Estimate(**{key: _number(value) for key, value in data[name].items()}) for name in ("effect", "missing")}
        values: dict[str, Any] = {**{name: value for name, value in data.items() if name in known}, **shares}
        return cls(**values)


@dataclass(frozen=True)
class DriftReport:
    """All fields of a comparison, those that moved most first.

    Attributes:
        fields: of both sides.
        absent: fields of the reference that the current side lacks; new: the other way round.
        alpha: of the comparison.
    """

    fields: tuple[FieldDrift, ...] = ()
    absent: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    alpha: float = 0.01

    @property
    def drifted(self) -> tuple[FieldDrift, ...]:
        """The fields with drift."""
        return tuple(one for one in self.fields if one.verdict == "drift")

    @property
    def verdict(self) -> Verdict:
        """ "drift" where a field has it, "stable" where any field could be judged, else "not enough data"."""
        verdicts = {one.verdict for one in self.fields}
        return "drift" if "drift" in verdicts else "stable" if "stable" in verdicts else "not enough data"

    @property
    def what(self) -> str:
        """A sentence."""
        if self.verdict != "drift":
            return f"{len(self.fields)} fields: {self.verdict}"
        named = "; ".join(one.what for one in self.drifted[:3])
        return f"{len(self.drifted)} of {len(self.fields)} fields drifted: {named}{'; ...' if len(self.drifted) > 3 else ''}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"verdict": self.verdict, "alpha": self.alpha, "fields": [one.to_dict() for one in self.fields],
                "absent": list(self.absent), "new": list(self.new)}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DriftReport:
        """Parse what `to_dict` wrote."""
        return cls(tuple(FieldDrift.from_dict(one) for one in data["fields"]), tuple(data["absent"]), tuple(data["new"]), data["alpha"])


def _number(value: Any) -> Any:
    return float("nan") if value is None else value
