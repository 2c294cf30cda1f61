"""Back to the release that was wanted before, for one device or for those with labels."""

from __future__ import annotations

from ...sdk.core.errors import InputError
from ..records.database import Database
from .desired import ONE, Desired, before
from .devices import devices, want
from .overview import said


def go_back(database: Database, selector: str, by: str, now_ms: int) -> str:
    """Want for a selector what was wanted there before; that release.

    Raises InputError where there is no such device, or nothing was wanted before; SQLAlchemyError.
    """
    with database.read() as connection:
        words = said(connection)
    device, labels = "", dict[str, str]()
    if selector.startswith(ONE):
        device = selector[len(ONE) :]
        known = next((one for one in devices(database) if one.id == device), None)
        if known is None:
            raise InputError("There is no such device here", field="device", got=device[:70], fix="Look: portside fleet ls")
        labels = dict(known.labels)
    else:
        words = [word for word in words if word.selector == selector]
    found = before(device, labels, words if device else [Desired("", word.release, word.at_ms) for word in words])
    if found is None:
        raise InputError("No other release was wanted here before", field="selector", got=selector or "all devices",
                         fix="Say which one: portside fleet set SOURCE RELEASE --device ID, or --label NAME=VALUE.")  # fmt: skip
    want(database, Desired(selector, found, now_ms), by)
    return found
