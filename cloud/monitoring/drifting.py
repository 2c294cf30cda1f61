"""Spans through a `Watch`, whose budget of false alarms is a month's. Its state is kept in the cursor of whoever judges, so that nothing
is looked at twice. Pure.

A drift that only many rows show is not over because few rows do not show it: a field is well again when a look at as many rows says so,
whatever longer spans say, which still hold rows of before. When a field begins to drift, and when it is well again, spans begin anew.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...sdk.core.drift.report import FieldDrift
from ...sdk.core.drift.watch import FEWEST, Look, Watch, WatchOptions
from ...sdk.core.profile import Profile
from ...sdk.core.window import Window
from .about import About

Reference = Window | Profile | None


@dataclass(frozen=True)
class Seen:
    """What one more span has shown.

    Attributes:
        looks: that it made possible.
        reference: what they were held against; None: nothing is compared yet.
        hits: field -> (rows, how it drifts) in the look that shows it most clearly.
        well: fields that drifted and do not any more; unclear: that drifted, and about which these looks say nothing.
        learning: spans that were learnt from so far, while that lasts.
    """

    looks: tuple[Look, ...] = ()
    reference: Profile | None = None
    hits: Mapping[str, tuple[int, FieldDrift]] = field(default_factory=dict[str, tuple[int, FieldDrift]])
    well: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    learning: int = 0


def see(data: Mapping[str, Any], current: Profile, reference: Reference, about: About) -> tuple[Seen, dict[str, Any]]:
    """What one more span shows, and the state afterwards.

    Args:
        data: the state before, JSON-ready; empty at first. Another package begins anew.
        current: of the span, with slices.
        reference: the training profile or a past window; None: there is none, or early spans are to be it.
    """
    state: dict[str, Any] = dict(data) if data.get("of") == about.digest else {"of": about.digest}
    if "watch" not in state:
        return _begin(state, current, reference, about)
    base = Profile.from_dict(state["reference"]) if "reference" in state else _flat(reference)
    if base is None:
        return Seen(), state
    watch, looks = Watch.from_dict(state["watch"], base).see(current)
    before: dict[str, int] = state.get("drifting", {})
    after = drifting(before, looks)
    hits, well = hits_of(looks, after), tuple(name for name in before if name not in after)
    if well or after.keys() - before.keys():
        watch = watch.forget()
    unclear = tuple(name for name in after if name not in hits)
    return Seen(looks, base, hits, well, unclear), {**state, "watch": watch.to_dict(), "drifting": after}


def drifting(before: Mapping[str, int], looks: Sequence[Look]) -> dict[str, int]:
    """Field -> the shortest span whose look has shown its drift, after these looks."""
    after, well = dict(before), set[str]()
    for look in looks:  # the shortest first: its rows are the newest
        for one in look.report.fields:
            if one.verdict == "drift" and one.field not in well:
                after[one.field] = min(after.get(one.field, look.span), look.span)
            elif one.verdict == "stable" and look.span >= before.get(one.field, look.span + 1):
                well.add(one.field)
                after.pop(one.field, None)
    return after


def hits_of(looks: Sequence[Look], fields: Container[str]) -> dict[str, tuple[int, FieldDrift]]:
    """Of each of these fields the look that shows drift with the smallest p, clearest fields first."""
    found: dict[str, tuple[int, FieldDrift]] = {}
    for look in looks:
        for one in look.report.drifted:
            if one.field in fields and (one.field not in found or one.p < found[one.field][1].p):
                found[one.field] = (look.rows, one)
    return dict(sorted(found.items(), key=lambda item: (-item[1][1].effect.value, item[0])))


def options_of(about: About) -> WatchOptions:
    """The watch of a deployment. Looks count by their logarithm, so a month of minutes costs little."""
    drift = about.settings.drift
    return WatchOptions(drift.false_alarms_a_month, drift.looks_a_month, about.settings.spans.rows, effect=drift.effect)


def _begin(state: dict[str, Any], current: Profile, reference: Reference, about: About) -> tuple[Seen, dict[str, Any]]:
    """Learn from early spans, or begin at once with what there is."""
    settings = about.settings
    learn = max(settings.drift.learn, FEWEST if settings.reference == "early" else 0)
    base = _flat(reference)
    if not learn:
        if base is None:
            return Seen(), state
        return see({**state, "watch": Watch(base, options_of(about)).to_dict()}, current, reference, about)
    early = [*state.get("early", ()), current.to_dict()]
    if len(early) < learn:
        return Seen(learning=len(early)), {**state, "early": early}
    windows = [Profile.from_dict(held) for held in early]
    whole = Profile.merge_all(windows)
    if base is not None and settings.reference != "early":  # slices of the training data are not known: they are as they began
        whole = Profile({**{name: held for name, held in whole.fields.items() if " @ " in name}, **base.fields})
    watch = Watch.learn(windows, options_of(about), whole)
    return Seen(learning=len(early)), {"of": state["of"], "reference": whole.to_dict(), "watch": watch.to_dict()}


def _flat(reference: Reference) -> Profile | None:
    return reference.flat() if isinstance(reference, Window) else reference
