"""Version of the package format, and when to raise it.

- A new optional field in `content` that old readers may ignore safely: no bump (unknown fields are kept).
- A field whose absence would change an answer, a new stage kind, a moved file: bump, and keep the old reader.
- Golden packages of every version stand in `tests/golden/` and are read by every later version.
"""

FORMAT_VERSION = 1
READABLE = (1,)
