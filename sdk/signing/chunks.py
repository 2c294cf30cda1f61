"""Files cut into chunks of one size, each kept once under its sha256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from ..core.folder import walk
from ..core.release_index import CHUNK_BYTES, ChunkedFile, chunk_path
from ..core.replacing import replace_file


def cut(file: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The pieces of a file in order; none where it is empty. Raises OSError."""
    with file.open("rb") as held:
        while chunk := held.read(chunk_bytes):
            yield chunk


def put_files(folder: Path, repository: Path, chunk_bytes: int = CHUNK_BYTES) -> tuple[ChunkedFile, ...]:
    """Every file of a folder into the chunks of a repository; those that are there already are not written again.

    Raises OSError.
    """
    return tuple(_put_file(folder, name, repository, chunk_bytes) for name in sorted(walk(folder)))


def _put_file(folder: Path, name: str, repository: Path, chunk_bytes: int) -> ChunkedFile:
    whole, chunks, size = hashlib.sha256(), list[str](), 0
    for chunk in cut(folder / name, chunk_bytes):
        whole.update(chunk)
        size += len(chunk)
        chunks.append(_put_chunk(repository, chunk))
    return ChunkedFile(name, size, whole.hexdigest(), tuple(chunks))


def _put_chunk(repository: Path, chunk: bytes) -> str:
    digest = hashlib.sha256(chunk).hexdigest()
    place = repository / chunk_path(digest)
    if not place.exists() or place.stat().st_size != len(chunk):
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_file(place, chunk)
    return digest
