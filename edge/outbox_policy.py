"""What the outbox decides, as values: how urgent an entry is, what a quota is made of, what is given up for what. No files, no clocks.

- Errors, reviews, checks and what an update did go home first; then labels and summaries; then plain records.
- Where there is no room the oldest of the least urgent goes, never something more urgent than what comes in.
- The quota is a promise about files. SQLite's own limits keep it: pages of the database (`max_page_count`) and frames of its log, which
  is emptied before a transaction that could make it longer than it may be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..sdk.core.errors import InputError

PAGE_BYTES = 4096
FRAME_BYTES = PAGE_BYTES + 24
LOG_HEADER_BYTES = 32
MARK_BYTES = 2 * PAGE_BYTES
"""The mark of sequence numbers beside the database, old and new while it is replaced."""
LEAST_QUOTA_BYTES = 1 << 20
KINDS: Mapping[str, int] = {"error": 0, "review": 0, "check": 0, "event": 0, "label": 1, "summary": 1, "record": 2}
"""Kind -> urgency; 0 goes home first and is given up last."""
ASIDE = 3
"""The urgency of what the server has refused: kept for whoever looks, given up before everything else, never sent again."""
URGENCIES = (0, 1, 2)
_OVERFLOW = PAGE_BYTES - 4
_SMALL = 400
"""Bodies up to about this share leaves with others; longer ones have overflow pages."""
TREES = 48
"""Pages that a transaction may write beside those of its entries: the paths of four trees with their neighbours, counters, free lists."""


@dataclass(frozen=True)
class Quota:
    """What the files of an outbox may take.

    Attributes:
        total_bytes: of all its files together.
        pages: of the database.
        frames: of its log.
    """

    total_bytes: int
    pages: int
    frames: int

    @classmethod
    def of(cls, total_bytes: int) -> Quota:
        """The log gets a quarter, at least 100 pages and at most 1,000. Raises InputError for less than can hold anything."""
        if total_bytes < LEAST_QUOTA_BYTES:
            raise InputError("The quota of the outbox is too small", field="quota_bytes", got=total_bytes,
                             expected=f"at least {LEAST_QUOTA_BYTES}")  # fmt: skip
        frames = min(1000, max(100, total_bytes // 4 // FRAME_BYTES))
        pages = (total_bytes - MARK_BYTES - LOG_HEADER_BYTES - frames * FRAME_BYTES) // PAGE_BYTES
        return cls(total_bytes, pages, frames)

    @property
    def entry_bytes(self) -> int:
        """The longest body that is taken: it has to fit a transaction together with what has to go for it."""
        return min((self.frames - TREES) // 2, self.pages // 4) * _OVERFLOW


def pages_of(body_bytes: int) -> int:
    """Pages that an entry with a body of this length takes at most, beside those that it shares."""
    return 1 + -(-body_bytes // _OVERFLOW) if body_bytes > _SMALL else 1


def frames_of(bodies: Sequence[int], removed: int = 0) -> int:
    """The most frames that one transaction adds that appends bodies of these lengths and removes so many entries.

    Entries are appended behind the last and removed from the front, so that one leaf is written for each at the most; the pages behind
    long bodies are written when they are appended, and only listed as free when they are removed.
    """
    return sum(map(pages_of, bodies)) + 2 * removed + TREES


def groups(bodies: Sequence[int], frames: int) -> list[int]:
    """How many entries each transaction takes, in order, so that none adds more than `frames` with as many removed for them.

    >>> groups([100] * 5, 48 + 6)
    [2, 2, 1]
    """
    found, taken, size = list[int](), 0, TREES
    for body in bodies:
        more = pages_of(body) + 2
        if taken and size + more > frames:
            found.append(taken)
            taken, size = 0, TREES
        taken, size = taken + 1, size + more
    return [*found, taken] if taken else found


def urgency_of(kind: str) -> int:
    """Raises InputError for a kind that there is not."""
    if kind not in KINDS:
        raise InputError("The outbox knows no such kind of entry", field="kind", got=kind, expected=", ".join(KINDS))
    return KINDS[kind]
