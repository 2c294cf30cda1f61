"""What people do with a rollout: begin it, approve, go back. Each is one transaction, logged with who did it and why.

Nobody needs the controller's turn for that: writers of the database take turns anyway, and whatever a controller decides it decides from
what is stored then. Going back is instant where the server is: workers are told at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from ...sdk.core.errors import InputError, StoreError
from ...sdk.core.records import new_id
from ...sdk.core.refusal import wording
from ..deployment.file import Deployment
from ..deployment.generation import folder_of
from ..monitoring.cursors import Cursor, move
from ..records.database import Database, reason
from ..rollout import Said, step
from ..rollout import start as started
from .controller import clock_after, consumer
from .counting import forget_seen
from .fetching import top
from .known import known, section_of
from .mirror import mirror
from .storing import Held, begin, move_on, newest
from .tables import prepare

Clock = Callable[[], int]


class Gates(Protocol):
    """What the gates of a release said of a challenger: `cloud/releasing`. Its text says which stopped it, with figures."""

    @property
    def challenger(self) -> str:
        """Digest of the package that was asked."""
        ...

    @property
    def verdict(self) -> str:
        """ "passed", "failed" or "not enough data"."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, for the log."""
        ...


def wall_ms() -> int:
    """Now, Unix milliseconds."""
    return time.time_ns() // 1_000_000


def start(deployment: Deployment, by: str, gates: Mapping[str, Gates] | None = None, why: str = "", *, rollout: str = "",
          clock: Clock = wall_ms) -> Held:  # fmt: skip
    """Begin the rollout that a deployment's file describes; the server has to serve that file (`portside reload`).

    Args:
        by: who begins it.
        gates: name of a challenger -> what its gates said; one that did not pass ends the rollout before any traffic. None: they were
            not asked.
        why: for the log.
        rollout: its id; "": a new one. One that was begun already is not begun again, so whoever was interrupted may ask again.

    Raises:
        InputError: another one goes on, what was promoted answers and is not the champion of the file, a challenger is not the package
            that its gates were asked of, nobody says it, or `why` is no text.
        FormatError: the file names no challenger, or one that cannot be.
        StoreError: the database does not take it.
    """
    author, why = _author(by), wording(why, "why")
    policy, about = known(deployment)
    with _open(deployment) as database:
        seen = top(database)
        with _writing(database) as connection:
            now, before = clock(), newest(connection, deployment.name)
            if before is not None and before.id == rollout:
                return before
            _check(before, about["champion"])
            _check_asked(gates or {}, policy.challengers)
            state = started(policy, rollout or new_id(), now)
            held = begin(connection, deployment.name, policy, state, {**about, "author": author}, author, why or "Begun by hand.", now)
            move(connection, deployment.name, consumer(held.id), Cursor(*seen))
            held = _asked(connection, held, gates, author, now)
        _tell(database, deployment)
    return held


def approve(deployment: Deployment, by: str, note: str = "", *, clock: Clock = wall_ms) -> Held:
    """Say yes to what the rollout asks for now.

    Raises:
        InputError: there is no rollout, nobody says it, or what is said is no text.
        FormatError: it means nothing where the rollout is.
        StoreError: the database does not take it.
    """
    return _say(deployment, "approve", "approved", by, note, clock)


def rollback(deployment: Deployment, by: str, why: str = "", *, clock: Clock = wall_ms) -> Held:
    """Give everyone the champion, now. Raises as `approve`."""
    return _say(deployment, "roll back", "rolled back by hand", by, why, clock)


def _say(deployment: Deployment, said: Said, kind: str, by: str, why: str, clock: Clock) -> Held:
    author, why = _author(by), wording(why, "why")
    with _open(deployment) as database:
        with _writing(database) as connection:
            held = newest(connection, deployment.name)
            if held is None:
                raise InputError(f"{deployment.name} has no rollout", field="deployment", fix="Begin one: portside rollout start.")
            now = clock()
            moment = clock_after(held, now)
            held = move_on(connection, held, step(held.policy, held.state, said, moment, why), now, held.clock_ms, kind, author)
            if held.closed:
                forget_seen(connection, held.id)
        _tell(database, deployment)
    return held


def _asked(connection: Connection, held: Held, gates: Mapping[str, Gates] | None, author: str, now_ms: int) -> Held:
    """What the gates said."""
    stopped = [f"{name}: {one}" for name, one in (gates or {}).items() if one.verdict != "passed"]
    why = "; ".join(stopped) if stopped else "all gates passed" if gates else "no gates were asked"
    decision = step(held.policy, held.state, "gates failed" if stopped else "gates passed", held.clock_ms, why)
    evidence = {"gates": {name: one.to_dict() for name, one in (gates or {}).items()}}
    return move_on(connection, held, decision, now_ms, held.clock_ms, author=author, evidence=evidence)


def _check(before: Held | None, champion: Mapping[str, str]) -> None:
    """Raise InputError where another rollout is in the way."""
    if before is None:
        return
    if not before.closed:
        raise InputError("A rollout of this deployment goes on", field="deployment", got=f"number {before.number}, {before.place}",
                         fix="Wait for it, or end it: portside rollout rollback.")  # fmt: skip
    promoted = before.about["challengers"][0]
    if before.state.phase == "promoted" and promoted["digest"] != champion["digest"]:
        raise InputError("What was promoted answers, and the file names another champion", field="champion", got=champion["name"],
                         expected=f"{promoted['name']} {promoted['digest'][:19]}",
                         fix="Name it under [champion] and reload, or go back first: portside rollout rollback.")  # fmt: skip


def _check_asked(gates: Mapping[str, Gates], challengers: Collection[str]) -> None:
    """Raise InputError where a name means another package now than when its gates were asked."""
    for name, one in gates.items():
        if one.challenger not in challengers:
            raise InputError(f"{name} is another package than its gates were asked of", field="challenger", got=", ".join(challengers),
                             expected=one.challenger, fix="It changed meanwhile. Ask anew: portside rollout start.")  # fmt: skip


def _author(by: str) -> str:
    if not by.strip():
        raise InputError("Whoever moves a rollout has a name", field="by", fix="Say who: --by NAME.")
    return wording(by.strip(), "by", 200)


def _tell(database: Database, deployment: Deployment) -> None:
    """Let the workers of this machine know at once; those of another one are told by the controller there."""
    folder = folder_of(deployment.name, deployment.path)
    if folder.is_dir():
        try:
            mirror(database, deployment.name, folder)
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"It is stored, and workers of this machine could not be told: {error}", got=str(folder),
                             fix="The controller tells them when it can.") from error  # fmt: skip


@contextmanager
def _open(deployment: Deployment) -> Generator[Database]:
    if not deployment.records.enabled:
        section_of(deployment)
    with Database.open(deployment.records.place(deployment.folder)) as database:
        try:
            prepare(database)
        except SQLAlchemyError as error:
            raise _unwritten(database, error) from error
        yield database


@contextmanager
def _writing(database: Database) -> Generator[Connection]:
    try:
        with database.write() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise _unwritten(database, error) from error


def _unwritten(database: Database, error: SQLAlchemyError) -> StoreError:
    return StoreError(f"The rollout cannot be written: {reason(error)}", got=database.place, fix="Nothing was changed; ask again.")
