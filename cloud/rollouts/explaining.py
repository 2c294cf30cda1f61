"""Why a rollout stands where it does: a paragraph with figures, from what it was asked, where it is and what was seen. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..rollout import State
from ..rollout_evidence import EVERYONE, Verdict
from ..rollout_policy import Policy
from ..rollout_words import subject
from .log import SYSTEM, Entry
from .words import figure, listed, percent, spelled, spoken

MINUTE = 60_000
LATE = 2 * MINUTE
"""A controller looks every few seconds; after this it is missed."""
PAGED, ASKED = "paged", "approve "
OVER = ("promoted", "rolled back", "ended")
UNSEEN = ("gates", "waiting", "shadow")
"""Phases before anybody is given a challenger."""
MOST = 3
"""Slices that a paragraph names; a list shows all."""


@dataclass(frozen=True)
class Told:
    """What a paragraph is made from.

    Attributes:
        verdicts: the newest.
        holds: what the newest look said that it waits for; "": nothing holds it.
        log: all entries, the oldest first.
        here_ms: how long it is where it is.
        unseen_ms: how long no controller has looked, though one should.
        names: digest -> a name for people.
    """

    policy: Policy
    state: State
    verdicts: Sequence[Verdict]
    holds: str
    log: Sequence[Entry]
    here_ms: float
    unseen_ms: float = 0.0
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    def name(self, digest: str) -> str:
        """A package for people: with its digest where another one has the same name."""
        short, name = digest.removeprefix("sha256:")[:12], self.names.get(digest, "")
        return f"{name} ({short})" if list(self.names.values()).count(name) > 1 and name else name or short


def explain(told: Told, figures: bool = True) -> str:
    """The paragraph. figures: say what is known of each limit; where a table stands beside it nobody needs that twice."""
    known = _figures(told) if figures else []
    said = (_where(told), _came(told), _holds(told), *known, _asked(told), _unseen(told))
    return spelled(" ".join(part for part in said if part), {digest: told.name(digest) for digest in told.policy.challengers})


def pages(state: State, log: Sequence[Entry]) -> dict[str, str]:
    """What people were told that still needs them, by what it is about: "drawn", "overdue". Questions are in `State.asks`."""
    said = [entry.why for entry in log if entry.kind == PAGED]
    return {} if state.phase in OVER else {key: why for key, why in zip(state.paged, said, strict=False) if not key.startswith(ASKED)}


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
            left = policy.watch_minutes * MINUTE - told.here_ms
            watched = f"It is watched for {spoken(left)} more" if left > 0 else "It has been watched for as long as was asked"
            return f"For {since} {name} has answered everyone. {watched}; the champion is kept warm for the way back."
        case "promoted":
            return f"{name} was promoted {since} ago and answers everyone. Name it under [champion] in the deployment file."
        case "rolled back" if (entry := _arrival(told)) is not None and entry.before in UNSEEN:
            return f"{name} was taken back {since} ago; nobody was given its answers. {_because(told)}"
        case "rolled back":
            return f"For {since} everyone has been given the champion again. {_because(told)}"
        case "ended":
            return f"The shadow of {name} ended {since} ago; nobody was given its answers."


def _challengers(told: Told) -> str:
    tried = told.policy.challengers if told.state.phase in OVER else told.state.challengers
    return listed([told.name(one) for one in tried])


def _because(told: Told) -> str:
    """Why it went back, as it was written then."""
    entry = _arrival(told)
    return "" if entry is None else f"{'Why' if entry.author == SYSTEM else f'{entry.author} did that'}: {_sentence(entry.why)}"


def _came(told: Told) -> str:
    """What brought it here."""
    entry = _arrival(told)
    if entry is None or told.state.phase in ("gates", "waiting", "rolled back"):
        return ""
    return f"It came here because {_sentence(entry.why)}" if entry.author == SYSTEM else ""


def _arrival(told: Told) -> Entry | None:
    return next((entry for entry in reversed(told.log) if entry.kind != PAGED and entry.after not in ("", entry.before)), None)


def _holds(told: Told) -> str:
    over = told.state.phase in OVER or told.state.asks is not None
    return "" if over or not told.holds else f"It goes on when nothing of this holds it any more: {_sentence(told.holds)}"


def _figures(told: Told) -> list[str]:
    """What is known of each limit: over everyone, and in slices that look worse than they may."""
    if told.state.phase in ("gates", "waiting"):
        return []
    several, said = len(told.policy.challengers) > 1, list[str]()
    for challenger in dict.fromkeys(verdict.challenger for verdict in told.verdicts):
        held = [verdict for verdict in told.verdicts if verdict.challenger == challenger]
        said += _limits(held, f"of {told.name(challenger)}" if several else "")
    return said


def _limits(held: Sequence[Verdict], whose: str) -> list[str]:
    whole = [verdict for verdict in held if verdict.slice == EVERYONE and verdict.rows]
    parts = [verdict for verdict in held if verdict.slice != EVERYONE and (verdict.told == "beyond" or verdict.suspect)]
    parts.sort(key=lambda one: (one.told != "beyond", one.limit - one.estimate))
    more = f"; {len(parts) - MOST} slices more" if len(parts) > MOST else ""
    said = [f"So far{whose and ' '}{whose}: {_all(whole)}."] if whole else []
    return said + ([f"Slices that stand out{whose and ' '}{whose}: {_all(parts[:MOST])}{more}."] if parts else [])


def _all(verdicts: Sequence[Verdict]) -> str:
    return "; ".join(f"{subject(one)} {figure(one)}" for one in verdicts)


def _asked(told: Told) -> str:
    asks = told.state.asks
    if asks is None or told.state.phase in OVER:
        return ""
    return f"It asks a person for a yes to \"{asks}\": portside rollout approve, or rollback."


def _unseen(told: Told) -> str:
    late = told.unseen_ms > LATE
    return f"No controller has looked for {spoken(told.unseen_ms)}: nothing is decided until the server runs." if late else ""


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text}{'' if text.endswith(('.', '!', '?')) else '.'}" if text else ""
