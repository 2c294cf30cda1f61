"""One agent owns a folder: on this system, and by the calls of the other one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from portside.edge import lock
from portside.sdk.core.errors import StoreError


def test_a_killed_agent_holds_nothing(tmp_path):
    code = (
        "import sys; from pathlib import Path; from portside.edge.lock import FolderLock; "
        "held = FolderLock(Path(sys.argv[1])); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert lock.holder(tmp_path) == other.pid
        with pytest.raises(StoreError, match=str(other.pid)):
            lock.FolderLock(tmp_path)
        other.kill()
        other.wait()
    assert lock.holder(tmp_path) is None
    lock.FolderLock(tmp_path).close()


class Msvcrt:
    """Locks of bytes of files as Windows has them: one holder, by handle; they go with the handle."""

    LK_NBLCK = 2

    def __init__(self):
        self.held = {}

    def locking(self, handle, mode, count):
        assert (mode, count, os.lseek(handle, 0, os.SEEK_CUR)) == (self.LK_NBLCK, 1, 1 << 20)
        file = os.fstat(handle).st_ino
        if self.held.get(file, handle) != handle and self._open(self.held[file], file):
            raise OSError(36, "Resource deadlock avoided")
        self.held[file] = handle

    def _open(self, handle, file):
        try:
            return os.fstat(handle).st_ino == file
        except OSError:
            return False


@pytest.fixture
def windows(monkeypatch):
    """The module as Windows would load it."""
    monkeypatch.setitem(sys.modules, "msvcrt", Msvcrt())
    spec = importlib.util.spec_from_file_location("portside.edge.windows_lock", lock.__file__)
    made = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "platform", "win32")
        spec.loader.exec_module(made)
    monkeypatch.setattr(made, "time", SimpleNamespace(sleep=lambda seconds: None))
    return made


def test_by_the_calls_of_windows(windows, tmp_path):
    assert windows.holder(tmp_path) is None
    held = windows.FolderLock(tmp_path)
    assert windows.holder(tmp_path) == os.getpid()
    with pytest.raises(StoreError, match=f"process {os.getpid()}"):
        windows.FolderLock(tmp_path)
    held.close()
    assert windows.holder(tmp_path) is None
    windows.FolderLock(tmp_path).close()
