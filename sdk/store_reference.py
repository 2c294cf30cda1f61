"""References to packages in a store: `name`, `name:3`, `name:prod`, `name@sha256:...`, `name:3@sha256:...`, `sha256:...`.

    >>> Reference.parse("cell-inspector:3")
    Reference(name='cell-inspector', number=3, tag=None, digest=None)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .core.canonical import check_digest
from .core.errors import StoreError

LATEST = "latest"
_NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_FORMS = "name, name:3, name:tag, name@sha256:..., or sha256:..."


@dataclass(frozen=True)
class Reference:
    """A parsed reference; with neither number, tag nor digest it means the latest version.

    Attributes:
        name: the package's name, None for a bare digest.
        number: a version, which never changes.
        tag: a name that moves between versions.
        digest: "sha256:...", a pin.
    """

    name: str | None
    number: int | None = None
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse. Raises StoreError (not a reference) or FormatError (not a digest)."""
        if text.startswith("sha256:"):
            return cls(None, digest=check_digest(text, "The reference"))
        rest, pinned, digest = text.partition("@")
        name, _, version = rest.partition(":")
        checked = check_digest(digest, f"The pin of {rest!r}") if pinned else None
        if ":" not in rest or version == LATEST:
            return cls(check_name(name), digest=checked)
        if _NUMBER.fullmatch(version):
            return cls(check_name(name), number=int(version), digest=checked)
        return cls(check_name(name), tag=check_tag(version), digest=checked)


def check_name(name: str) -> str:
    """`name`, if stores and registries take it. Raises StoreError otherwise."""
    if not _NAME.fullmatch(name) or len(name) > 200 or name == "sha256":
        raise StoreError("This is not a name that a store takes", got=repr(name)[:220],
                         expected="lower-case letters and digits, with . _ - or / between them",
                         fix=f"References look like {_FORMS}.")  # fmt: skip
    return name


def check_tag(tag: str) -> str:
    """`tag`, if it may move between versions. Raises StoreError for numbers, "latest" and odd characters."""
    if not _TAG.fullmatch(tag) or tag == LATEST:
        raise StoreError("This is not a tag that a store takes", got=repr(tag)[:220],
                         expected=f"a letter, then letters, digits, _ . or -; not {LATEST!r}, which is the newest version")  # fmt: skip
    return tag
