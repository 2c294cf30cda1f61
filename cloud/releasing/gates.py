"""Release gates: what was asked of a challenger before traffic, and what was found. Pure data.

| gate | asks |
|---|---|
| signature | it takes what callers send, and answers with the champion's outputs |
| card | what must be said of a package is said |
| fidelity | its artifact answers as the package does, on the contract, here |
| static | quality against the champion on a set that does not move |
| recent | the same on the newest labelled records, without the rows it was trained on |
| expectations | the user's own tests of behaviour, its own and the champion's |
| bench | latency, size and memory within the budget |

    >>> gates = (ReleaseGate("card", "passed", "said"), ReleaseGate("recent", "not enough data", "few"))
    >>> held = ReleaseGates("sha256:b", "sha256:a", gates)
    >>> held.verdict, [gate.name for gate in held.stopping]
    ('passed', [])
    >>> strict = ReleaseGates("sha256:b", "sha256:a", gates, unproven=())
    >>> strict.verdict, [gate.name for gate in strict.stopping]
    ('not enough data', ['recent'])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from ...sdk.core.decisions import NOT_ENOUGH, Verdict
from ...sdk.core.gates import Gate
from ..deployment.gates import GateName

Outcome: TypeAlias = Literal["passed", "failed", "not enough data", "not asked"]
NAMES: tuple[GateName, ...] = get_args(GateName)


@dataclass(frozen=True)
class ReleaseGate:
    """One gate.

    Attributes:
        name: see above.
        outcome: "not asked" where nothing was to be held against: no expectation, no budget, or nothing that could be opened.
        why: a sentence with figures.
        limits: the single limits behind it, judged.
        figures: what was measured, JSON-ready.
    """

    name: GateName
    outcome: Outcome
    why: str
    limits: tuple[Gate, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"name": self.name, "outcome": self.outcome, "why": self.why, "limits": [gate.to_dict() for gate in self.limits],
                "figures": dict(self.figures)}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ReleaseGate:
        """Parse what `to_dict` made."""
        limits = tuple(Gate.from_dict(gate) for gate in data["limits"])
        return cls(data["name"], data["outcome"], data["why"], limits, data["figures"])


@dataclass(frozen=True)
class ReleaseGates:
    """All gates of one challenger. Truthy only when it may come near traffic.

    Attributes:
        challenger, champion: digests of packages.
        gates: in the order of the table.
        unproven: those that may be "not enough data".
        name: of the challenger.
    """

    challenger: str
    champion: str
    gates: tuple[ReleaseGate, ...]
    unproven: tuple[GateName, ...] = ("recent",)
    name: str = ""

    @property
    def verdict(self) -> Verdict:
        """One failed fails all; then one without enough data that must be proven. Where nothing was asked nothing is proven."""
        outcomes = [gate.outcome for gate in self.stopping]
        if "failed" in outcomes:
            return "failed"
        return NOT_ENOUGH if outcomes or not any(gate.outcome == "passed" for gate in self.gates) else "passed"

    @property
    def stopping(self) -> tuple[ReleaseGate, ...]:
        """The gates that stop it."""
        return tuple(gate for gate in self.gates
                     if gate.outcome == "failed" or (gate.outcome == NOT_ENOUGH and gate.name not in self.unproven))  # fmt: skip

    def __bool__(self) -> bool:
        return self.verdict == "passed"

    def __getitem__(self, name: GateName) -> ReleaseGate:
        return next(gate for gate in self.gates if gate.name == name)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"verdict": self.verdict, "challenger": self.challenger, "champion": self.champion, "name": self.name,
                "stopping": [gate.name for gate in self.stopping], "unproven": list(self.unproven),
                "gates": [gate.to_dict() for gate in self.gates]}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ReleaseGates:
        """Parse what `to_dict` made."""
        gates = tuple(ReleaseGate.from_dict(gate) for gate in data["gates"])
        return cls(data["challenger"], data["champion"], gates, tuple(data["unproven"]), data["name"])

    def rows(self) -> list[list[str]]:
        """Lines of a table with the columns of `HEAD`."""
        stopping = {gate.name for gate in self.stopping}
        return [[gate.name, gate.outcome, "stops" if gate.name in stopping else "", gate.why] for gate in self.gates]

    def __str__(self) -> str:
        return f"{self.verdict}: " + ("; ".join(f"{gate.name}: {gate.why}" for gate in self.stopping) or "all gates that must hold do")


HEAD = ("gate", "outcome", "", "why")


def outcome_of(limits: Sequence[Gate]) -> Outcome:
    """The outcome of single limits together; none: not asked."""
    verdicts = [gate.verdict for gate in limits]
    if "failed" in verdicts:
        return "failed"
    return "not asked" if not verdicts else NOT_ENOUGH if NOT_ENOUGH in verdicts else "passed"
