"""BERT's tokenizer: clean, split at spaces, punctuation and CJK, then the longest known pieces. Specified in docs/codec.md.

Source: the basic and WordPiece tokenizers of BERT (Devlin et al. 2018), in the form that Hugging Face's `tokenizers`
runs them: the same ids, tested on every character.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from ..errors import FormatError
from ..signature import Array, TensorSpec
from .step import WireType, checked_options, file_of, plain_options
from .tokens import Padding, check_shape_options, encoded, is_white, splitter, texts, tokenized
from .unicode_classes import CONTROL, MARKS, PUNCTUATION, code_points

_OPTIONS = ("lowercase", "strip_accents", "split_cjk", "max_length", "padding", "outputs", "unknown", "before", "after", "pad",
            "specials", "max_word")  # fmt: skip
_CJK = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF),
        (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))  # fmt: skip
_MARKS, _PUNCTUATION, _CONTROL = code_points(MARKS), code_points(PUNCTUATION), code_points(CONTROL)
_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class WordPiece:
    """Text to `input_ids`, `attention_mask` and, where asked, `token_type_ids`: int32 (batch, sequence).

        >>> WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "solar", "cell", "##s"]).encode("text", "Solar cells")[0].tolist()
        [[2, 5, 6, 7, 3]]

    Attributes:
        vocabulary: the tokens in the order of their ids.
        max_length: longest row in tokens, special ones included; longer texts lose their end.
        padding: "longest" of the batch, or a fixed length (at least max_length).
        outputs: which tensors, and in which order.
        lowercase: per character, without context.
        strip_accents: drop combining marks after NFD; None: as `lowercase`.
        split_cjk: CJK ideographs are words of their own.
        unknown, before, after, pad: the special tokens and where they stand.
        specials: tokens recognised inside a text before anything else is done to it.
        max_word: a longer word is unknown.
    """

    vocabulary: Sequence[str] = field(repr=False)
    max_length: int | None = None
    padding: Padding = "longest"
    outputs: tuple[str, ...] = ("input_ids", "attention_mask")
    lowercase: bool = True
    strip_accents: bool | None = None
    split_cjk: bool = True
    unknown: str = "[UNK]"
    before: tuple[str, ...] = ("[CLS]",)
    after: tuple[str, ...] = ("[SEP]",)
    pad: str = "[PAD]"
    specials: tuple[str, ...] = _SPECIALS
    max_word: int = 100

    kind: ClassVar[str] = "wordpiece"
    wire: ClassVar[WireType] = "text"
    missing: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocabulary", tuple(self.vocabulary))
        for name in ("outputs", "before", "after", "specials"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        ids = {token: place for place, token in enumerate(self.vocabulary)}
        if absent := [token for token in (self.unknown, self.pad, *self.before, *self.after) if token not in ids]:
            raise FormatError("The vocabulary lacks a special token", got=absent[0])
        if any("\n" in token or "\r" in token for token in self.vocabulary):
            raise FormatError("A token of a WordPiece vocabulary holds a line break")
        check_shape_options(self.kind, self.max_length, self.padding, len(self.before) + len(self.after), self.outputs)
        object.__setattr__(self, "_ids", ids)
        object.__setattr__(self, "_splitter", splitter([token for token in self.specials if token in ids]))
        object.__setattr__(self, "_pieces", lru_cache(maxsize=20_000)(self._word))

    def options(self) -> dict[str, Any]:
        """Everything but the vocabulary."""
        return plain_options(self, _OPTIONS)

    def files(self) -> dict[str, tuple[str, bytes]]:
        """`vocab`: one token a line, UTF-8."""
        return {"vocab": ("txt", "".join(f"{token}\n" for token in self.vocabulary).encode())}

    def names(self, field: str) -> tuple[str, ...]:
        """The outputs, called as Hugging Face models call them."""
        return self.outputs

    def encode(self, field: str, values: Any) -> tuple[Array, ...]:
        """int32 (batch, sequence) per output. Raises InputError for what is no text."""
        return encoded(self, self._ids, self._ids[self.pad], texts(field, values))

    def tokenize(self, text: str, limit: int | None = None) -> list[int]:
        """Ids of one text without the special tokens around it; may stop after `limit` of them."""
        return tokenized(text, self._splitter, self._ids, self._part, limit)

    def annotate(self, spec: TensorSpec) -> TensorSpec:
        """Unchanged."""
        return spec

    @classmethod
    def parse(cls, options: Mapping[str, Any], files: Mapping[str, bytes]) -> WordPiece:
        """From `options` and the file `vocab`."""
        held = checked_options(cls.kind, options, _OPTIONS)
        try:
            return cls(vocabulary_of(file_of(cls.kind, files, "vocab")), **held)
        except (TypeError, UnicodeDecodeError) as error:
            raise FormatError(f"A WordPiece step is malformed: {error}") from error

    @classmethod
    def from_file(cls, path: str | Path, **options: Any) -> WordPiece:
        """From a `vocab.txt`, or a Hugging Face `tokenizer.json`; options given here win.

        Raises FormatError where tokenizer.json asks for what this step cannot do.
        """
        data = Path(path).read_bytes()
        if Path(path).suffix != ".json":
            return cls(vocabulary_of(data), **options)
        vocabulary, found = _from_tokenizer_json(json.loads(data))
        return cls(vocabulary, **{**found, **options})

    _ids: ClassVar[Any]  # set per instance in __post_init__: derived, hence no fields
    _splitter: ClassVar[Any]
    _pieces: ClassVar[Any]

    def _part(self, part: str) -> Iterator[Sequence[int]]:
        """Ids of a part without special tokens, a word at a time."""
        for word in self._words(part):
            yield self._pieces(word)

    def _words(self, text: str) -> list[str]:
        strip = self.lowercase if self.strip_accents is None else self.strip_accents
        spaced = "".join(map(_clean_spaced if self.split_cjk else _clean, text))
        if strip:
            spaced = "".join(char for char in unicodedata.normalize("NFD", spaced) if ord(char) not in _MARKS)
        if self.lowercase:
            spaced = "".join(map(_lower, spaced))
        return "".join(map(_spaced_punctuation, spaced)).split(" ")

    def _word(self, word: str) -> tuple[int, ...]:
        if not word:
            return ()
        if len(word) > self.max_word:
            return (self._ids[self.unknown],)
        ids: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            end = next((end for end in range(len(word), start, -1) if prefix + word[start:end] in self._ids), None)
            if end is None:
                return (self._ids[self.unknown],)
            ids.append(self._ids[prefix + word[start:end]])
            start = end
        return tuple(ids)


def vocabulary_of(data: bytes) -> list[str]:
    """Tokens of a vocab.txt, one a line; line ends may be those of Windows."""
    lines = data.decode("utf-8").split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if lines and not lines[-1] else lines)]


@lru_cache(maxsize=4096)
def _clean(char: str) -> str:
    if char in "\t\n\r":
        return " "
    if char == "\ufffd" or ord(char) in _CONTROL:
        return ""
    return " " if is_white(char) else char


@lru_cache(maxsize=4096)
def _clean_spaced(char: str) -> str:
    return f" {char} " if any(low <= ord(char) <= high for low, high in _CJK) else _clean(char)


@lru_cache(maxsize=4096)
def _lower(char: str) -> str:
    return char.lower()


@lru_cache(maxsize=4096)
def _spaced_punctuation(char: str) -> str:
    if is_white(char):
        return " "
    mark = char in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" if char < "\x80" else ord(char) in _PUNCTUATION
    return f" {char} " if mark else char


def _from_tokenizer_json(data: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    model, normalizer = data["model"], data.get("normalizer") or {}
    wanted = {"model": "WordPiece", "normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer"}
    for part, expected in wanted.items():
        if (got := (data.get(part) or {}).get("type")) != expected:
            raise FormatError(f"This tokenizer.json has another {part}", got=got, expected=expected)
    if model.get("continuing_subword_prefix", "##") != "##" or not normalizer.get("clean_text", True):
        raise FormatError("This tokenizer.json uses another subword prefix, or does not clean its text")
    vocabulary = sorted(model["vocab"], key=model["vocab"].get)
    if [model["vocab"][token] for token in vocabulary] != list(range(len(vocabulary))):
        raise FormatError("The ids of this tokenizer.json are not 0, 1, 2, ...")
    truncation = data.get("truncation") or {}
    return vocabulary, {
        "lowercase": normalizer.get("lowercase", True), "strip_accents": normalizer.get("strip_accents"),
        "split_cjk": normalizer.get("handle_chinese_chars", True), "unknown": model.get("unk_token", "[UNK]"),
        "max_word": model.get("max_input_chars_per_word", 100), "max_length": truncation.get("max_length"),
        "specials": tuple(token["content"] for token in data.get("added_tokens", ()) if token.get("special")),
    }  # fmt: skip
