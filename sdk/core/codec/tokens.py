"""What tokenizers share: special tokens inside text, truncation, padding, and the tensors that leave.

Unicode properties come from Python's `unicodedata` (14.0 on Python 3.11); a character that a newer Unicode version
added may be classed differently elsewhere. `docs/codec.md` says what follows from that.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np

from ..errors import FormatError
from ..refusal import refusal, shown
from ..signature import Array
from .step import object_rows

Role: TypeAlias = Literal["input_ids", "attention_mask", "token_type_ids"]
ROLES: tuple[Role, ...] = get_args(Role)
Padding: TypeAlias = Literal["longest"] | int
MAX_TEXT = 200_000
"""Characters of one text; longer ones are refused, so that a request's cost is bounded."""

_WHITE = frozenset("\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))))
_SURROGATES = re.compile("[\ud800-\udfff]")


def is_white(char: str) -> bool:
    """Unicode's White_Space property (str.isspace also takes U+001C to U+001F)."""
    return char in _WHITE


class Tokenizer(Protocol):
    """What `encoded` reads of a tokenizer's step."""

    @property
    def max_length(self) -> int | None: ...
    @property
    def padding(self) -> Padding: ...
    @property
    def outputs(self) -> tuple[str, ...]: ...
    @property
    def before(self) -> tuple[str, ...]: ...
    @property
    def after(self) -> tuple[str, ...]: ...
    def tokenize(self, text: str, limit: int | None = None) -> list[int]: ...


def encoded(step: Tokenizer, ids: Mapping[str, int], pad_id: int, texts: Sequence[str]) -> tuple[Array, ...]:
    """A batch of texts between their special tokens, as `step` truncates and pads: int32 (batch, sequence) per output."""
    before, after = [ids[token] for token in step.before], [ids[token] for token in step.after]
    room = None if step.max_length is None else step.max_length - len(before) - len(after)
    rows = [[*before, *step.tokenize(text, room)[:room], *after] for text in texts]
    return assembled(rows, step.padding, pad_id, step.outputs)


def tokenized(text: str, splitter: re.Pattern[str] | None, ids: Mapping[str, int], pieces: Callable[[str], Iterable[Sequence[int]]],
              limit: int | None) -> list[int]:  # fmt: skip
    """Ids of a text: special tokens as they stand, what lies between them by `pieces`; may stop after `limit` ids."""
    found: list[int] = []
    for place, part in enumerate(splitter.split(text) if splitter else [text]):
        for some in ([ids[part]],) if place % 2 else pieces(part):
            found.extend(some)
            if limit is not None and len(found) >= limit:
                return found
    return found


@lru_cache(maxsize=4096)
def category(char: str) -> str:
    """Unicode general category, e.g. "Lu"."""
    return unicodedata.category(char)


def texts(field: str, values: Any) -> list[str]:
    """A batch of texts; lone surrogates become U+FFFD. Raises InputError for what is no text."""
    cells = object_rows(field, values)
    if cells.ndim != 1:
        raise refusal("a batch of texts has one dimension", field, got=f"shape {cells.shape}")
    for row, text in enumerate(cells.tolist()):
        if not isinstance(text, str):
            raise refusal("this is not text", field, row, got=shown(text))
        if len(text) > MAX_TEXT:
            raise refusal("this text is too long", field, row, got=f"{len(text)} characters", expected=f"at most {MAX_TEXT}")
    return [_SURROGATES.sub("\ufffd", text) for text in cells.tolist()]


def splitter(tokens: Sequence[str]) -> re.Pattern[str] | None:
    """A pattern whose group is a special token: leftmost, then longest. None where there are none."""
    if not tokens:
        return None
    ordered = sorted(set(tokens), key=lambda token: (-len(token), token))
    return re.compile("(" + "|".join(re.escape(token) for token in ordered) + ")")


def check_shape_options(kind: str, max_length: int | None, padding: Padding, specials: int, outputs: Sequence[str]) -> None:
    """Raise FormatError for lengths that leave no room, or outputs that do not exist."""
    if max_length is not None and (type(max_length) is not int or max_length <= specials):
        raise FormatError(f"max_length of a {kind} step leaves no room for text", got=max_length, expected=f"more than {specials}")
    if padding != "longest" and (type(padding) is not int or max_length is None or padding < max_length):
        raise FormatError(f"Fixed padding of a {kind} step needs a max_length that is not larger", got=(max_length, padding))
    if not outputs or len(set(outputs)) != len(outputs) or set(outputs) - set(ROLES):
        raise FormatError(f"A {kind} step has unknown outputs", got=list(outputs), expected=", ".join(ROLES))


def assembled(rows: Sequence[Sequence[int]], padding: Padding, pad_id: int, outputs: Sequence[str]) -> tuple[Array, ...]:
    """Ids per row -> int32 tensors (batch, sequence), padded on the right; mask 1 for tokens, type 0 everywhere."""
    width = padding if isinstance(padding, int) else max(1, *(len(row) for row in rows), 1) if rows else 1
    ids = np.full((len(rows), width), pad_id, np.int32)
    mask = np.zeros((len(rows), width), np.int32)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    made: dict[str, Array] = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return tuple(made[role] for role in outputs)
