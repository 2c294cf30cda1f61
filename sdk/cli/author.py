"""Who says so: what is decided is logged with a name."""

from __future__ import annotations

import getpass

from ..core.errors import InputError
from ..core.refusal import wording


def author(given: str | None, option: str = "--by") -> str:
    """The name that was given with `option`, else that of this account. Raises InputError where there is none, or none that is a text."""
    try:
        return wording(given or getpass.getuser(), option)
    except (KeyError, OSError) as error:  # an account by number alone, as in many containers
        raise InputError("Your account has no name here, and what you decide is logged with one", field=option,
                         fix=f"Say who: {option} NAME.") from error  # fmt: skip
