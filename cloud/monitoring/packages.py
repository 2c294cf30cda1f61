"""Whose answers windows hold. While a server takes up another package, a minute may hold answers of both. Pure.

A span that is judged ends where the champion changes. Inputs are what callers send, whoever answers; outputs and features are made by the
package, and are compared only where no other champion than the one that is watched made them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...sdk.core.profile import Profile
from ...sdk.core.window import Window

MADE = ("out.", "feature.")
"""Fields that the package makes."""


def runs(minutes: Mapping[int, Window]) -> list[list[int]]:
    """The starts of minutes, in order; those between which the champion did not change are together, one that holds two is alone."""
    found, last = list[list[int]](), frozenset[str]()
    for start in sorted(minutes):
        now = frozenset(minutes[start].packages)
        if found and len(now | last) < 2:
            found[-1].append(start)
        else:
            found.append([start])
            last = frozenset[str]()
        last = last | now
    return found


def comparable(window: Window, champion: str) -> Window:
    """The window without outputs and features where another champion, or a challenger of a rollout, made some of them.

    champion: a digest; "": not known, all is left.
    """
    if not champion or (window.packages.keys() <= {champion} and not window.arms.get("challenger")):
        return window
    slices = {name: replace(part, profile=_sent(part.profile)) for name, part in window.slices.items() if not name.startswith(MADE)}
    return replace(window, profile=_sent(window.profile), slices=slices)


def _sent(profile: Profile) -> Profile:
    return Profile({name: held for name, held in profile.fields.items() if not name.startswith(MADE)})
