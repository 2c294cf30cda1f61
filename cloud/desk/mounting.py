"""The routes of a desk, put into the table of a server's doors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..dashboard import routes as dashboard_routes
from ..doors.asgi import Methods
from ..doors.routes import Folder, Routes
from ..fleet import routes as fleet_routes
from ..review import routes as review_routes
from . import label_routes, record_routes
from .desk import Desk
from .local import only_here_all, only_here_inside

Mounted: TypeAlias = tuple[dict[str, Methods], dict[str, Folder]]
"""Handlers by path, and folders by the beginning of their paths."""
PARTS: tuple[Callable[[Desk], Mounted], ...] = (
    record_routes.routes_of, label_routes.routes_of, dashboard_routes.routes_of, review_routes.routes_of,
    fleet_routes.routes_of,
)  # fmt: skip


def mount(routes: Routes, desk: Desk) -> None:
    """Add every part's routes."""
    for part in PARTS:
        exact, folders = part(desk)
        if desk.local:
            exact = {path: only_here_all(methods) for path, methods in exact.items()}
            folders = {prefix: only_here_inside(folder) for prefix, folder in folders.items()}
        routes.exact |= exact
        routes.folders |= folders
