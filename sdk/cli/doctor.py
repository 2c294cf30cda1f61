"""`portside doctor`: what works on this machine, and the exact command that enables each thing that does not."""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, requires, version
from pathlib import Path
from typing import Any

from ...runtimes.base import GROUP, Runtime, compile_lack, compile_options, lack
from ...runtimes.hardware import int8_sums_here
from .console import Exit, Result, fields, terminal_width, wrapped

EXAMPLE = """
  portside doctor                       everything
  portside doctor --target onnx-cpu     exit code 1 where that target does not run here; for scripts

  A device runs what a build machine compiled: there a target may say "runs, cannot compile", with what compiling lacks.
"""
_REQUIREMENT = re.compile(r"^(?P<name>[\w.-]+)(?:\[(?P<extras>[^\]]*)\])?(?P<bounds>[^;]*)(?:;(?P<marker>.*))?$")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w.-]+)['\"]")
_AT_LEAST = re.compile(r">=\s*([\d.]+)")


@dataclass(frozen=True)
class Finding:
    """One thing that works here or does not.

    Attributes:
        name: of the target or extra.
        lacks: what is missing, empty when nothing is.
        fix: the command that enables it.
        runs: a target whose artifacts can be loaded, although compiling for it lacks something.
    """

    name: str
    lacks: str = ""
    fix: str = ""
    runs: bool = False

    @property
    def works(self) -> bool:
        """Nothing is missing to run it."""
        return self.runs or not self.lacks

    def __str__(self) -> str:
        return "runs, cannot compile" if self.runs else "no" if self.lacks else "yes"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"name": self.name, "works": self.works, "compiles": not self.lacks, "lacks": self.lacks or None, "fix": self.fix or None}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing is needed; a target turns the answer into yes or no."""
    parser.add_argument("--target", help="answer for this target alone, by exit code")


def run(args: argparse.Namespace) -> Result:
    """Look at the machine, every registered target, every extra."""
    targets, parts = check_targets(), check_extras(requires("portside") or ())
    if args.target:
        targets = [found for found in targets if found.name == args.target] or [Finding(args.target, "no such target", "portside doctor")]
    code = Exit.NO if args.target and not targets[0].works else Exit.DONE
    here = machine()
    options = {target: dict(held) for target, held in compile_options().items() if target in {found.name for found in targets}}
    data = {"machine": here, "targets": [{**found.to_dict(), "options": options.get(found.name, {})} for found in targets],
            "extras": [found.to_dict() for found in parts]}  # fmt: skip
    rows = [[target, name, line] for target, held in options.items() for name, line in held.items()]
    own = [wrapped(rows, ["target", "compile option", "what it is"], terminal_width())] if rows else []
    listed = [_listed("target", targets), *own]
    sections = listed if args.target else [fields(here), *listed, _listed("extra", parts)]
    return Result(data, "\n\n".join(sections), code)


def machine() -> dict[str, Any]:
    """Versions, cores and where packages are kept."""
    home = Path(os.environ.get("PORTSIDE_HOME") or Path.home() / ".portside")
    nearest = next(path for path in (home, *home.parents) if path.exists())
    return {
        "portside": version("portside"), "python": platform.python_version(), "platform": platform.platform(terse=True),
        "machine": platform.machine(), "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "int8 sums": int8_sums_here(), "home": str(home), "home writable": "yes" if os.access(nearest, os.W_OK) else "no",
    }  # fmt: skip


def check_targets() -> list[Finding]:
    """Every registered runtime: does its entry file import, and does it say that something is missing?"""
    return [_target(entry) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)]


def check_extras(requirements: Iterable[str]) -> list[Finding]:
    """Every extra of these requirement lines: is all that it names installed, and new enough?"""
    wanted: dict[str, list[re.Match[str]]] = {}
    for line in requirements:
        parsed = _REQUIREMENT.match(line)
        if parsed and (extra := _EXTRA.search(parsed["marker"] or "")):
            wanted.setdefault(extra[1], []).append(parsed)
    return [_extra(name, wanted) for name in wanted]


def _target(entry: Any) -> Finding:
    try:
        found: Runtime = entry.load()()
        stops, halves = lack(found), compile_lack(found)
    except ImportError as error:  # its engine is not installed: that is the answer
        lacks = error.name or str(error)
        return Finding(entry.name, lacks, f"pip install {_offering(lacks)}")
    error = stops or halves
    if error is None:
        return Finding(entry.name)
    return Finding(entry.name, str(error.got).removeprefix("no "), (error.fix or "").removeprefix("Run: "), runs=stops is None)


def _offering(module: str) -> str:
    """The extra that brings a module, as pip wants it; the module's own name where none does."""
    for line in requires("portside") or ():
        parsed, extra = _REQUIREMENT.match(line), _EXTRA.search(line)
        if parsed and extra and parsed["name"].replace("-", "_").lower() == module.split(".")[0].lower():
            return f"'portside[{extra[1]}]'"
    return module


def _extra(name: str, wanted: dict[str, list[re.Match[str]]]) -> Finding:
    lacks = [_lack(requirement) for requirement in _flat(name, wanted, set())]
    return Finding(name, ", ".join(filter(None, lacks)), f"pip install 'portside[{name}]'" if any(lacks) else "")


def _flat(name: str, wanted: dict[str, list[re.Match[str]]], seen: set[str]) -> list[re.Match[str]]:
    """The requirements of an extra with those of the extras that it names in turn."""
    found: list[re.Match[str]] = []
    seen.add(name)
    for requirement in wanted.get(name, ()):
        if requirement["name"] != "portside":
            found.append(requirement)
            continue
        for inner in (requirement["extras"] or "").split(","):
            found += _flat(inner.strip(), wanted, seen) if inner.strip() not in seen else []
    return found


def _lack(requirement: re.Match[str]) -> str:
    if "sys_platform" in (requirement["marker"] or "") and sys.platform == "win32":
        return ""
    try:
        found = version(requirement["name"])
    except PackageNotFoundError:
        return requirement["name"]
    least = _AT_LEAST.search(requirement["bounds"])
    return f"{requirement['name']}>={least[1]} (here: {found})" if least and _numbers(found) < _numbers(least[1]) else ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.split("+")[0])[:3])


def _listed(what: str, findings: list[Finding]) -> str:
    rows = [[found.name, found, found.lacks, found.fix] for found in findings]
    return wrapped(rows, [what, "works", "lacks", "enable with"], terminal_width())
