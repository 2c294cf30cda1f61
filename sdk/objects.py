"""`FILE.py:OBJECT`: a user's file run as a module, and what it holds. The user names the file himself, so it is trusted."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from .core.errors import InputError


def load_module(path: Path) -> ModuleType:
    """Run a Python file as a module; its own folder is importable while it runs, as for `python FILE`.

    Raises InputError when there is no such file. What the file itself raises is left as it is.
    """
    if path.suffix != ".py" or not path.is_file():
        raise InputError("There is no such Python file", got=str(path))
    name = f"__portside_{path.stem}__"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError("This file cannot be loaded as Python", got=str(path))
    module = module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses and inspect look their module up here
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module


def named_object(word: str) -> Any:
    """The object that `FILE.py:OBJECT` names, as it stands there. Raises InputError when the word, the file or the name is wrong."""
    file, _, name = word.rpartition(":")
    if not file or not name:
        raise InputError("This does not name an object of a file", got=word, expected="FILE.py:OBJECT")
    module = load_module(Path(file))
    if not hasattr(module, name):
        names = [known for known in vars(module) if not known.startswith("_")]
        raise InputError(f"{file} has no {name!r}", expected=", ".join(names) or "a public name")
    return getattr(module, name)
