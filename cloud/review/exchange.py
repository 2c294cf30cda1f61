"""Items out to Label Studio, and its annotations back in: written as decisions of whoever annotated, once however often imported."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping, func, select

from ...sdk.core.errors import InputError, StoreError
from ...sdk.core.labels import Label
from ..deployment.review import Review
from ..records.database import Database
from ..records.labelling import label
from .dataset import EXTENSIONS
from .deciding import decide
from .item import Candidate
from .label_studio import Annotated, Shape, config, task
from .media import shown
from .naming import signature_behind
from .overview import listed
from .payload import Kind, Part
from .queue import found
from .refusals import TakenError, UnknownReviewError
from .rows import payload_of
from .showing import fields, hidden, unled
from .tables import REVIEWS
from .turn import reading

TASKS, CONFIG, FILES = "tasks.json", "label_config.xml", "files"


@dataclass(frozen=True)
class Imported:
    """What became of annotations.

    Attributes:
        decided: items that waited.
        labelled: items that were decided already, and got another label.
        known: annotations of an earlier import.
        strangers: of items that are not here.
    """

    decided: int = 0
    labelled: int = 0
    known: int = 0
    strangers: int = 0


def send(database: Database, out: Path, now_ms: int, *, deployments: Sequence[str] | None = None, state: str = "pending",
         limit: int = 10_000, prefix: str | None = None, settings: Mapping[str, Review] | None = None) -> int:  # fmt: skip
    """Write tasks and the labeling interface for items in a state; how many. Those that people hold here are not among the pending.

    Args:
        out: a folder; made.
        settings: what deployments say of their reviews, by name: the question, and of which rows the model's answer stays hidden.
        prefix: where Label Studio will find what is put into `out/files`; None: pictures and sounds travel inside the tasks.

    Raises InputError: there are none, or they differ in what is asked. StoreError: they cannot be written.
    """
    ids = [status.id for status, _ in listed(database, now_ms, deployments=deployments, state=state, limit=limit)]
    with reading(database) as connection:
        rows = [found(connection, number) for number in ids]
        kinds = {part["field"]: part["kind"] for number in ids for part in fields(connection, number)}
    if not rows:
        raise InputError("There is nothing to export", got=f"no item is {state}")
    said = {row["deployment"]: (settings or {}).get(row["deployment"], Review()) for row in rows}
    shape = _shape(database, rows, kinds, {one.question for one in said.values()})
    try:
        out.mkdir(parents=True, exist_ok=True)
        tasks = [_task(database, row, shape, said[row["deployment"]], out, prefix) for row in rows]
        (out / TASKS).write_text(json.dumps(tasks, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (out / CONFIG).write_text(config(shape), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"The export cannot be written: {error.strerror or error}", got=str(out)) from error
    return len(tasks)


def classes_of(database: Database, record: str, output: str) -> tuple[str, ...]:
    """Names of the codes of an output, where the server that answered has said them."""
    signature = signature_behind(database, record)
    spec = None if signature is None else next((spec for spec in signature.outputs if spec.name == output), None)
    return (spec.categories if spec else None) or ()


def classes_in(database: Database, deployments: Sequence[str] = ()) -> tuple[str, ...] | None:
    """Names of the codes of what these deployments had people decide, where they agree on them; None where they do not."""
    asked = select(REVIEWS.c.deployment, REVIEWS.c.output, func.max(REVIEWS.c.record)).group_by(REVIEWS.c.deployment, REVIEWS.c.output)
    with reading(database) as connection:
        rows = connection.execute(asked.where(REVIEWS.c.deployment.in_(deployments)) if deployments else asked).all()
    named = {classes_of(database, record, output) for _, output, record in rows}
    return named.pop() or None if len(named) == 1 else None


def row_of(database: Database, review: str) -> RowMapping:
    """The row of an item. Raises UnknownReviewError."""
    with reading(database) as connection:
        return found(connection, review)


def value_of(database: Database, row: RowMapping, value: Any) -> Any:
    """The value behind a name that was shown; anything else is itself."""
    for candidate in json.loads(row["candidates"]):
        if candidate["shown"] == value:
            return candidate["value"]
    names = classes_of(database, row["record"], row["output"])
    return names.index(value) if value in names else value


def take(database: Database, annotated: Iterable[Annotated]) -> Imported:
    """Write annotations: an item that waits is decided; one that is decided gets another label, of which the newest counts."""
    counts = {"decided": 0, "labelled": 0, "known": 0, "strangers": 0}
    for said in annotated:
        counts[_take(database, said)] += 1
    return Imported(**counts)


def _take(database: Database, said: Annotated) -> str:
    """What became of one: a field of Imported."""
    try:
        row = row_of(database, said.review)
    except UnknownReviewError:
        return "strangers"
    values = {row["output"]: value_of(database, row, said.value)}
    if row["decision"] == said.token:
        return "known"
    with suppress(TakenError):
        decide(database, row["id"], said.author, values, said.at_ms, token=said.token, took_ms=said.took_ms, source="import")
        return "decided"
    new = label(database, [Label(said.token, row["record"], row["row"], values, said.author, said.at_ms, "import")])
    return "labelled" if new else "known"


def _shape(database: Database, rows: Sequence[RowMapping], kinds: Mapping[str, Kind], questions: Collection[str]) -> Shape:
    """What the items have in common. Raises InputError for items that ask about different outputs."""
    outputs = {row["output"] for row in rows}
    if len(outputs) > 1:
        raise InputError("One labeling interface asks about one output", got=", ".join(sorted(outputs)), fix="Export one deployment alone.")
    output = outputs.pop()
    candidates = [candidate for row in rows for candidate in json.loads(row["candidates"])]
    names = dict.fromkeys(one["shown"] for one in candidates if isinstance(one["value"], int))
    classes = classes_of(database, rows[0]["record"], output) or tuple(names)
    number = not classes and all(isinstance(one["value"], int | float) for one in candidates)
    asked = next(iter(questions)) if len(questions) == 1 else ""
    return Shape(output, asked or f"What is {output.replace('_', ' ')}?", classes, kinds, number)


def _task(database: Database, row: RowMapping, shape: Shape, settings: Review, out: Path, prefix: str | None) -> dict[str, Any]:
    with reading(database) as connection:
        parts = payload_of(connection, row["id"])
    known = json.loads(row["candidates"])
    candidates = [Candidate(**one) for one in (unled(known) if hidden(row["reason"], settings) else known)]
    files = None if prefix is None else {part.field: prefix + _put(part, out / FILES) for part in parts if part.data is not None}
    return task(row["id"], parts, shape, candidates, row["package"], files)


def _put(part: Part, folder: Path) -> str:
    """Write a part's file; its name."""
    content, media = shown(part)
    name = f"{part.digest.removeprefix('sha256:')}.{EXTENSIONS.get(media, 'bin')}"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return name
