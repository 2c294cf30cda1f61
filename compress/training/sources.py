"""Functions of the user's that training needs, as files: written into a package, and run again for a caller who trusts it."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ...sdk.core.errors import FormatError, InputError, MissingExtraError

FOLDER = "training/"


@dataclass(frozen=True)
class Named:
    """A function by where it is found.

    Attributes:
        name: of the function in its module.
        file: path in the package, e.g. "training/net.py"; None: `module` is installed and is imported.
        module: importable name; of a file the name it had, for readers.
    """

    name: str
    file: str | None
    module: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Named:
        """Parse. Raises FormatError for what names no function of a package."""
        name, file, module = (data.get(key) for key in ("name", "file", "module"))
        inside = file is None or (isinstance(file, str) and file.startswith(FOLDER))
        if not isinstance(name, str) or not isinstance(module, str) or not inside:
            raise FormatError("The package's training names no function", got=str(dict(data))[:200])
        return cls(name, file, module)


def captured(function: Callable[..., Any] | str, what: str, files: dict[str, bytes]) -> Named:
    """Where a function is found, its file added to `files` unless it is installed.

    Raises InputError for lambdas, nested functions, methods and objects, and for what has no file.
    """
    if isinstance(function, str):
        module, _, name = function.partition(":")
        return Named(name, None, module)
    name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", "")
    if not (inspect.isfunction(function) or inspect.isclass(function)) or not name.isidentifier():
        raise InputError(f"{what} cannot travel: it is no function at the top level of a file", field=what, got=name or repr(function)[:60],
                         fix="Define it with `def` (or `class`) at the top level of a file.")  # fmt: skip
    try:
        path = Path(inspect.getsourcefile(function) or "")
        text = path.read_bytes()
    except (OSError, TypeError) as error:
        raise InputError(f"{what} cannot travel: its file is not there", field=what, got=name, fix="Put it into a file.") from error
    if _installed(path, module):
        return Named(name, None, module)
    return Named(name, _placed(path, text, files), module)


def loaded(named: Named, read: Callable[[str], bytes]) -> Callable[..., Any]:
    """The function, its file executed once in a module of its own; `read` gives checked bytes of the package.

    Raises:
        FormatError: the file does not run, or lacks the function.
        MissingExtraError: a module that it needs is not installed here.
    """
    module = _imported(named) if named.file is None else _executed(named.file, read(named.file))
    found = getattr(module, named.name, None)
    if not callable(found):
        raise FormatError("The package's training lacks a function", got=f"{named.file or named.module}: {named.name}")
    return found


def _installed(path: Path, module: str) -> bool:
    """Part of the standard library, of an installed distribution, or of Portside."""
    roots = {Path(sysconfig.get_path(key)).resolve() for key in ("stdlib", "purelib", "platlib")}
    return module.split(".")[0] == "portside" or any(root in path.resolve().parents for root in roots)


def _placed(path: Path, text: bytes, files: dict[str, bytes]) -> str:
    """The path in the package; two different files of one name get numbers."""
    stem = path.stem if path.stem.isidentifier() else "source"
    names = [f"{FOLDER}{stem}{number or ''}.py" for number in range(len(files) + 1)]
    place = next(name for name in names if files.get(name, text) == text)
    files[place] = text
    return place


def _imported(named: Named) -> ModuleType:
    try:
        return importlib.import_module(named.module)
    except ImportError as error:
        raise MissingExtraError(f"Training needs the module {named.module!r}", extra="compress",
                                fix=f"Install what provides {named.module!r}.") from error  # fmt: skip


def _executed(file: str, text: bytes) -> ModuleType:
    key = f"portside_training_{hashlib.sha256(text).hexdigest()[:16]}"
    if key in sys.modules:
        return sys.modules[key]
    module = ModuleType(key)
    module.__file__ = file
    sys.modules[key] = module  # dataclasses look their own module up
    try:
        exec(compile(text, file, "exec"), module.__dict__)  # noqa: S102 - the caller trusts the package, and its digests were checked
    except Exception as error:  # the user's own code may raise anything; it is wrapped with its message
        del sys.modules[key]
        fix = "Let the file need installed packages only." if isinstance(error, ImportError) else None
        raise FormatError(f"The package's {file} cannot be executed: {type(error).__name__}: {error}", got=file, fix=fix) from error
    return module
