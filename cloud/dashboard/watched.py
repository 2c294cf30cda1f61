"""What is known of the deployments of a desk beside their records: signature, training profile, rules, and what a monitor found."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, inspect, select

from ...sdk.core.errors import PortsideError
from ...sdk.core.profile import Profile
from ...sdk.core.window import Window
from ..alerts.state import Alert
from ..desk.desk import Desk
from ..monitor import Finding
from ..monitoring import reading
from ..monitoring.about import About, about
from ..monitoring.judge import reference_of
from ..monitoring.tables import GAUGES, WINDOWS
from ..review.overview import counts
from ..review.tables import REVIEWS
from .kept import Kept

ABOUT_S = 60.0
"""A package's name may come to mean another version: looked at again after this."""


class Watched:
    """Reads of what monitors write; nothing, where none has been here."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._there = desk, False
        self._abouts: Kept[About | PortsideError] = Kept(32)

    @property
    def tables(self) -> bool:
        """A monitor has been here."""
        if not self._there:
            self._there = inspect(self._desk.database.engine).has_table(WINDOWS.name)
        return self._there

    def about(self, name: str) -> About | PortsideError:
        """What the deployment file and its package say, or why the package cannot be opened here."""
        return self._abouts.get(name, ABOUT_S, lambda: self._about(name))

    def _about(self, name: str) -> About | PortsideError:
        deployment = self._desk.deployment(name)
        if deployment is None:
            return PortsideError(f"The deployment file of {name!r} was not given")
        try:
            return about(deployment, self._desk.database)
        except PortsideError as error:
            return error

    def reference(self, name: str, window: Window, part: str = "") -> tuple[Profile | None, str]:
        """What a span, or a slice of it, is held against, and where that is from, or why there is none."""
        known = self.about(name)
        if isinstance(known, PortsideError):
            return None, known.what
        if known.settings.reference == "profile":
            why = "the profile of the training data holds no slices" if part else "the package holds no profile of its training data"
            return (None, why) if part or known.profile is None else (known.profile, "the training data")
        held = reference_of(self._desk.database, known, window) if self.tables else None
        past = held.slices.get(part) if isinstance(held, Window) and part else held
        profile = past.profile if isinstance(past, Window) else past
        if profile is None:
            return None, "nothing was kept of the days before"
        return profile, f"the {known.settings.reference} days before"

    def alerts(self, name: str) -> list[Alert]:
        """Those that fire first."""
        return reading.alerts(self._desk.database, name) if self.tables else []

    def alert(self, name: str, number: str) -> tuple[Alert | None, list[dict[str, Any]]]:
        """An episode of an alert, as it is or last was, and what was told of it, the oldest first."""
        if not self.tables:
            return None, []
        told = [event for event in reading.events(self._desk.database, name, 1000) if event["alert"] == number]
        held = next((alert for alert in self.alerts(name) if alert.id == number), None)
        if held is None and told:
            held = Alert.from_dict(told[0]["data"])
        return held, [{"state": event["state"], "at_ms": event["at_ms"]} for event in reversed(told)]

    def findings(self, name: str, kind: str) -> list[Finding]:
        """The newest findings of one name, one per subject."""
        if not self.tables:
            return []
        newest: dict[str, Finding] = {}
        for finding in reading.findings(self._desk.database, name, kind, limit=200):
            newest.setdefault(finding.subject, finding)
        return list(newest.values())

    def waiting(self, name: str, now_ms: int) -> dict[str, Any]:
        """Answers that wait for a person: how many, and since when the oldest one does."""
        if not inspect(self._desk.database.engine).has_table(REVIEWS.name):
            return {"waiting": 0, "oldest_ms": None}
        held = counts(self._desk.database, now_ms, (name,))
        return {"waiting": held.waiting, "oldest_ms": held.oldest_ms}

    def newest(self, name: str) -> int | None:
        """Where the newest window begins; None: there is none."""
        if not self.tables:
            return None
        with self._desk.database.read() as connection:
            return connection.execute(select(func.max(WINDOWS.c.start_ms)).where(WINDOWS.c.deployment == name)).scalar()

    def at_ms(self, name: str) -> int | None:
        """When a monitor last wrote; None: it never did."""
        if not self.tables:
            return None
        newest = select(func.max(GAUGES.c.at_ms)).where(GAUGES.c.deployment == name)
        with self._desk.database.read() as connection:
            return connection.execute(newest).scalar()
