"""The values of an update: where it stands, what can happen, and what is to be done. No behaviour: see `update_machine.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Slot: TypeAlias = Literal["a", "b"]
SLOTS: tuple[Slot, Slot] = ("a", "b")
Judged: TypeAlias = Literal["healthy", "unhealthy", "not enough data"]


@dataclass(frozen=True)
class Wanted:
    """A release that somebody wants on this device.

    Attributes:
        release: its digest, "sha256:...".
        sequence: place in the order of wishes, from 1; a later wish has a larger one, also for an older release.
    """

    release: str
    sequence: int


@dataclass(frozen=True)
class Held:
    """A slot and the release in it."""

    slot: Slot
    wanted: Wanted


@dataclass(frozen=True)
class Refused:
    """A release that failed here: it is tried again only when it is wanted with a higher sequence."""

    wanted: Wanted
    why: str


@dataclass(frozen=True)
class Idle:
    """Nothing under way; `why` says what stopped the last attempt, where one was stopped without its release's fault."""

    why: str = ""


@dataclass(frozen=True)
class Fetching:
    """The release is on its way."""

    wanted: Wanted


@dataclass(frozen=True)
class Fetched:
    """Its bytes are here, and nobody has looked at them."""

    wanted: Wanted


@dataclass(frozen=True)
class Verified:
    """Signature and digests are right; it is being written into the spare slot, which from now on is nothing to go back to."""

    wanted: Wanted
    slot: Slot


@dataclass(frozen=True)
class Staged:
    """A complete slot on the disk, read back and compared."""

    wanted: Wanted
    slot: Slot


@dataclass(frozen=True)
class Trial:
    """It answers beside the active release and is compared with it; nobody is given its answers.

    Attributes:
        interruptions: restarts since the trial began that nobody had asked for.
    """

    wanted: Wanted
    slot: Slot
    interruptions: int = 0


@dataclass(frozen=True)
class Active:
    """The last update became what answers."""

    wanted: Wanted


@dataclass(frozen=True)
class RolledBack:
    """The last update was refused, or an operator went back; the release before it answers."""

    wanted: Wanted
    why: str


Phase: TypeAlias = Idle | Fetching | Fetched | Verified | Staged | Trial | Active | RolledBack


@dataclass(frozen=True)
class Update:
    """Everything a device knows about its releases.

    Attributes:
        phase: where the update under way stands, or how the last one ended.
        active: the slot that answers, and what rolling back a trial means.
        fallback: the release before, still whole in the other slot; None from the moment that slot is written to.
        refused: the last releases that failed here, newest last.
        seen: the newest wish; older ones are ignored.
        halted: why nothing is installed at the moment, or None. It never concerns running.
    """

    phase: Phase = Idle()
    active: Held | None = None
    fallback: Held | None = None
    refused: tuple[Refused, ...] = ()
    seen: Wanted | None = None
    halted: str | None = None


@dataclass(frozen=True)
class DesiredSeen:
    """Fresh, valid metadata names the release that this device should have."""

    wanted: Wanted


@dataclass(frozen=True)
class FetchDone:
    """All bytes are here."""

    wanted: Wanted


@dataclass(frozen=True)
class FetchFailed:
    """The network is away, or gave up; nothing is said about the release."""

    wanted: Wanted
    why: str


@dataclass(frozen=True)
class VerificationPassed:
    """What was fetched is what was signed."""

    wanted: Wanted


@dataclass(frozen=True)
class VerificationFailed:
    """What was signed cannot be what this device needs: another digest, another platform, malformed."""

    wanted: Wanted
    why: str


@dataclass(frozen=True)
class StagingDone:
    """The slot is complete on the disk."""

    wanted: Wanted


@dataclass(frozen=True)
class StagingFailed:
    """The slot could not be written, or is not whole: no space, a faulty disk. Tried again when it is next wanted."""

    wanted: Wanted
    why: str


@dataclass(frozen=True)
class TrialBegun:
    """The slot was found whole, and the trial is about to load it."""

    wanted: Wanted


@dataclass(frozen=True)
class TrialJudged:
    """What the trial's judge says."""

    wanted: Wanted
    verdict: Judged
    why: str = ""


@dataclass(frozen=True)
class Rebooted:
    """The agent starts.

    Attributes:
        sound: slots whose files were read and compared with their index just now -> the release in them.
        clean: it had been asked to stop; other restarts count against a trial.
    """

    sound: Mapping[Slot, Wanted]
    clean: bool = False


@dataclass(frozen=True)
class MetadataExpired:
    """The signed metadata is too old to install from."""


@dataclass(frozen=True)
class ClockWrong:
    """The clock cannot be right, so that no expiry means anything."""


@dataclass(frozen=True)
class OperatorRollback:
    """Somebody at the device wants the release before; `sound` as in `Rebooted`."""

    sound: Mapping[Slot, Wanted]


Event: TypeAlias = (
    DesiredSeen | FetchDone | FetchFailed | VerificationPassed | VerificationFailed | StagingDone | StagingFailed | TrialBegun
    | TrialJudged | Rebooted | MetadataExpired | ClockWrong | OperatorRollback
)  # fmt: skip


@dataclass(frozen=True)
class Fetch:
    """Get the release's bytes; ends in FetchDone or FetchFailed."""

    wanted: Wanted


@dataclass(frozen=True)
class Verify:
    """Hold what was fetched against what was signed; ends in VerificationPassed or VerificationFailed."""

    wanted: Wanted


@dataclass(frozen=True)
class Stage:
    """Write it into the slot; ends in StagingDone or StagingFailed."""

    wanted: Wanted
    slot: Slot


@dataclass(frozen=True)
class BeginTrial:
    """Read the slot once more; ends in TrialBegun or StagingFailed."""

    wanted: Wanted
    slot: Slot


@dataclass(frozen=True)
class JudgeTrial:
    """Load the slot beside the active one and judge it; ends in TrialJudged, again and again while there is not enough data."""

    wanted: Wanted
    slot: Slot


@dataclass(frozen=True)
class Run:
    """From now on this slot answers."""

    slot: Slot


Action: TypeAlias = Fetch | Verify | Stage | BeginTrial | JudgeTrial | Run
