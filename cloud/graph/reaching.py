"""What can be said of a graph before anything runs: circles, steps that nothing uses or that never run, outputs that may lack rows."""

from __future__ import annotations

import graphlib
import math
from collections.abc import Sequence

from ...sdk.core.errors import FormatError
from .plan import Plan, StepPlan, ordered
from .references import REQUEST, Comparison, Reference, Source
from .wiring import Place


def in_order(steps: Sequence[StepPlan], place: Place) -> tuple[StepPlan, ...]:
    """The steps, each after those it needs. Raises FormatError for a circle."""
    try:
        return ordered(steps)
    except graphlib.CycleError as error:
        circle: list[str] = error.args[1]
        number = [step.name for step in steps].index(circle[0])
        raise FormatError(f"{place('step', number)}: these steps wait for each other", got=" -> ".join(reversed(circle))) from error


class Reach:
    """A plan with the questions that a file is held against.

    Args:
        plan: in order.
        names: of the steps, in the order of the file.
        partial: steps that may end with a part of their rows, because they are split and have no default.
        place: names the line of a setting.
    """

    def __init__(self, plan: Plan, names: Sequence[str], partial: frozenset[str], place: Place) -> None:
        self._plan, self._numbers, self._place = plan, {name: number for number, name in enumerate(names)}, place
        self._steps, self._partial = {step.name: step for step in plan.steps}, partial

    def check(self) -> None:
        """Raise FormatError for the first fault."""
        used = self._used()
        for name, number in self._numbers.items():
            if name not in used:
                raise FormatError(f"{self._place('step', number, 'name')}: nothing uses the step {name!r}",
                                  fix="Name an output of it in [answer], another step's inputs or a condition, or remove it.")  # fmt: skip
            self._check_condition(self._steps[name], number)
        for output, sources in self._plan.answer.items():
            where = self._place("answer", output)
            self._check_order(sources, where)
            for base in self._bases():
                if not self._covers(sources, base):
                    raise FormatError(f"{where}: not every row of the answer has {output!r}", got=" ?? ".join(map(str, sources)),
                                      fix="End with a step that always answers, or with a constant: ... ?? 0.")  # fmt: skip

    def _bases(self) -> list[str | None]:
        return [None] if self._plan.cut is None else [reference.step for reference in self._plan.cut.by]

    def _used(self) -> set[str]:
        named = [source.step for sources in self._plan.answer.values() for source in sources if isinstance(source, Reference)]
        open_ = {name for name in (*named, *(base for base in self._bases() if base)) if name != REQUEST}
        used: set[str] = set()
        while open_:
            name = open_.pop()
            used.add(name)
            open_ |= self._steps[name].needs - used
        return used

    def _check_condition(self, step: StepPlan, number: int) -> None:
        if step.when is not None and all(_impossible(group) for group in step.when.any_of):
            raise FormatError(f"{self._place('step', number, 'when')}: this is never true, so {step.name!r} is never reached")

    def _check_order(self, sources: Sequence[Source], where: str) -> None:
        """A source behind one that has every row whenever the later one runs is never read."""
        steps = [source.step for source in sources if isinstance(source, Reference) and source.step != REQUEST]
        for place, later in enumerate(steps):
            for before in steps[:place]:
                if self._complete(before) and before in self._needed(later):
                    raise FormatError(f"{where}: {later!r} is never read, for it runs only after {before!r}, which has every row",
                                      fix=f"Put {later!r} first.")  # fmt: skip

    def _needed(self, name: str) -> set[str]:
        found: set[str] = set()
        open_ = set(self._steps[name].needs)
        while open_:
            one = open_.pop()
            found.add(one)
            open_ |= self._steps[one].needs - found
        return found

    def _covers(self, sources: Sequence[Source], base: str | None) -> bool:
        last = sources[-1]
        if not isinstance(last, Reference) or last.step == REQUEST:
            return True
        return self._complete(last.step) or (base is not None and last.step in self._holding(base))

    def _complete(self, name: str) -> bool:
        """The step answers every row of the request, if it answers."""
        step = self._steps[name]
        rows = [source for source, by_row in step.inputs.items() if by_row]
        return step.when is None and step.cut is None and name not in self._partial and all(self._complete(source) for source in rows)

    def _holding(self, base: str) -> set[str]:
        """Steps that have every row that `base` has."""
        step = self._steps[base]
        rows = {source for source, by_row in step.inputs.items() if by_row}
        rows |= {reference.step for reference in step.cut.by} if step.cut else set()
        groups = [{comparison.left.step for comparison in group} for group in step.when.any_of] if step.when else []
        rows |= set.intersection(*groups) if groups else set()
        return {base}.union(*(self._holding(name) for name in rows))


def _impossible(group: Sequence[Comparison]) -> bool:
    """No value fulfils all of these: the bounds of one reference leave nothing between them."""
    low: dict[Reference, tuple[float, bool]] = {}
    high: dict[Reference, tuple[float, bool]] = {}
    equal: dict[Reference, set[object]] = {}
    for one in group:
        if isinstance(one.right, str | bool) or one.operator == "==":
            if one.operator == "==":
                equal.setdefault(one.left, set()).add(one.right)
            continue
        value = float(one.right)
        if one.operator in (">", ">="):
            low[one.left] = max(low.get(one.left, (-math.inf, False)), (value, one.operator == ">"))
        elif one.operator in ("<", "<="):
            high[one.left] = min(high.get(one.left, (math.inf, False)), (value, one.operator != "<"))
    if any(len(values) > 1 for values in equal.values()):
        return True
    return any(_empty(low[left], high[left]) for left in low.keys() & high.keys())


def _empty(low: tuple[float, bool], high: tuple[float, bool]) -> bool:
    return low[0] > high[0] or (low[0] == high[0] and (low[1] or not high[1]))
