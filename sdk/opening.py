"""Open a package by what a user has: a folder, a name in the store, or a digest."""

from __future__ import annotations

import os
from pathlib import Path

from .core.errors import FormatError, StoreError
from .core.package import MANIFEST, Package, open_folder
from .store import Store


def open(ref: str | os.PathLike[str], digest: str | None = None, trust: bool = False) -> Package:  # noqa: A001
    """Open a package; nothing in it is interpreted before every byte was compared with its digest.

    Args:
        ref: a folder, or a reference into the store (`$PORTSIDE_HOME`, else `~/.portside`): `name`, `name:3`,
            `name:tag`, `name@sha256:...`, `sha256:...`. A package folder of that name comes first; write `./name` or
            `name:latest` to be sure.
        digest: refuse any other package than this one.
        trust: host stages and training code of the package may run.

    Raises:
        FormatError: not a package, or of a version that this Portside cannot read.
        IntegrityError: bytes that are not the ones promised, or another package than `digest`.
        StoreError: the store holds no such package.
    """
    text = os.fspath(ref)
    folder = Path(text).expanduser()
    if isinstance(ref, Path) or (folder / MANIFEST).exists() or text.startswith((".", "/", "~")) or (os.sep in text and folder.is_dir()):
        return open_folder(folder, digest, trust)
    store = Store()
    try:
        return store.pull(text, digest=digest, trust=trust)
    except StoreError as error:
        if folder.is_dir():
            raise FormatError("This folder is not a Portside package: it has no manifest.json", got=str(folder)) from error
        raise
