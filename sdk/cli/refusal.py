"""How errors leave the command line: what happened, what was got and expected, what to do next; and an exit code.

- The answer is no (1): a contract that fails, a target that cannot hold the package.
- Not enough data (4): a contract that could not be judged.
- Usage (2): an input that does not fit.
- Everything else is a fault (3), Ctrl-C ends with the shell's 130.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from importlib.metadata import requires

from ..core.errors import ContractError, InputError, MissingExtraError, PortsideError, TraceError, UnsupportedError
from .console import Exit, Result, paint, shown


def refuse(error: BaseException) -> Result:
    """The Result of a command that raised. PORTSIDE_DEBUG=1 prints the traceback too."""
    if os.environ.get("PORTSIDE_DEBUG"):
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, ModuleNotFoundError) and (extra := extra_of(error.name or "")):
        error = MissingExtraError("This command needs what is not installed here", got=f"no {error.name}", extra=extra)
    if isinstance(error, PortsideError):
        return Result(error.to_dict(), describe(error), code_of(error))
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    data = {"error": type(error).__name__, "what": what, "fix": "Set PORTSIDE_DEBUG=1 to see where."}
    return Result(data, _lines(what, {"fix": data["fix"]}), Exit.FAULT)


def extra_of(module: str) -> str | None:
    """The extra of Portside that brings a module; None: it is not one that some extra names."""
    for line in requires("portside") or ():
        named, extra = re.match(r"[\w.-]+", line), re.search(r"extra\s*==\s*['\"]([\w.-]+)['\"]", line)
        if named and extra and named[0].replace("-", "_").lower() == module.partition(".")[0].lower():
            return extra[1]
    return None


def describe(error: PortsideError) -> str:
    """The error over a few lines, for people."""
    where = {"field": error.field, "row": error.row} if isinstance(error, InputError) else {}
    at = str(error.where) if isinstance(error, TraceError) and error.where else None
    fix = {"fix": error.fix}
    return _lines(error.what, {**where, "at": at, "got": error.got, "expected": error.expected, **fix})


def code_of(error: PortsideError) -> Exit:
    """The exit code of an error."""
    if isinstance(error, ContractError):
        undecided = getattr(error.report, "verdict", None) == "not enough data"
        return Exit.NOT_ENOUGH_DATA if undecided else Exit.NO
    if isinstance(error, UnsupportedError | TraceError):
        return Exit.NO
    return Exit.USAGE if isinstance(error, InputError) else Exit.FAULT


def _lines(what: str, rest: dict[str, object]) -> str:
    head = f"{paint('error', '31', sys.stderr)}: {_shown(what).rstrip('.')}."
    return "\n".join([head, *(f"  {name + ':':<10}{_shown(value)}" for name, value in rest.items() if value is not None)])


def _shown(value: object) -> str:
    return "\n".join(map(shown, str(value).split("\n")))
