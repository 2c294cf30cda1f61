"""Version of the package format, and when to raise it.

- A new optional field in `content` that old readers may ignore safely: no bump (unknown fields are kept).
- A field whose absence would change an answer, a new stage kind, a moved file: bump, and keep the old reader.
- A package is written in the lowest version that holds it, so that packages without the newer thing stay byte for byte what
  they were, and older readers open them. Version 2 is version 1 with stages of kind "native"; a native stage in a manifest
  that says version 1 is refused.
- Golden packages of every version stand in `tests/golden/` and are read by every later version.
"""

from collections.abc import Iterable

FORMAT_VERSION = 2
"""The newest."""
READABLE = (1, 2)
_NATIVE = 2


def version_of(kinds: Iterable[str]) -> int:
    """The lowest version whose readers know these kinds of stages."""
    return _NATIVE if "native" in kinds else READABLE[0]
