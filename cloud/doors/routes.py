"""Which handler answers a path: a table by exact path, then folders whose paths are made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from ...sdk.core.errors import InputError
from .asgi import Handler, Methods, RefusalError, Scope

Folder: TypeAlias = Callable[[str], "Methods | None"]
"""From a whole path to its handlers by method; None: there is nothing at it."""


class Routes:
    """The table. `exact` and `folders` may change while requests are served: both are read anew for each."""

    def __init__(self, exact: Mapping[str, Methods]) -> None:
        self.exact: dict[str, Methods] = dict(exact)
        self.folders: dict[str, Folder] = {}

    def find(self, scope: Scope) -> Handler:
        """The handler of a request. Raises RefusalError (404, 405)."""
        path, method = scope["path"], scope["method"]
        methods = self.exact.get(path)
        if methods is None:
            methods = self._inside(path)
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            raise _not_allowed(methods, method)
        return handler

    def _inside(self, path: str) -> Methods:
        """Of a path in a folder. Raises RefusalError (404)."""
        for prefix, folder in self.folders.items():
            if path.startswith(prefix) and (methods := folder(path)) is not None:
                return methods
        known = ", ".join([*self.exact, *(f"{prefix}..." for prefix in self.folders)])
        raise RefusalError(404, InputError("There is nothing at this path", field="path", got=path[:100], expected=known))


def _not_allowed(methods: Methods, method: str) -> RefusalError:
    allowed = ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
    error = InputError("This path does not take this method", field="method", got=method[:20], expected=allowed)
    return RefusalError(405, error, [(b"allow", allowed.encode())])
