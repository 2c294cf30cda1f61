"""Where a device's questions come from: a folder that is watched, files, lines on standard input, a camera.

A source gives items; whoever runs it answers each and calls `done`. A folder's list of files that were answered is kept on the disk, so
that a restart asks none of them again; one that was being answered when the power went is asked once more.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from ..sdk.core.codec.step import WireField
from ..sdk.core.errors import InputError
from .answering import Answering
from .wire_json import DeviceWire, parse

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
DOCUMENT = ".json"
KINDS = ("folder:PATH", "files:PATH,PATH", "stdin", "camera:NUMBER")
POLL_S = 0.5
MAX_LINE_BYTES = 64 << 20


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes:
        name: of the file, the line, the frame.
        inputs: wire field -> batch; an error where it cannot be read: it is told, and passed over.
        entity, event_ms: see `Agent.predict`.
        done: called when it was answered or refused; not where it is to be asked again.
    """

    name: str
    inputs: Mapping[str, Any] | InputError
    entity: str | None = None
    event_ms: int | None = None
    done: Callable[[], None] = lambda: None


class Source(Protocol):
    """Where questions come from."""

    def items(self, stop: Callable[[], bool]) -> Iterator[Item]:
        """Questions, until there are no more or `stop` says so."""
        ...


def source_of(text: str, answering: Answering, state: Path, every_s: float = 1.0) -> Source:
    """A source by its name on the command line.

    Args:
        text: of `KINDS`.
        answering: whose fields are filled.
        state: a folder of the agent's, for lists of what was answered.
        every_s: between two frames of a camera.

    Raises:
        InputError: there is no such source, or nothing there.
        MissingExtraError: a camera, without OpenCV.
    """
    kind, _, rest = text.partition(":")
    if kind == "stdin" and not rest:
        return Lines(answering)
    if kind == "folder" and rest:
        return Folder(Path(rest).expanduser(), answering, state)
    if kind == "files" and rest:
        return FileList([Path(name).expanduser() for name in rest.split(",")], answering)
    if kind == "camera" and rest.isdigit():
        return cast("Source", import_module(".camera", __package__).Camera(int(rest), lambda: image_field(answering.fields), every_s))
    raise InputError("There is no such source", got=text, expected=", ".join(KINDS))


class Lines:
    """JSON, a line each: {"inputs": ...}, {"rows": [...]}, {"row": ...} as over HTTP, or the fields themselves.

    Args:
        file: a file descriptor; default: standard input.
    """

    def __init__(self, answering: Answering, file: int | None = None) -> None:
        self._answering, self._file = answering, sys.stdin.fileno() if file is None else file

    def items(self, stop: Callable[[], bool]) -> Iterator[Item]:
        """Until the stream ends."""
        for number, line in enumerate(self._lines(stop), 1):
            if line.strip():
                yield document(f"line {number}", line.decode(errors="replace"), self._answering)
            if stop():
                return

    def _lines(self, stop: Callable[[], bool]) -> Iterator[bytes]:
        """Whole lines, and what is left at the end; a line that is too long ends up in pieces, which are no JSON."""
        held = b""
        while not stop():
            if not select.select([self._file], [], [], POLL_S)[0]:
                continue
            more = os.read(self._file, 1 << 16)
            *whole, held = (held + more).split(b"\n") if more else (held, b"")
            if len(held) > MAX_LINE_BYTES:
                whole, held = [*whole, held], b""
            yield from whole
            if not more:
                return


class FileList:
    """Image files and JSON documents, once each, in order."""

    def __init__(self, paths: Sequence[Path], answering: Answering) -> None:
        if missing := [path for path in paths if not path.is_file()]:
            raise InputError("There is no such file", got=str(missing[0]))
        self._paths, self._answering = paths, answering

    def items(self, stop: Callable[[], bool]) -> Iterator[Item]:
        """Until the last one."""
        for path in self._paths:
            if stop():
                return
            yield from_file(path, self._answering)


class Folder:
    """Files that come into a folder, each once: looked for every half second, so that any disk and any share will do.

    A file is taken when it has not changed between two looks. One that is replaced under its name is another file.
    """

    def __init__(self, folder: Path, answering: Answering, state: Path, poll_s: float = POLL_S) -> None:
        if not folder.is_dir():
            raise InputError("There is no such folder", got=str(folder))
        self._folder, self._answering, self._poll_s = folder, answering, poll_s
        key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
        self._done = DoneList(state / f"done-{key}.txt", self._look())

    def items(self, stop: Callable[[], bool]) -> Iterator[Item]:
        """Until stopped."""
        before = dict[str, str]()
        while not stop():
            found = self._look()
            for name, mark in found.items():
                if stop():
                    return
                if before.get(name) == mark and mark not in self._done:
                    yield self._item(name, mark)
            before = found
            time.sleep(self._poll_s)

    def _item(self, name: str, mark: str) -> Item:
        made = from_file(self._folder / name, self._answering)
        return Item(name, made.inputs, made.entity, made.event_ms, lambda: self._done.add(mark))

    def _look(self) -> dict[str, str]:
        """Name -> what tells this content from another one under the same name; the oldest first."""
        found = list[tuple[int, str, str]]()
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.name.lower().endswith((*IMAGES, DOCUMENT)):
                    continue
                try:
                    seen = entry.stat()
                except OSError:  # it has gone meanwhile
                    continue
                found.append((seen.st_mtime_ns, entry.name, f"{seen.st_mtime_ns} {seen.st_size} {entry.name}"))
        return {name: mark for _, name, mark in sorted(found)}


class DoneList:
    """What was answered, a line each; what is not in the folder any more is dropped at the start."""

    def __init__(self, path: Path, there: Mapping[str, str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if path.exists() else []
        held = {_plain(mark) for mark in there.values()}
        self._marks = {line for line in lines if line in held}
        fresh = path.with_suffix(".new")
        fresh.write_text("".join(f"{mark}\n" for mark in sorted(self._marks)), encoding="utf-8", errors="surrogateescape")
        os.replace(fresh, path)
        self._path = path

    def __contains__(self, mark: str) -> bool:
        return _plain(mark) in self._marks

    def add(self, mark: str) -> None:
        """It was answered; on the disk when this returns."""
        self._marks.add(_plain(mark))
        with self._path.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{_plain(mark)}\n")
            file.flush()
            os.fsync(file.fileno())


def from_file(path: Path, answering: Answering) -> Item:
    """The question in a file: an image for the one image field, or a JSON document."""
    try:
        if path.suffix.lower() == DOCUMENT:
            return document(path.name, path.read_text(encoding="utf-8"), answering)
        return Item(path.name, {image_field(answering.fields): [path.read_bytes()]}, event_ms=path.stat().st_mtime_ns // 1_000_000)
    except InputError as error:
        return Item(path.name, error)
    except (OSError, UnicodeDecodeError) as error:
        return Item(path.name, InputError(f"The file cannot be read: {error}", field="file"))


def document(name: str, text: str, answering: Answering) -> Item:
    """A question from JSON."""
    signature = answering.signature
    if signature is None:
        return Item(name, InputError("Nothing is installed yet that could be asked", field="inputs"))
    try:
        said, wire = parse(text), DeviceWire(answering.fields, signature)
        bare = not (isinstance(said, dict) and {"inputs", "rows", "row"} & set(cast("dict[str, Any]", said)))
        asked = wire.read(said, bare=bare)
    except InputError as error:
        return Item(name, error)
    except ValueError as error:
        return Item(name, InputError(f"This is not JSON: {error}", field="inputs", got=json.dumps(text[:40])))
    return Item(name, asked.wire, asked.entity, asked.event_ms)


def image_field(fields: Sequence[WireField]) -> str:
    """The one field that takes images. Raises InputError where there is none, or several."""
    names = [field.name for field in fields if field.type == "image"]
    if len(names) != 1:
        raise InputError("An image file needs one image field", got=", ".join(names) or "none",
                         expected="one", fix="Pack with codec={field: ps.codec.Image(...)}, or send JSON documents.")  # fmt: skip
    return names[0]


def _plain(mark: str) -> str:
    return mark.replace("\n", "\\n").replace("\r", "\\r")
