"""Compression. The folder is named as the public function is, so the module can be called: `ps.compress(package, recipe, data)`.

Whichever is imported first, `portside.compress` is both: importing a module below it would otherwise replace the function.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """See `compressing.compress`, which is loaded when it is first called."""
        return import_module(".compressing", __name__).compress(*args, **options)


sys.modules[__name__].__class__ = _Callable
