"""Whether a server has a desk, and which database it stands on: `[server] desk`, and what is safe where nothing is said.

Records are what callers sent, so nobody sees them by accident. Where `desk` is not said there is one with keys (which say who may
read, label and review), and where only this machine may ask. A server that others reach without keys has none until it says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...sdk.core.errors import FormatError
from ..deployment.file import Deployment
from ..security.public import public
from .desk import Desk

REVIEWED = {"review", "automation"}
"""Sections of deployments whose rows people may decide."""


def desk_of(deployments: Sequence[Deployment]) -> Desk | None:
    """The desk of a server; None: it has none. It shows the database of the first deployment, and all that write there."""
    first = deployments[0]
    closed = first.server.keys is None and not public(first)
    said = first.server.desk
    where = _place(first)
    if where is None or not (closed or first.server.keys is not None if said is None else said):
        return None
    return Desk(where, [deployment for deployment in deployments if _place(deployment) == where], closed)


def attended(deployments: Sequence[Deployment], desk: Desk | None) -> list[Desk]:
    """What deadlines and webhooks of reviews stand on: the server's desk where it has one, and one that nobody is shown for each other
    database that its deployments write reviews to."""
    found = [] if desk is None else [desk]
    rest: dict[Path | str, list[Deployment]] = {}
    for deployment in deployments:
        where = _place(deployment)
        if where is not None and deployment.model_fields_set & REVIEWED and (desk is None or deployment not in desk.deployments):
            rest.setdefault(where, []).append(deployment)
    return found + [Desk(where, held) for where, held in rest.items()]


def desk_apart(deployments: Sequence[Deployment], others: bool) -> Desk:
    """The desk of `portside dashboard`, beside servers.

    Args:
        others: than this machine may ask, for there are keys, or it was said so.

    Raises FormatError: a deployment without records, or two that write to different databases.
    """
    first = deployments[0]
    for deployment in deployments:
        if not deployment.records.enabled:
            raise FormatError(f"{deployment.path.name} writes no records, so there is nothing to show",
                              fix="Say enabled = true in [records].")  # fmt: skip
    where = first.records.place(first.folder)
    for other in deployments[1:]:
        if other.records.place(other.folder) != where:
            raise FormatError("A desk shows one database, and these deployments write to two", got=f"{first.path.name}, {other.path.name}",
                              fix="Name the same place under [records], or show each apart on a --port of its own.")  # fmt: skip
    return Desk(where, deployments, not others)


def _place(deployment: Deployment) -> Path | str | None:
    """Where a deployment's records go; None: nowhere, or nothing says where (then its models are not loaded, and say why)."""
    try:
        return deployment.records.place(deployment.folder) if deployment.records.enabled else None
    except FormatError:
        return None
