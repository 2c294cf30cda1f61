"""A rule: which findings raise an alert, for how long they must hold, and what a person does then.

    >>> Rule("dark", when="too-dark", below=40).judge(Finding("too-dark", value=31.0))
    'breach'
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isnan

from ..monitor import Finding, Severity, Verdict

DAY_S = 86_400.0


@dataclass(frozen=True)
class Rule:
    """One alert of a deployment.

    Attributes:
        name: of the alert.
        when: name of the findings that it is about.
        subject: which of their subjects, as a pattern: "in.*". Each subject has an alert of its own.
        above, below: limits on the value; without one the finding's own verdict counts.
        for_s: how long it must hold before the alert fires.
        clear_s: how long it must be well again before the alert is resolved; longer each time it comes back, see state.py.
        severity: None: as the finding says.
        runbook: what a person does first.
        memory_s: firings older than this do not lengthen `clear_s` any more.
    """

    name: str
    when: str
    subject: str = "*"
    above: float | None = None
    below: float | None = None
    for_s: float = 0.0
    clear_s: float = 300.0
    severity: Severity | None = None
    runbook: str = ""
    memory_s: float = DAY_S

    def concerns(self, finding: Finding) -> bool:
        """The rule is about this finding."""
        return fnmatchcase(finding.name, self.when) and fnmatchcase(finding.subject, self.subject)

    def judge(self, finding: Finding) -> Verdict:
        """Whether the condition holds. A limit is passed when the whole interval of the value, where it has one, lies beyond it."""
        if finding.verdict == "not enough data" or (self.above is None and self.below is None):
            return finding.verdict
        if isnan(finding.value):
            return "not enough data"
        low = finding.value if finding.low is None else finding.low
        high = finding.value if finding.high is None else finding.high
        passed = (self.above is not None and low > self.above) or (self.below is not None and high < self.below)
        return "breach" if passed else "ok"
