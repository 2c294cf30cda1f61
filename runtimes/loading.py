"""`load`: an artifact, audited and opened by the runtime that made it."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Never, get_args

from ..sdk.core.errors import FormatError, InputError
from ..sdk.core.refusal import nearest
from .artifact import Artifact, open_artifact
from .base import Isolation, LoadOptions, Session, runtime
from .isolated import IsolatedSession


def load(artifact: Artifact | Path | str, threads: int = 1, isolation: Isolation = "inline", *, trust: bool = False,
         cache: bool = False, spinning: bool = False, door: bool = True, digest: str | None = None,
         **unknown: Never) -> Session:  # fmt: skip
    """Open a compiled artifact.

    Args:
        artifact: the folder, or what `compile` returned.
        threads: intra-op threads of the engine.
        isolation: where calls run: "inline" in the caller's thread, "thread" in one of the session's own, "process" in a
            worker process, so that a crash of the engine is an EngineError.
        trust: host stages of the package may run.
        cache: keep and use what the engine optimised for this very CPU.
        spinning: let idle engine threads spin; only on a machine of one's own.
        door: validate inputs in `run`.
        digest: the artifact's digest, to pin which one is opened.
        unknown: refused by name.

    Raises:
        InputError: an option that there is not.
        FormatError, IntegrityError: the folder is not an intact artifact, or not the one asked for.
        TrustError: it holds Python of its own, and `trust` is False.
        MissingExtraError: its target is not installed.
        EngineError: the engine refuses it.
    """
    if unknown:
        raise _no_such_option(next(iter(unknown)))
    path = artifact.path if isinstance(artifact, Artifact) else Path(artifact)
    if isolation not in get_args(Isolation):
        raise FormatError("There is no such isolation", got=isolation, expected=", ".join(get_args(Isolation)))
    opened = open_artifact(path, digest)
    options = LoadOptions(threads=threads, spinning=spinning, trust=trust, cache=cache, door=door)
    if isolation != "inline":
        return IsolatedSession(opened, isolation, options)
    return runtime(opened.target).load(opened.path, options)


def _no_such_option(name: str) -> InputError:
    known = [known for known in signature(load).parameters if known not in ("artifact", "unknown")]
    return InputError(f"load has no option {name!r}", got=name, expected=", ".join(known), fix=nearest(name, known))
