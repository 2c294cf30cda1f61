"""Looking again and again without crying wolf: a month's budget of false alarms, divided over looks, spans and fields.

    >>> options = WatchOptions(rows=50, looks=100)
    >>> rows = np.random.default_rng(0).normal(size=(4000, 1))
    >>> watch = Watch.learn([Profile.of({"x": part}) for part in np.split(rows, 80)], options)
    >>> [look.report.verdict for look in watch.see(Profile.of({"x": rows[:50] + 2.0}))[1]]
    ['drift']

Rows are looked at in spans of `rows`, twice, four times, ... as many: short spans find large changes fast, long ones small and slow
changes. Each span gets an equal part of the budget, each look of a span an equal part of that (Bonferroni over looks, Holm over the
fields of a look): over `looks` looks at the shortest span, anything at all is called drift by chance with a probability of at most
`rate`. That holds for rows that are exchangeable with those of the reference. Real streams wander: seasons, shifts, batches. So a
watch *learns* on early rows how far each field of a span of each length lies from all of them, and tolerates that much; a length of
which the early rows hold fewer than `FEWEST` is not looked at, for nobody knows how far it wanders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InputError
from ..profile import Profile, Summary
from ..statistics import MIN_ROWS
from .compare import compare
from .distances import aligned, classes, ks, total_variation
from .report import DriftOptions, DriftReport
from .suspicions import Suspicion, suspicions
from .tails import reach, together

FEWEST = 4
"""Spans of one length that early rows must hold."""
WANDER = 0.05
"""A field wanders where one of its early spans lies further away than chance allows with this probability."""


@dataclass(frozen=True)
class WatchOptions:
    """How to watch.

    Attributes:
        rate: the probability of any false alarm within `looks` looks, over all fields, slices and spans.
        looks: looks at the shortest span in the time that `rate` speaks of: a month's rows / `rows`.
        rows: of the shortest span.
        spans: how many lengths, each twice the one before.
        effect, visible, least, confidence: as in DriftOptions.
    """

    rate: float = 0.05
    looks: int = 1000
    rows: int = 100
    spans: int = 5
    effect: float = 0.05
    visible: float = 0.3
    least: int = MIN_ROWS
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1 or min(self.looks, self.rows, self.spans) < 1:
            raise InputError("A watch has a rate of false alarms in a number of looks", got=self,
                             expected="a rate between 0 and 1; looks, rows and spans of at least 1")  # fmt: skip

    def comparing(self, span: int, tolerances: Mapping[str, float]) -> DriftOptions:
        """The options of one look at the span of a length (0: the shortest)."""
        looks = max(self.looks >> span, 1)
        return DriftOptions(self.rate / self.spans / looks, self.effect, tolerances, self.visible, self.least, self.confidence)


@dataclass(frozen=True)
class Look:
    """One comparison of a watch. span: 0 the shortest; rows: of it; suspicions: of what drifted."""

    span: int
    rows: int
    report: DriftReport
    suspicions: tuple[Suspicion, ...] = ()


@dataclass(frozen=True)
class Watch:
    """Immutable: `see` gives the next state.

    Attributes:
        reference: what all is compared with.
        options: how.
        tolerances: of each span, field -> how far it wanders; None: a span that is not looked at.
        gathering: rows that are not yet a shortest span.
        halves: of each span, the first half of the next longer one, or None.
        looks: taken so far, by span.
    """

    reference: Profile
    options: WatchOptions = field(default_factory=WatchOptions)
    tolerances: tuple[Mapping[str, float] | None, ...] = ()
    gathering: tuple[Profile, ...] = ()
    halves: tuple[Profile | None, ...] = ()
    looks: tuple[int, ...] = ()

    @classmethod
    def learn(cls, windows: Sequence[Profile], options: WatchOptions | None = None, reference: Profile | None = None) -> Watch:
        """A watch that tolerates what fields did in these windows, which are taken to be all right.

        Args:
            windows: of early rows, in order, each of fewer rows than a shortest span or about as many.
            options: how to watch.
            reference: what to compare with; by default all the windows together.
        """
        chosen = options or WatchOptions()
        start = cls(reference or Profile.merge_all(windows), chosen, (None,) * chosen.spans)
        spans: list[list[Profile]] = [[] for _ in range(chosen.spans)]
        state = start
        for window in windows:
            state, found = state._gathered(window)
            for span, held in found:
                spans[span].append(held)
        return replace(start, tolerances=tuple(_wander(start.reference, held) if len(held) >= FEWEST else None for held in spans))

    def see(self, window: Profile) -> tuple[Watch, tuple[Look, ...]]:
        """The state after one more window, and the looks that it made possible: none while rows gather."""
        state, found = self._gathered(window)
        looks = tuple(state._look(span, held) for span, held in found if state._tolerances(span) is not None)
        counts = state.looks or (0,) * self.options.spans
        return replace(state, looks=tuple(held + sum(look.span == span for look in looks) for span, held in enumerate(counts))), looks

    def see_all(self, windows: Iterable[Profile]) -> tuple[Watch, tuple[Look, ...]]:
        """The state after these windows, and all looks."""
        state, looks = self, list[Look]()
        for window in windows:
            state, found = state.see(window)
            looks += found
        return state, tuple(looks)

    def accept(self, look: Look) -> Watch:
        """Tolerate from now on, in spans of every length, as much as this look found: somebody has seen it, and it is all right."""
        more = {one.field: one.effect.high for one in look.report.drifted}
        tolerances = self.tolerances or ({},) * self.options.spans
        grown = [None if held is None else {**held, **{name: max(held.get(name, 0.0), high) for name, high in more.items()}}
                 for held in tolerances]  # fmt: skip
        return replace(self, tolerances=tuple(grown))

    def forget(self) -> Watch:
        """Begin new spans: after a drift that was looked into, or with another model."""
        return replace(self, gathering=(), halves=())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: all but the reference."""
        return {
            "options": vars(self.options), "looks": list(self.looks),
            "tolerances": [None if held is None else dict(held) for held in self.tolerances],
            "gathering": [held.to_dict() for held in self.gathering],
            "halves": [None if held is None else held.to_dict() for held in self.halves],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], reference: Profile) -> Watch:
        """Parse what `to_dict` wrote."""
        return cls(
            reference, WatchOptions(**data["options"]), tuple(data["tolerances"]),
            tuple(Profile.from_dict(held) for held in data["gathering"]),
            tuple(None if held is None else Profile.from_dict(held) for held in data["halves"]), tuple(data["looks"]),
        )  # fmt: skip

    def _tolerances(self, span: int) -> Mapping[str, float] | None:
        return self.tolerances[span] if span < len(self.tolerances) else {}

    def _look(self, span: int, held: Profile) -> Look:
        options = self.options.comparing(span, self._tolerances(span) or {})
        report = compare(self.reference, held, options)
        named = suspicions(self.reference, held, report, options) if report.verdict == "drift" else ()
        return Look(span, _rows(held), report, named)

    def _gathered(self, window: Profile) -> tuple[Watch, list[tuple[int, Profile]]]:
        """With one more window; the spans that it completed."""
        gathering = (*self.gathering, window)
        if sum(_rows(held) for held in gathering) < self.options.rows:
            return replace(self, gathering=gathering), []
        found, halves = [(0, Profile.merge_all(gathering))], list(self.halves or (None,) * self.options.spans)
        for span in range(self.options.spans - 1):
            half, whole = halves[span], found[-1][1]
            if half is None:
                halves[span] = whole
                break
            halves[span] = None
            found.append((span + 1, Profile.merge_all((half, whole))))
        return replace(self, gathering=(), halves=tuple(halves)), found


def _rows(profile: Profile) -> int:
    """Rows of a profile: of the field that has most."""
    return max((held.rows or held.count for held in profile.fields.values()), default=0)


def _wander(reference: Profile, spans: Sequence[Profile]) -> dict[str, float]:
    """Field -> the largest distance from the reference, where that is more than chance."""
    found: dict[str, float] = {}
    for name, whole in reference.fields.items():
        held = [span.fields[name] for span in spans if name in span.fields and span.fields[name].count]
        far = [_far(whole, one) for one in held]
        worth = min((together(whole.rows, one.rows) for one in held), default=0.0)
        if far and max(far) > reach(WANDER / len(far), worth):
            found[name] = max(far)
    return found


def _far(reference: Summary, current: Summary) -> float:
    if reference.finite and current.finite:
        return ks(reference.sketch, current.sketch)
    return total_variation(*aligned(classes(reference), classes(current)))
