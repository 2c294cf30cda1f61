"""The alerts that every monitor has, with the first step for whoever is woken. A rule of the file with the same name replaces one."""

from __future__ import annotations

from collections.abc import Iterable

from .rule import Rule

RULES = (
    Rule("records-lost", when="records-lost", clear_s=600, severity="critical",
         runbook="Look for a full disk or an unreachable database: `df -h` where [records] path is. Answers go on; what is lost is "
                 "missing from windows, drift and accuracy of this span."),
    Rule("records-failing", when="records-failing", for_s=20, clear_s=120, severity="critical",
         runbook="The database does not take what is written. Records wait in memory, and are lost when the queue is full: make room on "
                 "the disk, or bring the database back. Answers go on meanwhile."),
    Rule("slo-fast-burn", when="slo", subject="* over [16]h", clear_s=300, severity="critical",
         runbook="Compare portside_refused_total and portside_failovers_total by reason with an hour ago. A new version? "
                 "`portside reload` the one before. Load? Look at portside_request_seconds and the queues on /metrics."),
    Rule("slo-slow-burn", when="slo", subject="* over 3d", clear_s=3600, severity="warning",
         runbook="Nobody needs to be woken: look for the reason in failovers and slow requests of the last days, and open a ticket."),
    Rule("drift", when="drift", clear_s=1800, severity="warning",
         runbook="Open the field on the dashboard: does its distribution look broken (all missing, one value, another unit) or new? "
                 "Broken: repair who sends it. New: label a sample, and look at accuracy before anything is trained."),
    Rule("input-broken", when="suspicion", clear_s=1800, severity="critical",
         runbook="A field looks as if its unit, its place or its meaning had changed. Ask whoever sends it what was released; "
                 "the records in the evidence show it."),
    Rule("quality", when="quality", clear_s=3600, severity="critical",
         runbook="Look at the confusion and at the slices: is it one class or one group? Open the wrong answers in the evidence. "
                 "Until it is understood lower the level of automation, or roll back."),
    Rule("performance", when="performance", clear_s=3600, severity="critical",
         runbook="Answers are wrong more often than was promised, and that is no chance. Look at quality by slice and at wrong "
                 "answers; lower the level of automation, or roll back."),
    Rule("calibration", when="calibration", clear_s=3600, severity="warning",
         runbook="Confidence does not mean what it says: thresholds of automation that were fitted on it are off. "
                 "Fit them again on new labels."),
    Rule("rollout-back", when="rollout-back", clear_s=0,  # critical, or by hand for information: as the finding says
         runbook="`portside rollout explain DEPLOYMENT.toml` says which limit was broken, where, and on what evidence. Everyone is given "
                 "the champion again; nothing has to be done in a hurry."),
    Rule("rollout-paged", when="rollout-paged", clear_s=0, severity="warning",
         runbook="`portside rollout explain DEPLOYMENT.toml`. Too few data for too long: a longer max_days, wider limits, or a way back. "
                 "Arms that are not drawn as promised: look at who routes around them."),
    Rule("rollout-asks", when="rollout-asks", clear_s=0, severity="info",
         runbook="`portside rollout explain DEPLOYMENT.toml`, then `portside rollout approve` or `portside rollout rollback`."),
    Rule("hook-failing", when="hook", for_s=60, clear_s=600, severity="warning",
         runbook="A hook of this deployment fails, hangs or is slow; the monitor's log has its error. The others go on without it."),
    Rule("monitor-behind", when="monitor-behind", for_s=120, clear_s=120, severity="warning",
         runbook="The monitor reads records more slowly than they are written. Fewer slices, a longer every_s, or a machine of its own: "
                 "`portside monitor DEPLOYMENT.toml` with run = \"apart\"."),
)  # fmt: skip


def rules_of(own: Iterable[Rule], disabled: Iterable[str] = ()) -> tuple[Rule, ...]:
    """The rules of a deployment: the usual ones, less those that are switched off or replaced, then its own."""
    own, off = tuple(own), set(disabled)
    replaced = off | {rule.name for rule in own}
    return (*(rule for rule in RULES if rule.name not in replaced), *(rule for rule in own if rule.name not in off))
