"""GPT-2's byte-level byte-pair encoding: any text, no unknown token. Specified in docs/codec.md.

Source: Radford et al. 2019, in the form that Hugging Face's `tokenizers` runs it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, cast

from ..errors import FormatError
from ..signature import Array, TensorSpec
from .step import WireType, checked_options, file_of, plain_options
from .tokens import Padding, category, check_shape_options, encoded, is_white, splitter, texts, tokenized

_OPTIONS = ("max_length", "padding", "outputs", "prefix_space", "before", "after", "pad", "specials")
_CONTRACTIONS = ("'re", "'ve", "'ll", "'s", "'t", "'m", "'d")
_CHUNK = re.compile(r" ?L+| ?N+| ?O+|[ W]+(?![LNO])|[ W]+")
"""On the text of classes: L letter, N number, W white space other than " ", O the rest."""

_CACHED = 64
"""Longest chunk whose tokens are remembered."""


def _byte_characters() -> dict[int, str]:
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {**{byte: chr(byte) for byte in shown}, **{byte: chr(256 + place) for place, byte in enumerate(hidden)}}


_BYTES = _byte_characters()


@dataclass(frozen=True)
class BPE:
    """Text to `input_ids`, `attention_mask` and, where asked, `token_type_ids`: int32 (batch, sequence).

    Attributes:
        vocabulary: token (bytes written as GPT-2's characters) -> id.
        merges: pairs of tokens, best first.
        max_length: longest row in tokens, special ones included; longer texts lose their end.
        padding: "longest" of the batch, or a fixed length (at least max_length).
        outputs: which tensors, and in which order.
        prefix_space: put a space before a text (or a part between special tokens) that does not start with one.
        before, after: special tokens around the text.
        pad: the token that fills; None: id 0.
        specials: tokens recognised inside a text before anything else is done to it.
    """

    vocabulary: Mapping[str, int] = field(repr=False)
    merges: Sequence[tuple[str, str]] = field(repr=False)
    max_length: int | None = None
    padding: Padding = "longest"
    outputs: tuple[str, ...] = ("input_ids", "attention_mask")
    prefix_space: bool = False
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    pad: str | None = None
    specials: tuple[str, ...] = ()

    kind: ClassVar[str] = "bpe"
    wire: ClassVar[WireType] = "text"
    missing: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocabulary", dict(self.vocabulary))
        object.__setattr__(self, "merges", tuple(tuple(pair) for pair in self.merges))
        for name in ("outputs", "before", "after", "specials"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_shape_options(self.kind, self.max_length, self.padding, len(self.before) + len(self.after), self.outputs)
        special = (*self.before, *self.after, *self.specials, *([self.pad] if self.pad is not None else []))
        made = (left + right for left, right in self.merges)
        if absent := [token for token in (*special, *_BYTES.values(), *made) if token not in self.vocabulary]:
            raise FormatError("The vocabulary lacks a special token, a byte or the result of a merge", got=absent[0])
        if any(type(held) is not int or not 0 <= held < 2**31 for held in self.vocabulary.values()):
            raise FormatError("An id of a BPE vocabulary is not a whole number below 2**31")
        object.__setattr__(self, "_ranks", {pair: rank for rank, pair in enumerate(self.merges)})
        object.__setattr__(self, "_splitter", splitter(self.specials))
        object.__setattr__(self, "_pieces", lru_cache(maxsize=20_000)(self._merged))

    def options(self) -> dict[str, Any]:
        """Everything but vocabulary and merges."""
        return plain_options(self, _OPTIONS)

    def files(self) -> dict[str, tuple[str, bytes]]:
        """`vocab`: JSON, token -> id; `merges`: one pair a line, best first, UTF-8."""
        vocabulary = json.dumps(dict(self.vocabulary), ensure_ascii=False, indent=0).encode()
        return {"vocab": ("json", vocabulary), "merges": ("txt", "".join(f"{left} {right}\n" for left, right in self.merges).encode())}

    def names(self, field: str) -> tuple[str, ...]:
        """The outputs, called as Hugging Face models call them."""
        return self.outputs

    def encode(self, field: str, values: Any) -> tuple[Array, ...]:
        """int32 (batch, sequence) per output. Raises InputError for what is no text."""
        return encoded(self, self.vocabulary, 0 if self.pad is None else self.vocabulary[self.pad], texts(field, values))

    def tokenize(self, text: str, limit: int | None = None) -> list[int]:
        """Ids of one text without the special tokens around it; may stop after `limit` of them."""
        return tokenized(text, self._splitter, self.vocabulary, self._part, limit)

    def annotate(self, spec: TensorSpec) -> TensorSpec:
        """Unchanged."""
        return spec

    @classmethod
    def parse(cls, options: Mapping[str, Any], files: Mapping[str, bytes]) -> BPE:
        """From `options` and the files `vocab` and `merges`."""
        held = checked_options(cls.kind, options, _OPTIONS)
        try:
            return cls(json.loads(file_of(cls.kind, files, "vocab")), merges_of(file_of(cls.kind, files, "merges")), **held)
        except (TypeError, ValueError) as error:
            raise FormatError(f"A BPE step is malformed: {error}") from error

    @classmethod
    def from_files(cls, vocab: str | Path, merges: str | Path, **options: Any) -> BPE:
        """From GPT-2's `vocab.json` and `merges.txt`."""
        return cls(json.loads(Path(vocab).read_bytes()), merges_of(Path(merges).read_bytes()), **options)

    _ranks: ClassVar[Any]  # set per instance in __post_init__: derived, hence no fields
    _splitter: ClassVar[Any]
    _pieces: ClassVar[Any]

    def _part(self, part: str) -> Iterator[Sequence[int]]:
        """Ids of a part without special tokens, a chunk at a time."""
        for chunk in chunks(f" {part}" if self.prefix_space and part and not is_white(part[0]) else part):
            yield self._pieces(chunk) if len(chunk) <= _CACHED else self._merged(chunk)

    def _merged(self, chunk: str) -> tuple[int, ...]:
        parts = [_BYTES[byte] for byte in chunk.encode("utf-8")]
        return tuple(self.vocabulary[part] for part in merged(parts, self._ranks))


def merged(parts: list[str], ranks: Mapping[tuple[str, str], int]) -> list[str]:
    """Join the best-ranked neighbours, leftmost first, until no pair has a rank. n log n, because a caller chooses n."""
    held = list(parts)  # a part that was joined to its left neighbour is ""
    after, before = list(range(1, len(parts) + 1)), list(range(-1, len(parts) - 1))
    pairs = enumerate(pairwise(parts))
    queue: list[tuple[int, int, str, str]] = [(ranks[pair], place, pair[0], pair[1]) for place, pair in pairs if pair in ranks]
    heapify(queue)
    while queue:
        _, place, left, right = heappop(queue)
        follower = after[place]
        if held[place] != left or follower >= len(held) or held[follower] != right:
            continue  # one of the two has been joined elsewhere since
        held[place], held[follower], after[place] = left + right, "", after[follower]
        if after[place] < len(held):
            before[after[place]] = place
        for start, end in ((before[place], place), (place, after[place])):
            pair = (held[start], held[end]) if start >= 0 and end < len(held) else ("", "")
            if pair in ranks:
                heappush(queue, (ranks[pair], start, pair[0], pair[1]))
    return [part for part in held if part]


def chunks(text: str) -> list[str]:
    """GPT-2's split: contractions, then runs of letters, numbers, others (each with one space before), then white space."""
    classes = "".join(map(_class, text))
    found: list[str] = []
    place = 0
    while place < len(text):
        contraction = next((c for c in _CONTRACTIONS if text.startswith(c, place)), None) if text[place] == "'" else None
        end = place + len(contraction) if contraction else cast("re.Match[str]", _CHUNK.match(classes, place)).end()
        found.append(text[place:end])
        place = end
    return found


def merges_of(data: bytes) -> list[tuple[str, str]]:
    """Pairs of a merges.txt; its first line may be "#version". Raises FormatError."""
    lines = [line for line in data.decode("utf-8").split("\n") if line]
    pairs = [tuple(line.split(" ")) for line in (lines[1:] if lines and lines[0].startswith("#version") else lines)]
    if wrong := [pair for pair in pairs if len(pair) != 2]:
        raise FormatError("A line of merges.txt is not a pair", got=" ".join(wrong[0])[:60])
    return cast("list[tuple[str, str]]", pairs)


@lru_cache(maxsize=4096)
def _class(char: str) -> str:
    if is_white(char):
        return " " if char == " " else "W"
    first = category(char)[0]
    return first if first in "LN" else "O"
