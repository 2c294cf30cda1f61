"""A store on disk: blobs by digest, an index that is replaced in one step, and the locks that keep both whole.

    oci-layout, index.json, blobs/sha256/<hex>     an OCI image layout, which other tools read
    index.previous.json                            the index before its last change
    work/staging/  work/cache/  work/*.lock        ours: files being written, opened packages, locks

- A blob or index becomes visible by a rename, after its bytes are on the disk. A process killed at any moment leaves at
  most files in `work/staging`, which the next writer that is alone removes.
- Writers and readers of blobs hold `active.lock` together; the garbage collector holds it alone. The kernel frees the
  locks of a process that dies.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from .core.canonical import check_digest, digest_of_bytes, read_object
from .core.errors import FormatError, IntegrityError, StoreError
from .core.folder import CHUNK, audit_file, read_file
from .core.manifest import FileEntry
from .core.package import cannot_write, sync_folder

if sys.platform != "win32":
    import fcntl

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class Layout:
    """The files of a store at `root`. It knows digests and bytes, not packages."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs" / "sha256"
        self.index = root / "index.json"
        self.work = root / "work"
        self.staging = self.work / "staging"
        self.cache = self.work / "cache"

    def check(self) -> bool:
        """Whether there is a store; False for an empty or absent one. Raises StoreError, FormatError for half a one."""
        marker = self.root / "oci-layout"
        for path in (marker, self.index, self.root / "blobs", self.blobs):
            if path.is_symlink():
                raise StoreError("A store must not contain links", got=str(path), fix="Link the whole store folder instead.")
        if not marker.is_file():
            if self.index.exists() or self.blobs.exists():
                raise StoreError("Half a store: oci-layout is missing", got=str(self.root),
                                 fix=f"Write {LAYOUT.decode()} to {marker}, or choose another folder.")  # fmt: skip
            return False
        version = str(read_object(marker.read_bytes(), "oci-layout").get("imageLayoutVersion"))
        if version.split(".")[0] != "1":
            raise FormatError("The store has an unknown layout version", got=version, expected="1.0.0")
        if not self.index.exists() and self.blobs.is_dir() and any(self.blobs.iterdir()):
            raise StoreError("The store has lost its index.json", got=str(self.root), fix=self._restore())
        return self.index.exists()

    def read_index(self) -> bytes | None:
        """The bytes of index.json, or None where nothing was stored yet. Raises StoreError, FormatError."""
        return self.index.read_bytes() if self.check() else None

    def garbled(self, error: FormatError) -> FormatError:
        """`error` about index.json, with what to do next."""
        return FormatError(error.what, got=error.got, expected=error.expected, fix=self._restore())

    def _restore(self) -> str:
        previous = self.root / "index.previous.json"
        how = f"Copy {previous.name} over index.json" if previous.exists() else "Restore index.json from a backup"
        return f"{how} in {self.root}, then run: portside store fsck. The packages themselves are untouched."

    @contextmanager
    def writing(self) -> Generator[None]:
        """For a writer of blobs: makes the store, removes what killed writers left, keeps the collector out.

        Raises StoreError for a full disk or a folder that may not be written.
        """
        with self._errors():
            self.check()
            for folder in (self.staging, self.cache):
                folder.mkdir(parents=True, exist_ok=True)
            begun = self.index.exists() and self.blobs.is_dir()
            with self._lock("active", shared=False, wait=not begun) as alone:
                if alone:
                    self._begin()
            with self._lock("active", shared=True):
                yield

    @contextmanager
    def workspace(self) -> Generator[Path]:
        """A folder in staging for a writer, removed afterwards; what a kill leaves, the next writer removes."""
        with self.writing(), tempfile.TemporaryDirectory(dir=self.staging, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    @contextmanager
    def reading(self) -> Generator[None]:
        """For a reader of blobs: keeps the collector out; on a read-only disk there is none."""
        with ExitStack() as held:
            try:
                held.enter_context(self._lock("active", shared=True))
            except OSError as error:
                if error.errno not in (*_READ_ONLY, errno.ENOENT):
                    raise
            yield

    @contextmanager
    def alone(self) -> Generator[None]:
        """For the collector: waits until nobody writes or reads, and keeps everybody out."""
        with self._errors(), self._lock("active", shared=False):
            yield

    def change_index(self, change: Callable[[bytes], bytes]) -> None:
        """Replace index.json by `change` of it, in one step, with no other writer in between."""
        with self._errors(), self._lock("index", shared=False):
            text = change(self.index.read_bytes())
            backup = self.staging / f"previous-{os.getpid()}"
            backup.unlink(missing_ok=True)
            shutil.copyfile(self.index, backup)
            os.replace(backup, self.root / "index.previous.json")
            self._publish(text, self.index)

    def put_bytes(self, data: bytes) -> str:
        """Store these bytes and return their digest."""
        digest = digest_of_bytes(data)
        if not self._whole(digest, len(data)):
            self._publish(data, self.blob(digest))
        return digest

    def put_file(self, root: Path, name: str, entry: FileEntry) -> None:
        """Store a file whose entry is known. Raises IntegrityError when it holds other bytes by now."""
        target = self.blob(f"sha256:{entry.sha256}")
        if self._whole(f"sha256:{entry.sha256}", entry.size):
            audit_file(root, name, entry)
            return
        with self._temporary() as file, (root / name).open("rb") as source:
            hasher = hashlib.sha256()
            while chunk := source.read(CHUNK):
                hasher.update(chunk)
                file.write(chunk)
            if hasher.hexdigest() != entry.sha256:
                raise IntegrityError(f"{name} was changed after it was packed", got=hasher.hexdigest(), expected=entry.sha256,
                                     fix="Fetch the package again from where it came.")  # fmt: skip
            self._finish(file, target)

    def blob(self, digest: str) -> Path:
        """Where a blob is. Raises FormatError for anything but a digest."""
        return self.blobs / check_digest(digest, "A blob's digest").removeprefix("sha256:")

    def read_blob(self, digest: str, size: int) -> bytes:
        """The bytes of a blob, checked. Raises IntegrityError with what to do next."""
        with self.explained(digest):
            return read_file(self.blobs, self.blob(digest).name, _entry(digest, size))

    def audit_blob(self, digest: str, size: int) -> None:
        """As `read_blob`, without holding the bytes."""
        with self.explained(digest):
            audit_file(self.blobs, self.blob(digest).name, _entry(digest, size))

    @contextmanager
    def explained(self, digest: str) -> Generator[None]:
        """Integrity errors inside speak of this blob of this store."""
        try:
            yield
        except IntegrityError as error:
            again = f"Push the package again from where it came, which replaces {self.blob(digest)}."
            what = f"A blob of the store is damaged: {error.what}"
            raise IntegrityError(what, got=error.got, expected=error.expected, fix=again) from error

    def _whole(self, digest: str, size: int) -> bool:
        try:
            self.audit_blob(digest, size)
        except IntegrityError:
            return False  # absent or damaged: the caller writes it anew
        return True

    def _begin(self) -> None:
        """Alone: remove leftovers, and complete the layout in an order that a kill cannot spoil."""
        for path in self.staging.iterdir():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
        if not (self.root / "oci-layout").exists():
            self._publish(LAYOUT, self.root / "oci-layout")
        if not self.index.exists():
            self._publish(b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}', self.index)
        self.blobs.mkdir(parents=True, exist_ok=True)

    def _publish(self, data: bytes, target: Path) -> None:
        with self._temporary() as file:
            file.write(data)
            self._finish(file, target)
        sync_folder(target.parent)

    @contextmanager
    def _temporary(self) -> Generator[IO[bytes]]:
        with tempfile.NamedTemporaryFile(dir=self.staging, delete=False) as file:
            try:
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)

    def _finish(self, file: IO[bytes], target: Path) -> None:
        """Bytes to the disk first, then the name."""
        file.flush()
        os.fchmod(file.fileno(), 0o444 if target.parent == self.blobs else 0o644)
        os.fsync(file.fileno())
        os.replace(file.name, target)

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write("The store", self.root, error) from error

    @contextmanager
    def _lock(self, name: str, shared: bool, wait: bool = True) -> Generator[bool]:
        """Hold a lock file; False when `wait` is False and somebody else holds it."""
        handle = os.open(self.work / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            yield _take(handle, shared, wait)
        finally:
            os.close(handle)


def _entry(digest: str, size: int) -> FileEntry:
    return FileEntry(digest.removeprefix("sha256:"), size)


def _take(handle: int, shared: bool, wait: bool) -> bool:
    """Take a lock on an open file. On Windows there is none: one writer at a time is the user's to keep."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
