"""`portside edge install` and `rollback`: a release put into a slot by hand, and the way back, with no network."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ...edge import assembling
from ...edge.folder_source import FolderSource
from ...edge.lock import FolderLock
from ...edge.settings import AgentSettings, read
from ...edge.update_state import DesiredSeen, Update
from ...edge.updating import Updating, described
from ..core.errors import EngineError, InputError
from .console import Exit, Result, short

INSTALL_EXAMPLE = """
  portside edge install agent.toml /media/stick/inspector      the first release of a device, or the next of one without [updates]
  portside edge install agent.toml inspector --number 4        what a device of signed releases is delivered with
"""
ROLLBACK_EXAMPLE = """
  portside edge rollback agent.toml                        the release before answers again, or the trial ends; no agent may run
"""
MOST = 1_000_000_000
"""Far above what any repository counts to: a slip of the finger must not make every release to come an old one."""


def install_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `install`."""
    parser.add_argument("--number", type=int, metavar="N", help="of this release in its repository; on a device that takes signed releases")
    parser.add_argument("artifact", type=Path, metavar="ARTIFACT", help="a compiled artifact's folder; it runs its contract here")


def install(args: argparse.Namespace) -> Result:
    """Install an artifact from a folder. It is not signed: whoever may write to the agent's folder decides what runs."""
    settings = read(args.settings)
    with _alone(settings) as held:
        before = held.installer.update
        if settings.updates is not None and before.active is not None:
            raise InputError("This device takes signed releases, and one is installed", got=str(args.artifact),
                             fix="Publish it: portside sign publish.")  # fmt: skip
        if settings.updates is not None and args.number is None:
            raise InputError("Signed releases that are newer than this one are told by its number", got="no --number",
                             fix="Look it up: portside sign status REPOSITORY.")  # fmt: skip
        sequence = _number(args.number, before.seen.sequence if before.seen else 0)
        source = FolderSource(args.artifact, sequence)
        made = held.installer
        made.source = source
        made.handle(DesiredSeen(source.wanted))
        waits = made.work()
        made.judge.end()
    update = made.update
    said = described(update)
    active = update.active is not None and update.active.wanted == source.wanted
    if not active and not waits:
        why = said["why"] or next((one["why"] for one in reversed(said["refused"]) if one["release"] == source.wanted.release), "")
        raise EngineError("The release was not installed", got=why or said["phase"], fix="What ran before goes on.")
    text = f"{short(source.wanted.release)} " + (f"answers, from slot {said['active']['slot']}" if active else (
        "is on trial beside the release that answers; the agent decides by what it is asked: portside edge run"))  # fmt: skip
    return Result(said, text)


def _number(given: int | None, seen: int) -> int:
    """The release's number: as given, else the next. Raises InputError for one that is old, or that leaves none for releases to come."""
    if given is None:
        return seen + 1
    if not max(seen, 1) <= given <= MOST:
        raise InputError("A release has a number of its own, larger than those before", field="--number", got=given,
                         expected=f"{max(seen, 1)} to {MOST}", fix="Look it up: portside sign status REPOSITORY.")  # fmt: skip
    return given


def rollback(args: argparse.Namespace) -> Result:
    """Go back to the release before."""
    with _alone(read(args.settings)) as held:
        update: Update = held.installer.rollback()
    said = described(update)
    return Result(said, f"{short(said['active']['release'])} answers, from slot {said['active']['slot']}", Exit.DONE)


@contextmanager
def _alone(settings: AgentSettings) -> Generator[Updating]:
    """The updates of a device on which no agent runs. Raises StoreError where one does."""
    lock = FolderLock(settings.root)
    try:
        held = assembling.updating(settings.model_copy(update={"updates": None}), lambda: False)  # by hand, nobody is trusted
        held.installer.boot(clean=True)
        yield held
    finally:
        lock.close()
