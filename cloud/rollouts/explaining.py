"""Why a rollout stands where it does: a paragraph with figures, from what it was asked, where it is and what was seen. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..deployment.traffic import Phase
from ..rollout import State
from ..rollout_evidence import EVERYONE, Stage, Verdict
from ..rollout_policy import Policy
from .log import Entry
from .words import figure, listed, percent, spoken, subject
from .words import rows as rows_of

STAGES: dict[Phase, Stage] = {"shadow": "shadow", "ended": "shadow", "canary": "canary", "switched": "switched", "promoted": "switched"}
MINUTE = 60_000
LATE = 2 * MINUTE
"""A controller looks every few seconds; after this it is missed."""
MOST = 3
"""Slices that a paragraph names; a list shows all."""


@dataclass(frozen=True)
class Told:
    """What a paragraph is made from.

    Attributes:
        verdicts: the newest.
        log: all entries, the oldest first.
        here_ms: how long it is where it is.
        unseen_ms: how long no controller has looked, though one should.
        names: digest -> a name for people.
    """

    policy: Policy
    state: State
    verdicts: Sequence[Verdict]
    log: Sequence[Entry]
    here_ms: float
    unseen_ms: float = 0.0
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def stage(self) -> Stage:
        """The stage that its verdicts are of."""
        if self.state.phase == "rolled back":
            before = next((entry.before for entry in reversed(self.log) if entry.after == "rolled back"), "")
            return "shadow" if before == "shadow" else "switched" if before in ("switched", "promoted") else "canary"
        return STAGES.get(self.state.phase, "canary")

    def name(self, digest: str) -> str:
        """A package for people."""
        return self.names.get(digest) or digest.removeprefix("sha256:")[:12]


def explain(told: Told) -> str:
    """The paragraph."""
    return " ".join(part for part in (_where(told), *_open(told), _asked(told), _paged(told), _unseen(told)) if part)


def _where(told: Told) -> str:
    """Where it is, since when, and what that means for who asks."""
    policy, state = told.policy, told.state
    name, since = _challengers(told), spoken(told.here_ms)
    match state.phase:
        case "gates":
            return f"For {since} the gates have been looked at; {name} is given to nobody."
        case "waiting":
            return f"For {since} {name} has waited for a person; it is given to nobody."
        case "shadow":
            return f"For {since} {name} has been asked in shadow: beside the champion, and nobody is given its answers."
        case "canary":
            whom = f" of {policy.first}" if policy.first and state.step == 0 else ""
            return (f"For {since} {name} has been given to {percent(policy.steps[state.step])}{whom or ' of those who ask'}, "
                    f"step {state.step + 1} of {len(policy.steps)}; who was given it stays with it.")  # fmt: skip
        case "switched":
            left = spoken(max(0, policy.watch_minutes * MINUTE - told.here_ms))
            return f"For {since} {name} has answered everyone. It is watched for {left} more; the champion is kept warm for the way back."
        case "promoted":
            return f"{name} was promoted {since} ago: every limit held. Make it the champion in the deployment file."
        case "rolled back":
            return f"For {since} everyone has been given the champion again. {_because(told)}"
        case "ended":
            return f"The shadow of {name} ended {since} ago; nobody was given its answers."


def _challengers(told: Told) -> str:
    return listed([told.name(one) for one in (told.state.challengers or told.policy.challengers)])


def _because(told: Told) -> str:
    """Why it went back, as it was written then."""
    entry = next((one for one in reversed(told.log) if one.after == "rolled back"), None)
    return "" if entry is None else f"{_sentence(entry.why)}"


def _open(told: Told) -> list[str]:
    """What is known of each limit: proven broken, still open, held."""
    if told.state.phase in ("gates", "waiting", "rolled back"):
        return []
    said: list[str] = []
    several = len(told.policy.challengers) > 1
    for challenger in dict.fromkeys(verdict.challenger for verdict in told.verdicts):
        held = [verdict for verdict in told.verdicts if verdict.challenger == challenger]
        said += _limits(told, held, f"{told.name(challenger)}: " if several else "")
    return said or ["Nothing was counted yet."]


def _limits(told: Told, held: Sequence[Verdict], head: str) -> list[str]:
    beyond = [verdict for verdict in held if verdict.told == "beyond"]
    unproven = [verdict for verdict in held if verdict.asked and verdict.told == "not enough data"]
    proven = [verdict for verdict in held if verdict.asked and verdict.told == "within"]
    said = [f"{head}beyond its limit, proven: it {_all(told, beyond)}."] if beyond else []
    said += [f"{head}not known yet: whether it {_all(told, unproven)}."] if unproven else []
    said += [f"{head}within its limit, proven: it {_all(told, proven)}."] if proven else []
    waits = [] if told.state.phase in ("promoted", "ended") else [*_worse(told, held), *_least(told, held)]
    return [_sentence(part) for part in (*said, *waits)]


def _worse(told: Told, held: Sequence[Verdict]) -> list[str]:
    """Slices that look worse without a proof: they hold the rollout."""
    found = [one for one in held if one.slice != EVERYONE and one.told != "beyond" and one.rows >= told.policy.min_rows
             and one.estimate > one.limit]  # fmt: skip
    return [f"a slice that looks worse holds it, though nothing is proven: it {_all(told, found)}."] if found else []


def _least(told: Told, held: Sequence[Verdict]) -> list[str]:
    """Rows and minutes that every step needs whatever it shows."""
    if told.state.phase not in ("shadow", "canary"):
        return []
    rows = max((verdict.rows for verdict in held if verdict.slice == EVERYONE), default=0)
    left = told.policy.min_minutes * MINUTE - told.here_ms
    lacks = [f"{rows_of(told.policy.min_rows)}, of which {rows:,} are there"] if rows < told.policy.min_rows else []
    lacks += [f"{spoken(left)} more"] if left > 0 else []
    return [f"before anything but a way back is decided, it needs {listed(lacks)}."] if lacks else []


def _all(told: Told, verdicts: Sequence[Verdict]) -> str:
    shown = sorted(verdicts, key=lambda one: (one.slice != EVERYONE, -_over(one)))
    most = sum(one.slice == EVERYONE for one in shown) + MOST
    more = [f"{len(shown) - most} more"] if len(shown) > most else []
    return "; ".join([*(f"{subject(one, told.stage)}: {figure(one)}" for one in shown[:most]), *more])


def _over(verdict: Verdict) -> float:
    """How far above its limit it looks; unknown: not at all."""
    return verdict.estimate - verdict.limit if verdict.rows else float("-inf")


def _asked(told: Told) -> str:
    asks = told.state.asks
    if asks is None or told.state.phase in ("promoted", "rolled back", "ended"):
        return ""
    return f"A person is asked ({asks}): portside rollout approve, or rollback."


def _paged(told: Told) -> str:
    """What people were last told that needs them."""
    entry = next((one for one in reversed(told.log) if one.kind == "paged"), None)
    over = told.state.phase in ("promoted", "rolled back", "ended")
    return "" if entry is None or over else f"People were told: {_sentence(entry.why)}"


def _unseen(told: Told) -> str:
    late = told.unseen_ms > LATE
    return f"No controller has looked for {spoken(told.unseen_ms)}: nothing is decided until the server runs." if late else ""


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}" if text else ""
