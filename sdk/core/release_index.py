"""What a device is told of one release for its platform: the files, and the chunks that they are cut into. Pure data.

An index is a target of a TUF repository: its bytes are signed through the repository's metadata. It holds integers and
text only, and lists every byte by digest, so that chunks may come from anywhere: a mirror, an SD card, the running slot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from .canonical import canonical_json, check_digest, read_object
from .errors import FormatError
from .folder import check_path, check_paths
from .release import ANY, ReleasePart

INDEX_FORMAT = 1
CHUNK_BYTES = 512 << 10
"""Of new releases; an index says its own. Measured: benchmarks/bench_updates.py."""
SMALLEST, LARGEST = 4 << 10, 8 << 20
"""Chunk sizes that a reader takes: one is held in memory."""
LAST = (1 << 31) - 1
"""The largest sequence number."""
FILES, BYTES = 20_000, 1 << 40
"""More files or bytes than this are no release."""
_HEX = re.compile(r"[0-9a-f]{64}")
_PLATFORM = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_PLACE = "artifact"


@dataclass(frozen=True)
class ChunkedFile:
    """One file of a release.

    Attributes:
        path: relative, with slashes, inside the artifact's folder.
        size: bytes.
        sha256: of the whole file, 64 hex digits.
        chunks: sha256 of each piece in order; all but the last have the index's `chunk_bytes`.
    """

    path: str
    size: int
    sha256: str
    chunks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"path": self.path, "size": self.size, "sha256": self.sha256, "chunks": list(self.chunks)}


@dataclass(frozen=True)
class ReleaseIndex:
    """One release for one platform.

    Attributes:
        name: of the package.
        platform: which artifact of the release, see `platform_of`.
        target: name of the runtime that loads it.
        sequence: counts the releases of a name; a device never goes to a lower one.
        release: digest of the Release.
        package: digest of the package.
        artifact: digest of the artifact.
        files: every file of the artifact's folder.
        chunk_bytes: size of a chunk.
        rolls_back_to: the sequence whose content this is again, where a later one was withdrawn.
    """

    name: str
    platform: str
    target: str
    sequence: int
    release: str
    package: str
    artifact: str
    files: tuple[ChunkedFile, ...] = field(repr=False)
    chunk_bytes: int = CHUNK_BYTES
    rolls_back_to: int | None = None

    def __post_init__(self) -> None:
        for what in ("release", "package", "artifact"):
            check_digest(getattr(self, what), f"The {what} of an index")
        if not _PLATFORM.fullmatch(self.platform):
            raise FormatError("This is no platform of an index", got=repr(self.platform), expected="such as tflite, tensorrt.cuda-sm_90")
        _whole("sequence", self.sequence, 1, LAST)
        _whole("chunk_bytes", self.chunk_bytes, SMALLEST, LARGEST)
        if self.rolls_back_to is not None:
            _whole("rolls_back_to", self.rolls_back_to, 1, self.sequence - 1)
        _check_files(self.files, self.chunk_bytes)

    @property
    def path(self) -> str:
        """Under which the repository's metadata list it."""
        return index_path(self.name, self.platform, self.sequence)

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size for file in self.files)

    def chunks(self) -> dict[str, int]:
        """Every distinct chunk and its size in bytes, in the order in which files need them."""
        held: dict[str, int] = {}
        for file in self.files:
            for place, chunk in enumerate(file.chunks):
                size = min(self.chunk_bytes, file.size - place * self.chunk_bytes)
                if held.setdefault(chunk, size) != size:
                    raise FormatError("A chunk of an index has two sizes", got=chunk)
        return held

    def custom(self) -> dict[str, Any]:
        """What the signed metadata say beside the index's digest: enough to choose without fetching it."""
        data = {key: value for key, value in self.to_dict().items() if key not in ("files", "chunk_bytes")}
        return {**data, "size_bytes": self.size_bytes}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        data: dict[str, Any] = {"format": INDEX_FORMAT, **self.__dict__, "files": [file.to_dict() for file in self.files]}
        return data if self.rolls_back_to is not None else {key: value for key, value in data.items() if key != "rolls_back_to"}

    def to_bytes(self) -> bytes:
        """Canonical JSON: one index has one digest."""
        return canonical_json(self.to_dict())

    @classmethod
    def from_bytes(cls, text: bytes) -> ReleaseIndex:
        """Parse and check. Raises FormatError."""
        data = read_object(text, "The index of a release")
        if data.get("format") != INDEX_FORMAT:
            raise FormatError("The index of a release is of another version", got=data.get("format"), expected=INDEX_FORMAT,
                              fix="Update the agent on this device.")  # fmt: skip
        try:
            texts = {key: _text(key, data[key]) for key in ("name", "platform", "target", "release", "package", "artifact")}
            files = tuple(_file(entry) for entry in data["files"])
            return cls(**texts, sequence=data["sequence"], files=files, chunk_bytes=data["chunk_bytes"],
                       rolls_back_to=data.get("rolls_back_to"))  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise FormatError(f"The index of a release is malformed: {error!r}") from error


def index_path(name: str, platform: str, sequence: int) -> str:
    """`releases/<name>/<platform>/<n>.index.json`."""
    return f"releases/{name}/{platform}/{sequence}.index.json"


def platform_of(part: ReleasePart) -> str:
    """How an index names the artifact that a part is: "tflite", or "tensorrt.cuda-sm_90" where it does not run everywhere."""
    return part.target if part.platform == ANY else f"{part.target}.{part.platform.replace('/', '-')}"


def chunk_path(chunk: str) -> str:
    """Where a chunk lies below the repository's folder: `chunks/ab/<sha256>`."""
    return f"chunks/{chunk[:2]}/{chunk}"


def check_whole(value: object, what: str = "A signed document") -> None:
    """Raise FormatError where there is a number that is not whole: two writers print one float in two ways."""
    if isinstance(value, float):
        raise FormatError(f"{what} holds a number that is not whole", got=value, expected="integers and text")
    if isinstance(value, Mapping):
        for item in cast("Mapping[str, object]", value).values():
            check_whole(item, what)
    elif isinstance(value, list | tuple):
        for item in cast("list[object]", value):
            check_whole(item, what)


def _check_files(files: tuple[ChunkedFile, ...], chunk_bytes: int) -> None:
    if not 0 < len(files) <= FILES:
        raise FormatError("An index lists no files, or too many", got=len(files), expected=f"1 to {FILES}")
    for file in files:
        check_path(f"{_PLACE}/{file.path}", (_PLACE,))
        _whole("size", file.size, 0, BYTES)
        if len(file.chunks) != -(-file.size // chunk_bytes):
            raise FormatError("A file of an index has chunks that do not make up its size", got=f"{file.path}: {len(file.chunks)}")
        if not all(_HEX.fullmatch(digest) for digest in (file.sha256, *file.chunks)):
            raise FormatError("A file of an index has something that is no sha256", got=file.path)
    paths = [f"{_PLACE}/{file.path}" for file in files]
    if len(set(paths)) != len(paths):
        raise FormatError("An index lists a file twice")
    check_paths(paths)


def _file(entry: Mapping[str, Any]) -> ChunkedFile:
    chunks = entry["chunks"]
    if not isinstance(chunks, list):
        raise FormatError("The chunks of a file are no list", got=type(chunks).__name__)
    return ChunkedFile(_text("path", entry["path"]), entry["size"], _text("sha256", entry["sha256"]),
                       tuple(_text("chunk", chunk) for chunk in cast("list[object]", chunks)))  # fmt: skip


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise FormatError(f"The {what} of an index is no text", got=repr(value)[:100])
    return value


def _whole(what: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise FormatError(f"The {what} of an index is no whole number within its bounds", got=repr(value)[:40], expected=f"{low} to {high}")
