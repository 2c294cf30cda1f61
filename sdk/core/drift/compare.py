"""Drift as an effect size: how far fields have moved from a reference, whether that is more than chance, and more than is tolerated.

    >>> calm, moved = (Profile.of({"x": np.random.default_rng(0).normal(size=5000)}), Profile.of({"x": np.full(400, 2.0)}))
    >>> compare(calm, moved).verdict
    'drift'

A field drifts when "no more than the tolerated share of rows lies elsewhere" is refuted: for numbers by the bound of Massart (1990)
and Wei and Dudley (2012) on what is left of the KS distance after the tolerance and the sketches' error; for categories by the
likelihood ratio of each category's share, and by McDiarmid's inequality on the total variation. They hold with few rows and in the far
tail, which months of looks need. A changed share of missing values counts as well. Corrected by Holm (1979) over the fields that have
enough rows.
"""

from __future__ import annotations

from dataclasses import replace
from math import exp, inf, sqrt

import numpy as np

from ..profile import Profile, Summary
from ..signature import Array
from ..statistics import Estimate, z_score
from .distances import aligned, chi2, classes, ks, psi, psi_numbers, wasserstein
from .report import DriftOptions as DriftOptions
from .report import DriftReport as DriftReport
from .report import FieldDrift as FieldDrift
from .report import Verdict as Verdict
from .tails import apart, chi_square, holm, kolmogorov, proportions, reach, together

_TESTS = 2
"""Of a field: where its values lie, and how many are missing."""


def compare(reference: Profile, current: Profile, options: DriftOptions | None = None) -> DriftReport:
    """Compare field by field.

    Args:
        reference: the training profile (`window.packaged` gives its fields the names that windows have), or a past window's.
        current: of the rows in question; `Window.flat` has those of slices beside them.
        options: how.
    """
    chosen = options or DriftOptions()
    shared = [name for name in reference.fields if name in current.fields and reference.fields[name].count and current.fields[name].count]
    found = [_field(name, reference.fields[name], current.fields[name], chosen) for name in shared]
    enough = [max(one.rows, one.missing.rows) >= chosen.least for one in found]
    corrected = iter(holm([one.p for one, held in zip(found, enough, strict=True) if held]))
    level = chosen.alpha / max(sum(enough), 1) / _TESTS
    judged = [_judged(one, next(corrected) if held else None, level, chosen) for one, held in zip(found, enough, strict=True)]
    known = [name for name, held in current.fields.items() if held.count]
    return DriftReport(
        tuple(sorted(judged, key=lambda one: (one.verdict != "drift", one.p, -one.effect.value, one.field))),
        tuple(name for name in reference.fields if name not in known), tuple(name for name in known if name not in reference.fields),
        chosen.alpha,
    )  # fmt: skip


def _field(name: str, reference: Summary, current: Summary, options: DriftOptions) -> FieldDrift:
    found = (_numbers if reference.finite and not current.categories else _categories)(name, reference, current, options)
    gone, p = _missing(reference, current, options)
    return replace(found, missing=gone, p=min(1.0, _TESTS * min(found.p, p)))


def _numbers(name: str, reference: Summary, current: Summary, options: DriftOptions) -> FieldDrift:
    rows, others = _present(reference), _present(current)
    error, worth, tolerance = reference.sketch.error + current.sketch.error, together(rows, others), options.tolerance(name)
    distance = ks(reference.sketch, current.sketch)
    half = reach(1 - options.confidence, worth) + error
    moved = wasserstein(reference.sketch, current.sketch) / reference.deviation if reference.deviation else None
    return FieldDrift(
        name, "number", round(rows), round(others), _around(distance, half, others), error, _NONE,
        psi_numbers(reference, current) if current.finite else 0.0, apart(distance - tolerance - error, worth), tolerance, inf, "stable",
        ks_p=kolmogorov(sqrt(worth) * max(distance - error, 0.0)), wasserstein=moved,
    )  # fmt: skip


def _categories(name: str, reference: Summary, current: Summary, options: DriftOptions) -> FieldDrift:
    rows, others = _present(reference), _present(current)
    tolerance, worth = options.tolerance(name), together(rows, others)
    known, held = classes(reference), classes(current)
    one, two = aligned(known, held)
    if not one.sum() or not two.sum():
        return FieldDrift(name, "category", round(rows), round(others), Estimate(0.0, 0.0, 1.0, round(others)), 0.0, _NONE, 0.0, 1.0,
                          tolerance, inf, "stable")  # fmt: skip
    shares, other_shares = one / one.sum(), two / two.sum()
    distance, noise = float(np.abs(shares - other_shares).sum() / 2), _noise((one + two) / (one.sum() + two.sum()), worth)
    single = float(proportions(shares * rows, rows, other_shares * others, others, tolerance).min()) * len({*known, *held})
    whole = exp(-2 * worth * max(distance - noise - tolerance, 0.0) ** 2)
    statistic, freedom = chi2(one, two)
    half = reach(1 - options.confidence, worth)
    return FieldDrift(
        name, "category", round(rows), round(others),
        Estimate(distance, max(0.0, distance - noise - half), min(1.0, distance + half), round(others)), 0.0, _NONE, psi(one, two),
        min(1.0, 2 * min(single, whole)), tolerance, inf, "stable", chi2=statistic, chi2_p=chi_square(statistic, freedom),
    )  # fmt: skip


def _missing(reference: Summary, current: Summary, options: DriftOptions) -> tuple[Estimate, float]:
    """The change of the share of values that are none, or no finite ones; and its p-value."""
    one, two = _gone(reference), _gone(current)
    rows, others = reference.rows or reference.count, current.rows or current.count
    if one == two:
        return Estimate(0.0, 0.0, 0.0, others), 1.0
    half = z_score(options.confidence) * sqrt(one * (1 - one) / rows + two * (1 - two) / others + 1 / (rows * others))
    p = proportions(np.array([one * rows]), rows, np.array([two * others]), others, options.effect)
    return Estimate(two - one, max(-1.0, two - one - half), min(1.0, two - one + half), others), float(p[0])


def _judged(found: FieldDrift, p: float | None, level: float, options: DriftOptions) -> FieldDrift:
    """With its verdict. p: corrected; None: there are too few rows for any."""
    visible = found.tolerance + found.error + reach(level, together(found.reference_rows, found.rows))
    if p is None:
        return replace(found, p=1.0, visible=visible, verdict="not enough data")
    verdict: Verdict = "drift" if p <= options.alpha else "stable" if visible - found.tolerance <= options.visible else "not enough data"
    return replace(found, p=p, visible=visible, verdict=verdict)


def _gone(summary: Summary) -> float:
    return (summary.missing if summary.categories else summary.count - summary.finite) / summary.count


def _present(summary: Summary) -> float:
    """Rows with a value. Values of one row (pixels) are no independent draws: they count as one."""
    return (summary.rows or summary.count) * (1 - _gone(summary))


def _noise(shares: Array, worth: float) -> float:
    """At least the total variation that chance alone makes on average: half the sum of the standard deviations of the shares."""
    return float(np.sqrt(shares * (1 - shares)).sum() / 2 / sqrt(worth)) if worth else 1.0


def _around(value: float, half: float, rows: float) -> Estimate:
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), round(rows))


_NONE = Estimate(0.0, 0.0, 0.0, 0)
