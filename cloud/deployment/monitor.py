"""The `[monitor]` section: what is watched, what it is held against, when somebody is told, and whom."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ...sdk.core.errors import FormatError
from .base import Count, Days, Positive, Section, Share

Below = Annotated[float, Field(gt=0, lt=1)]
PERCENTILES = {"p50_ms": 0.50, "p90_ms": 0.90, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}
OBJECT = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class Slo(Section):
    """Objectives over `period_days`.

    Attributes:
        availability: share of requests that get an answer; refusals by the caller's own fault do not count.
        in_time: share of answers within the deadline.
        p50_ms, p90_ms, p95_ms, p99_ms, p999_ms: that share of answers takes at most so long.
    """

    availability: Below | None = None
    in_time: Below | None = None
    p50_ms: Positive | None = None
    p90_ms: Positive | None = None
    p95_ms: Positive | None = None
    p99_ms: Positive | None = None
    p999_ms: Positive | None = None
    period_days: Days = 30.0

    @property
    def slow(self) -> dict[str, tuple[float, float]]:
        """Objectives on latency: name -> (share, limit in ms)."""
        limits = {name: getattr(self, name) for name in PERCENTILES}
        return {name: (share, limits[name]) for name, share in PERCENTILES.items() if limits[name] is not None}


class Spans(Section):
    """The spans that are judged, one behind the other: each ends with the minute in which it has `rows`, at the latest after `minutes`."""

    rows: Count = 1000
    minutes: Count = 1440


class Hook(Section):
    """A hook of your own. `use`: "module:object", imported beside the deployment file; `timeout_s`: for one call with what it is given."""

    use: Annotated[str, Field(pattern=OBJECT)]
    timeout_s: Positive = 5.0


class AlertRule(Section):
    """One alert; see alerts/rule.py. `enabled = false` switches off one of the usual ones by its name."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
    when: str = ""
    subject: str = "*"
    above: float | None = None
    below: float | None = None
    for_s: Annotated[float, Field(ge=0)] = 0.0
    clear_s: Annotated[float, Field(ge=0)] = 300.0
    severity: Literal["info", "warning", "critical"] | None = None
    runbook: str = ""
    enabled: bool = True

    @model_validator(mode="after")
    def _meant(self) -> AlertRule:
        if self.enabled and not self.when:
            raise ValueError("an alert says `when`: the name of the findings that it is about, such as \"drift\" or a hook's own")
        return self


class Quality(Section):
    """Accuracy and calibration of a decided output. `window_days`: of labelled records; `min_labels`: fewer are "not enough data"."""

    min_accuracy: Share | None = None
    max_calibration_error: Below | None = None
    window_days: Days = 7.0
    min_labels: Count = 100


class Drift(Section):
    """Whether inputs, features and outputs are held against the reference.

    Attributes:
        effect: share of rows that may lie elsewhere without being drift.
        false_alarms_a_month: probability of any, over all fields, where nothing changes by more than that.
        looks_a_month: so many spans end within a month at the most.
        learn: so many early spans are taken to be all right: fields may wander as far as they did in them.
    """

    enabled: bool = True
    effect: Annotated[float, Field(ge=0, lt=1)] = 0.05
    false_alarms_a_month: Below = 0.05
    looks_a_month: Count = 43_200
    learn: Annotated[int, Field(ge=0)] = 0


class Monitor(Section):
    """How a deployment is watched.

    Attributes:
        run: "server": the first serving worker starts the monitor; "apart": `portside monitor` does.
        every_s: how often the database is read.
        hooks: of your own, "module:object" or { use, timeout_s }.
        spans: what is judged at once.
        slices: fields whose values are watched apart.
        confidence: the output that says how sure an answer is.
        reference: what drift is held against: "profile", the training data; "early", the first spans (drift.learn); a number, so many
            days before.
        drift: see Drift.
        quality: by output, see Quality.
        slo: objectives.
        alert: rules beside the usual ones, or in their place.
        webhook, alertmanager, otlp: URLs. `webhook_env`: name of an environment variable that holds one.
    """

    run: Literal["server", "apart"] = "server"
    every_s: Positive = 5.0
    hooks: list[Annotated[str, Field(pattern=OBJECT)] | Hook] = Field(default_factory=list[str | Hook])
    spans: Spans = Spans()
    slices: list[str] = Field(default_factory=list[str])
    confidence: str | None = None
    reference: Literal["profile", "early"] | Count = "profile"
    drift: Drift = Drift()
    quality: dict[str, Quality] = Field(default_factory=dict[str, Quality])
    slo: Slo = Slo()
    alert: list[AlertRule] = Field(default_factory=list[AlertRule])
    webhook: Annotated[str, Field(pattern=r"^https?://")] | None = None
    webhook_env: str | None = None
    alertmanager: Annotated[str, Field(pattern=r"^https?://")] | None = None
    otlp: Annotated[str, Field(pattern=r"^https?://")] | None = None

    @model_validator(mode="after")
    def _one(self) -> Monitor:
        if self.webhook is not None and self.webhook_env is not None:
            raise ValueError("webhook and webhook_env name the same thing; give one of them")
        names = [rule.name for rule in self.alert]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two alerts are called {twice[0]!r}")
        return self

    @property
    def every_hook(self) -> list[Hook]:
        """Hooks with their settings."""
        return [Hook(use=hook) if isinstance(hook, str) else hook for hook in self.hooks]

    def webhook_url(self) -> str | None:
        """Where alerts are told. Raises FormatError where the environment lacks it."""
        if self.webhook_env is None:
            return self.webhook
        found = os.environ.get(self.webhook_env, "")
        if not found.startswith(("http://", "https://")):
            raise FormatError("The environment holds no URL for alerts", got=f"{self.webhook_env} is not set to one",
                              fix=f"Set {self.webhook_env}, or remove monitor.webhook_env.")  # fmt: skip
        return found
