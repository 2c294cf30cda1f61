"""A window: what the records of a span of time say together. Windows merge, so that minutes make hours and hours make days.

    >>> Window().merge(Window(deployment="defects", requests=3, rows=5)).rows
    5

Merging is commutative and associative, with the empty window as identity: counts, moments and confusion exactly (up to rounding),
quantiles up to `Sketch.error`. `to_dict` and `from_dict` are JSON both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .errors import FormatError, InputError
from .labels import Label
from .profile import Profile
from .quality import Quality
from .records import Record
from .signature import Signature
from .sketch import Sketch
from .traits import TRAIT
from .window_quality import judged
from .window_rows import Rows, brief
from .window_slices import masks

MAX_SLICES = 50
"""Values of one slice that are kept apart; of more, the rarest are one slice, "(other)"."""


@dataclass(frozen=True)
class Window:
    """The records of a span.

    Attributes:
        deployment: its name.
        start_ms, end_ms: Unix milliseconds, the end not included; equal where nothing is known.
        requests, rows: a request may hold several rows.
        profile: fields "in.x", "in.x[3]", "out.label", "feature.x[3]", "trait.image.brightness".
        answers: "model|reason" -> requests.
        arms: arm -> requests.
        flags: "field|why" -> rows: out of range, unknown, absent.
        errors: "entry:reason" -> attempts of entries that did not answer.
        latency, model_latency: milliseconds, of requests.
        late: requests past their deadline.
        confidence: of rows.
        classes: decided output -> class -> rows.
        quality: output -> how right it was, of rows with a label.
        slices: "cell=poly" -> the same without slices.
        packages: digest of a champion that answered here (no device) -> requests; two: the server took up another one meanwhile.
    """

    deployment: str = ""
    start_ms: int = 0
    end_ms: int = 0
    requests: int = 0
    rows: int = 0
    profile: Profile = field(default_factory=Profile)
    answers: Mapping[str, int] = field(default_factory=dict[str, int])
    arms: Mapping[str, int] = field(default_factory=dict[str, int])
    flags: Mapping[str, int] = field(default_factory=dict[str, int])
    errors: Mapping[str, int] = field(default_factory=dict[str, int])
    latency: Sketch = field(default_factory=Sketch)
    model_latency: Sketch = field(default_factory=Sketch)
    late: int = 0
    confidence: Sketch = field(default_factory=Sketch)
    classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    quality: Mapping[str, Quality] = field(default_factory=dict[str, Quality])
    slices: Mapping[str, Window] = field(default_factory=dict[str, "Window"])
    packages: Mapping[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def of(cls, records: Iterable[Record], labels: Mapping[tuple[str, int], Label] | None = None, *, signature: Signature | None = None,
           slices: Sequence[str] = (), confidence: str | None = None) -> Window:  # fmt: skip
        """Summarise records.

        Args:
            records: of one deployment; those of a graph's steps or of a shadow are other windows.
            labels: the label that counts, by (record, row).
            signature: names categories, dtypes and which outputs decide; without it, all that records hold is taken as it is.
            slices: a field with few values ("cell", "out.label"), or a field and a limit ("age<40", "trait.image.brightness<0.2").
            confidence: the output that says how sure an answer is: one number a row, or one a class, of which the largest counts.
                One number a row between two classes is taken as the probability of the second.
        """
        held = Rows.of(records, signature, confidence)
        known = labels or {}
        whole = _window(held, known)
        parts = {name: _window(held.only(mask), known) for name, mask in masks(held, slices).items() if mask.any()}
        parts = {name: replace(part, start_ms=whole.start_ms, end_ms=whole.end_ms, packages={}) for name, part in parts.items()}
        return replace(whole, slices=_bounded(parts))

    @classmethod
    def judged(cls, records: Iterable[Record], labels: Mapping[tuple[str, int], Label], *, signature: Signature | None = None,
               slices: Sequence[str] = (), confidence: str | None = None) -> Window:  # fmt: skip
        """Only how right these records were, for labels that come after their records were counted: merge it into their window.

        A corrected label: merge the window of the new one, and of the old one with `Quality.times(-1)`.
        """
        found = cls.of(records, labels, signature=signature, slices=slices, confidence=confidence)
        apart = {name: cls(found.deployment, quality=part.quality) for name, part in found.slices.items() if part.quality}
        return cls(found.deployment, found.start_ms, found.end_ms, quality=found.quality, slices=apart)

    def merge(self, other: Window) -> Window:
        """Both spans together. Raises InputError for windows of two deployments."""
        return Window.merge_all((self, other))

    @classmethod
    def merge_all(cls, windows: Sequence[Window]) -> Window:
        """All spans together, at once: faster, and with a smaller error of the quantiles. Raises InputError as `merge`."""
        names = sorted({window.deployment for window in windows if window.deployment})
        if len(names) > 1:
            raise InputError("Windows of two deployments do not merge", got=" and ".join(names), fix="Merge the windows of one.")
        spans = [window for window in windows if window.end_ms > window.start_ms]
        classes = {name: _added(window.classes.get(name, {}) for window in windows) for name in _names(w.classes for w in windows)}
        outputs = _names(w.quality for w in windows)
        quality = {name: Quality.merge_all(w.quality[name] for w in windows if name in w.quality) for name in outputs}
        parts = {name: cls.merge_all([w.slices[name] for w in windows if name in w.slices]) for name in _names(w.slices for w in windows)}
        counts: dict[str, Any] = {name: _added(getattr(one, name) for one in windows) for name in _COUNTS}
        sketches: dict[str, Any] = {name: Sketch.merge_all([getattr(one, name) for one in windows]) for name in _SKETCHES}
        return cls(
            names[0] if names else "", min((one.start_ms for one in spans), default=0), max((one.end_ms for one in spans), default=0),
            sum(one.requests for one in windows), sum(one.rows for one in windows), Profile.merge_all([one.profile for one in windows]),
            **counts, **sketches, late=sum(one.late for one in windows), classes=classes, quality=quality, slices=_bounded(parts),
        )  # fmt: skip

    def flat(self) -> Profile:
        """The profile with that of every slice beside it, as "in.x @ cell=poly": compared at once, a shift within a slice shows."""
        apart = {f"{name} @ {part}": held for part, window in self.slices.items() for name, held in window.profile.fields.items()}
        return Profile({**self.profile.fields, **apart})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; what is empty is left out."""
        held = {
            **{name: getattr(self, name) for name in _PLAIN},
            **{name: getattr(self, name).to_dict() for name in _SKETCHES if getattr(self, name).levels},
            "profile": self.profile.to_dict() if self.profile.fields else None,
            "classes": {name: dict(counts) for name, counts in self.classes.items()},
            "quality": {name: one.to_dict() for name, one in self.quality.items()},
            "slices": {name: one.to_dict() for name, one in self.slices.items()},
        }  # fmt: skip
        return {name: value for name, value in held.items() if value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Window:
        """Parse what `to_dict` wrote; fields of newer versions are left out. Raises FormatError."""
        try:
            plain: dict[str, Any] = {name: data[name] for name in _PLAIN if name in data}
            sketches: dict[str, Any] = {name: Sketch.from_dict(data[name]) for name in _SKETCHES if name in data}
            return cls(
                **plain, **sketches, profile=Profile.from_dict(data.get("profile", {"fields": {}})), classes=data.get("classes", {}),
                quality={name: Quality.from_dict(one) for name, one in data.get("quality", {}).items()},
                slices={name: cls.from_dict(one) for name, one in data.get("slices", {}).items()},
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise FormatError(f"This is no window: {error!r}", got=str(dict(data))[:200]) from error


_COUNTS = ("answers", "arms", "flags", "errors", "packages")
_SKETCHES = ("latency", "model_latency", "confidence")
_PLAIN = ("deployment", "start_ms", "end_ms", "requests", "rows", "late", *_COUNTS)


def packaged(profile: Profile, signature: Signature) -> Profile:
    """A package's profile as windows have theirs: "in." before inputs, "out." before outputs, traits with theirs; long texts are one."""
    sides = {spec.name: "out." for spec in signature.outputs} | {spec.name: "in." for spec in signature.inputs}
    named = {name: sides.get(name, sides.get(name.split("[")[0], "" if name.startswith(TRAIT) else "in.")) for name in profile.fields}
    specs = {spec.name: spec for spec in (*signature.inputs, *signature.outputs)}
    return Profile({f"{named[name]}{name}": brief(held, specs.get(name)) for name, held in profile.fields.items()})


def _window(held: Rows, labels: Mapping[tuple[str, int], Label]) -> Window:
    times = [record.server_ms for record in held.records]
    receipts = [record.receipt for record in held.records]
    return Window(
        held.deployment, min(times, default=0), max(times, default=-1) + 1, len(held.records), held.count, held.profile(),
        _added({f"{receipt.get('model', '')}|{receipt.get('reason', '')}": 1} for receipt in receipts),
        _added({record.arm: 1} for record in held.records), _added({key: 1} for key in held.flags()),
        _added({attempt: 1} for receipt in receipts for attempt in receipt.get("attempts", ())),
        held.milliseconds("time_ms"), held.milliseconds("model_ms"), sum(not receipt.get("within_deadline", True) for receipt in receipts),
        held.sure(), held.classes(), judged(held, labels),
        packages=_added({one.package: 1} for one in held.records if one.package and one.arm == "champion" and one.device is None),
    )  # fmt: skip


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for held in counts:
        for key, count in held.items():
            total[key] = total.get(key, 0) + count
    return dict(sorted(total.items()))


def _names(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted({name for held in mappings for name in held})


def _bounded(parts: Mapping[str, Window]) -> dict[str, Window]:
    """At most MAX_SLICES values of each slice."""
    found: dict[str, Window] = {}
    for prefix in dict.fromkeys(name.split("=")[0] for name in parts):
        own = sorted((name for name in parts if name.split("=")[0] == prefix), key=lambda name: (-parts[name].rows, name))
        other = f"{prefix}=(other)"
        rare = [name for name in own if name != other][MAX_SLICES - 1 :] if len(own) > MAX_SLICES else []
        found |= {name: parts[name] for name in own if name not in rare and (name != other or not rare)}
        if rare:
            found[other] = Window.merge_all([parts[name] for name in own if name in (*rare, other)])
    return dict(sorted(found.items()))
