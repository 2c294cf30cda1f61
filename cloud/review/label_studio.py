"""Items as tasks of Label Studio, and its annotations as answers. Pure: JSON in, JSON out; the format is that of its task_format page.

An exported task carries `portside_review` in its data, which Label Studio keeps and exports again: that is how an annotation finds
its item. Pictures and sounds travel inside the task (data URIs), or as files below a prefix that Label Studio serves.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote_from_bytes
from xml.sax.saxutils import quoteattr

from ...sdk.core.errors import FormatError
from ...sdk.core.records import uuid7
from .item import Candidate
from .media import shown
from .payload import Kind, Part

REVIEW = "portside_review"
TAGS: dict[Kind, str] = {"image": "Image", "audio": "Audio", "text": "Text"}
TABLE = "fields"
"""Name of the object that holds every field that is neither picture, sound nor text."""


@dataclass(frozen=True)
class Shape:
    """What the tasks of one labeling interface have in common.

    Attributes:
        output: the control's name.
        question: stands above.
        classes: what can be chosen; none: a number or text is typed.
        kinds: field -> kind.
        number: what is typed is a number.
    """

    output: str
    question: str
    classes: tuple[str, ...]
    kinds: Mapping[str, Kind]
    number: bool = False

    @property
    def large(self) -> list[str]:
        """Fields with a tag of their own."""
        return [name for name, kind in self.kinds.items() if kind in TAGS]

    @property
    def tags(self) -> dict[str, str]:
        """Large field -> its name in Label Studio, where no two objects, and no object and control, are called alike."""
        found: dict[str, str] = {}
        for name in self.large:
            tag = _tag(name)
            while tag == self.output or tag in found.values():
                tag += "_"
            found[name] = tag
        return found

    @property
    def target(self) -> str:
        """The object that the control belongs to."""
        return next(iter(self.tags.values()), TABLE)


@dataclass(frozen=True)
class Annotated:
    """An answer out of Label Studio.

    Attributes:
        review: the item.
        value: the name of a choice, a number, or text.
        author: who annotated.
        at_ms: when; Unix milliseconds.
        token: names the decision; the same annotation always has the same one.
    """

    review: str
    value: Any
    author: str
    at_ms: int
    token: str
    took_ms: int | None = None


def config(shape: Shape) -> str:
    """The labeling interface, as Label Studio's settings take it."""
    lines = ["<View>", f"  <Header value={quoteattr(shape.question)}/>"]
    for name, tag in shape.tags.items():
        more = ' zoom="true" zoomControl="true"' if shape.kinds[name] == "image" else ""
        lines.append(f"  <{TAGS[shape.kinds[name]]} name={quoteattr(tag)} value={quoteattr('$' + tag)}{more}/>")
    if len(shape.large) < len(shape.kinds) or not shape.large:
        lines.append(f'  <Table name="{TABLE}" value="${TABLE}"/>')
    name, to = quoteattr(shape.output), quoteattr(shape.target)
    if shape.classes:
        choices = "".join(f"<Choice value={quoteattr(one)}/>" for one in shape.classes)
        lines.append(f'  <Choices name={name} toName={to} choice="single-radio" required="true">{choices}</Choices>')
    else:
        typed = "<Number" if shape.number else '<TextArea rows="3" maxSubmissions="1" editable="true"'
        lines.append(f'  {typed} name={name} toName={to} required="true"/>')
    return "\n".join([*lines, "</View>"]) + "\n"


def task(review: str, parts: Sequence[Part], shape: Shape, candidates: Sequence[Candidate], package: str,
         files: Mapping[str, str] | None = None) -> dict[str, Any]:  # fmt: skip
    """One task with the model's answer as a prediction.

    Args:
        files: field -> address of its file; none: files travel inside.
    """
    data: dict[str, Any] = {REVIEW: review}
    tags = shape.tags
    small = {part.field: part.value for part in parts if part.field not in tags}
    for part in parts:
        if part.field in tags:
            data[tags[part.field]] = part.value if part.data is None else (files or {}).get(part.field) or _inside(part)
    if small or not tags:
        data[TABLE] = {name: str(value) for name, value in small.items()}
    found: dict[str, Any] = {"data": data, "meta": {REVIEW: review}}
    best = next((one for one in candidates if one.probability is not None), None)
    if best is not None and best.shown in shape.classes:
        found["predictions"] = [{"model_version": package, "score": best.probability, "result": [_result(shape, best.shown)]}]
    return found


def answers_of(tasks: Any, output: str | None = None) -> Iterator[Annotated]:
    """The newest finished annotation of every task that is one of ours.

    Args:
        tasks: an export ("JSON", not "JSON-MIN"), parsed.
        output: the name of the control whose answer counts; None: the first that answered.

    Raises FormatError for what is no export of Label Studio.
    """
    if not isinstance(tasks, list):
        raise FormatError("This is no export of Label Studio", got=type(tasks).__name__, expected="its JSON: a list of tasks")
    for place, entry in enumerate(cast("list[Any]", tasks)):
        if not isinstance(entry, dict):
            raise FormatError("This is no task of Label Studio", got=f"entry {place}: {type(entry).__name__}")
        said = cast("dict[str, Any]", entry)
        if "annotations" not in said:
            raise FormatError("A task has no annotations", got=f"entry {place}", fix="Export as JSON, not as JSON-MIN.")
        review = (said.get("data") or {}).get(REVIEW) or (said.get("meta") or {}).get(REVIEW)
        done = [one for one in said["annotations"] if not one.get("was_cancelled") and _value(one, output) is not None]
        if isinstance(review, str) and done:
            yield _annotated(review, max(done, key=_moment_ms), output)


def _annotated(review: str, said: Mapping[str, Any], output: str | None) -> Annotated:
    at_ms, lead = _moment_ms(said), said.get("lead_time")
    seed = hashlib.sha256(f"{review}\0{said.get('id')}\0{said.get('created_at')}\0{_value(said, output)}".encode()).digest()
    took = int(float(lead) * 1000) if isinstance(lead, int | float) else None
    return Annotated(review, _value(said, output), _author(said), at_ms, uuid7(at_ms, seed[:10]), took)


def _value(said: Mapping[str, Any], output: str | None) -> Any:
    """What was answered; None: nothing."""
    results: Iterable[Any] = said.get("result") or ()
    for result in results:
        if output in (None, result.get("from_name")):
            held = result.get("value", {})
            many = held.get("choices") or held.get("text")
            return many[0] if isinstance(many, list) and many else held.get("number", many)
    return None


def _author(said: Mapping[str, Any]) -> str:
    """The e-mail address where the export has it, else the number of the user."""
    who = said.get("completed_by")
    if isinstance(who, dict):
        held = cast("dict[str, Any]", who)
        who = held.get("email") or held.get("username") or held.get("id")
    return f"label-studio:{who if who is not None else 'unknown'}"[:100]


def _moment_ms(said: Mapping[str, Any]) -> int:
    """When an annotation was last changed. Raises FormatError."""
    when = said.get("updated_at") or said.get("created_at")
    try:
        moment = datetime.fromisoformat(str(when).replace("Z", "+00:00"))
    except ValueError as error:
        raise FormatError("An annotation does not say when it was made", got=when, expected="updated_at or created_at") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _result(shape: Shape, value: str) -> dict[str, Any]:
    return {"from_name": shape.output, "to_name": shape.target, "type": "choices", "value": {"choices": [value]}}


def _inside(part: Part) -> str:
    """A data URI. Sounds are percent-encoded: Label Studio's player adds a query to every address, which is no base64; behind a sound it is
    read as nine bytes more, which no player minds."""
    content, media = shown(part)
    if part.kind == "audio":
        return f"data:{media},{quote_from_bytes(content, safe='')}"
    return f"data:{media};base64,{b64encode(content).decode()}"


def _tag(field: str) -> str:
    """A field's name as a name of Label Studio's: letters, digits and underscores."""
    plain = "".join(char if char.isascii() and char.isalnum() else "_" for char in field)
    return plain if plain and not plain[0].isdigit() and plain not in (TABLE, REVIEW) else f"field_{plain}"
