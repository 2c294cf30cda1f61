"""`load`: an artifact, audited and opened by the runtime that made it."""

from __future__ import annotations

from pathlib import Path

from ..sdk.core.errors import UnsupportedError
from .artifact import Artifact, open_artifact
from .base import Isolation, LoadOptions, Session, runtime


def load(artifact: Artifact | Path | str, threads: int = 1, isolation: Isolation = "inline", *, trust: bool = False,
         cache: bool = False, spinning: bool = False, door: bool = True, digest: str | None = None) -> Session:  # fmt: skip
    """Open a compiled artifact.

    Args:
        artifact: the folder, or what `compile` returned.
        threads: intra-op threads of the engine.
        isolation: "inline" runs in the caller's thread. "thread" and "process" are what serving uses.
        trust: host stages of the package may run.
        cache: keep and use what the engine optimised for this very CPU.
        spinning: let idle engine threads spin; only on a machine of one's own.
        door: validate inputs in `run`.
        digest: the artifact's digest, to pin which one is opened.

    Raises:
        FormatError, IntegrityError: the folder is not an intact artifact, or not the one asked for.
        TrustError: it holds Python of its own, and `trust` is False.
        MissingExtraError: its target is not installed.
        EngineError: the engine refuses it.
    """
    if isolation != "inline":
        raise UnsupportedError("A session of its own runs inline", got=isolation, expected="inline",
                               fix="Serve it from a deployment for isolation by thread or process.")  # fmt: skip
    path = artifact.path if isinstance(artifact, Artifact) else Path(artifact)
    opened = open_artifact(path, digest)
    options = LoadOptions(threads=threads, spinning=spinning, trust=trust, cache=cache, door=door)
    return runtime(opened.target).load(opened.path, options)
