"""The small language of a graph: where a value comes from, and when a step runs. Parsed here, never evaluated as code.

    reference    first.confidence      rank.scores[1]      max(voice.speech)      request.text
    sources      uncertain.label ?? first.label ?? "unknown"
    condition    first.confidence < 0.9 and first.label != "advert" or first.length > 1000

`[i]` takes one element of the last axis; `max`, `min` and `mean` take every element of a row. `and` binds closer than `or`.

    >>> condition("first.confidence < 0.9").any_of[0][0]
    Comparison(left=Reference(step='first', name='confidence', index=None, over=None), operator='<', right=0.9)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from ...sdk.core.errors import FormatError

Over: TypeAlias = Literal["max", "min", "mean"]
Scalar: TypeAlias = bool | int | float | str
REQUEST = "request"
OPERATORS = ("<=", ">=", "==", "!=", "<", ">")
_REFERENCE = r"[A-Za-z_][\w-]*\.[\w./:-]+(?:\[-?\d+\])?"
_TOKEN = re.compile(
    rf"\s*(?:(?P<reference>(?:max|min|mean)\(\s*{_REFERENCE}\s*\)|{_REFERENCE})|(?P<operator><=|>=|==|!=|<|>)"
    r"|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])|(?P<text>\"[^\"]*\"|'[^']*')|(?P<word>[A-Za-z]+)|(?P<or>\?\?))"
)
_PARTS = re.compile(r"(?:(max|min|mean)\(\s*)?([A-Za-z_][\w-]*)\.([\w./:-]+)(?:\[(-?\d+)\])?\s*\)?")


@dataclass(frozen=True)
class Reference:
    """An output of a step, or a field of the request.

    Attributes:
        step: name of the step, or "request".
        name: of the output or field.
        index: one element of the last axis.
        over: what is taken of every element of a row.
    """

    step: str
    name: str
    index: int | None = None
    over: Over | None = None

    def __str__(self) -> str:
        bare = f"{self.step}.{self.name}" + (f"[{self.index}]" if self.index is not None else "")
        return f"{self.over}({bare})" if self.over else bare


@dataclass(frozen=True)
class Comparison:
    """One value against a constant."""

    left: Reference
    operator: str
    right: Scalar


@dataclass(frozen=True)
class Condition:
    """True where every comparison of one of the groups is."""

    any_of: tuple[tuple[Comparison, ...], ...]

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """What it reads."""
        return tuple(one.left for group in self.any_of for one in group)


Source: TypeAlias = Reference | Scalar


def reference(text: str) -> Reference:
    """Parse one reference. Raises FormatError."""
    tokens = list(_tokens(text))
    if len(tokens) != 1 or tokens[0][0] != "reference":
        raise FormatError(f"{text!r} does not say where a value comes from", expected='"step.output" or "request.field"')
    return _reference(tokens[0][1])


def sources(text: str) -> tuple[Source, ...]:
    """Parse "a.x ?? b.y ?? 0.5": tried in order. Raises FormatError; a constant is the last."""
    tokens = list(_tokens(text))
    kinds = [kind for kind, _ in tokens]
    if len(tokens) % 2 == 0 or any(kind != "or" for kind in kinds[1::2]):
        raise FormatError(f"{text!r} does not say where a value comes from", expected='"step.output", or several with ?? between them')
    found = tuple(_reference(word) if kind == "reference" else _scalar(kind, word, text) for kind, word in tokens[::2])
    if any(not isinstance(source, Reference) for source in found[:-1]):
        raise FormatError(f"{text!r}: a constant is always there, so nothing after it is reached")
    return found


def condition(text: str) -> Condition:
    """Parse comparisons with `and` and `or` between them. Raises FormatError."""
    tokens, groups, place = list(_tokens(text)), list[list[Comparison]]([[]]), 0
    while True:
        groups[-1].append(_comparison(tokens[place : place + 3], text))
        place += 3
        if place == len(tokens):
            return Condition(tuple(tuple(group) for group in groups))
        joined = tokens[place]
        if joined not in (("word", "and"), ("word", "or")):
            raise FormatError(f"{text!r} is no condition", got=joined[1], expected="and, or")
        if joined[1] == "or":
            groups.append([])
        place += 1


def _comparison(tokens: list[tuple[str, str]], text: str) -> Comparison:
    if [kind for kind, _ in tokens[:2]] != ["reference", "operator"] or len(tokens) != 3:
        raise FormatError(f"{text!r} is no condition", expected='a comparison such as "first.confidence < 0.9"')
    right = _scalar(*tokens[2], text)
    if isinstance(right, bool | str) and tokens[1][1] not in ("==", "!="):
        raise FormatError(f"{text!r}: text, true and false are compared by == and != only")
    return Comparison(_reference(tokens[0][1]), tokens[1][1], right)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place, text = 0, text.rstrip()
    if not text:
        raise FormatError("This is empty", expected='such as "step.output"')
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise FormatError(f"{text!r} cannot be read", got=text[place:][:20].strip())
        yield found.lastgroup, found[found.lastgroup]
        place = found.end()


def _reference(word: str) -> Reference:
    found = _PARTS.fullmatch(word)
    assert found is not None  # noqa: S101  the tokenizer said so
    over, step, name, index = found.groups()
    return Reference(step, name, None if index is None else int(index), over)  # type: ignore[arg-type]


def _scalar(kind: str, word: str, text: str) -> Scalar:
    if kind == "number":
        return float(word) if set(word) & set(".eE") else int(word)
    if kind == "text":
        return word[1:-1]
    if kind == "word" and word in ("true", "false"):
        return word == "true"
    raise FormatError(f"{text!r} is not what can stand here", got=word, expected='a number, true, false or "text"')
