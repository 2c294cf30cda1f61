"""What is wrong with a settings file, said as line, section, key, what was expected and what was probably meant."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError

from .errors import FormatError


def explained(model: type[BaseModel], path: Path, text: str, error: ValidationError) -> FormatError:
    """The first complaint of pydantic, as ours: line, section, key, what was expected."""
    first, where = _first(error, tomllib.loads(text))
    place, section = place_of(path, text, where), _section(where[:-1])
    if first["type"] == "extra_forbidden":
        known = known_settings(model, where[:-1])
        close = difflib.get_close_matches(str(where[-1]), known, n=1)
        return FormatError(f"{place}: unknown setting {str(where[-1])!r}{section}", expected=", ".join(known),
                           fix=f"Did you mean {close[0]!r}?" if close else None)  # fmt: skip
    if first["type"] == "missing":
        return FormatError(f"{place}: {str(where[-1])!r} is missing{section}")
    message = first["msg"].removeprefix("Value error, ")
    name = f"{where[-1]!r}{section}: " if where else ""
    got = first.get("input")
    return FormatError(f"{place}: {name}{message}", got=None if isinstance(got, dict) else repr(got))


def complaint(error: Exception) -> str:
    """An error in one line: of pydantic's the first complaint, without the value."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    return ": ".join([*map(str, first["loc"]), first["msg"]])


def _first(error: ValidationError, data: Mapping[str, Any]) -> tuple[Any, tuple[str | int, ...]]:
    """The first complaint with its place. Where a setting may be one thing or another, pydantic complains of each: the one that comes
    furthest into what was given is about what was meant.

    data: of the file; empty: not known.
    """
    found = [(held, _in_file(held["loc"], data, held["type"] == "missing") if data else held["loc"])
             for held in error.errors(include_url=False)]  # fmt: skip
    about = found[0][1]
    same = [one for one in found if one[1][: len(about)] == about]
    return max(same, key=lambda one: (len(one[1]), not one[0]["type"].endswith("_type")))


def _in_file(where: Sequence[str | int], data: Any, missing: bool) -> tuple[str | int, ...]:
    """The place without pydantic's names of alternatives, which stand in no file: ("challenger", "Challenger", "trust").

    missing: what the place ends with does not either.
    """
    kept: list[str | int] = []
    for number, part in enumerate(where):
        if isinstance(data, dict) and part in data:
            data = cast("dict[Any, Any]", data)[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(cast("list[Any]", data)):
            data = cast("list[Any]", data)[part]
        elif not (missing and number == len(where) - 1):
            continue
        kept.append(part)
    return tuple(kept)


def _section(where: Sequence[Any]) -> str:
    names = [str(part) for part in where if not isinstance(part, int)]
    return f" in [{'.'.join(names)}]" if names else ""


def known_settings(model: type[BaseModel], where: Sequence[Any]) -> list[str]:
    """The settings that the section at `where` has."""
    section: Any = model
    for part in where:
        if not isinstance(part, int):
            section = _section_class(section.model_fields[part].annotation) or section
    return sorted(cast("type[BaseModel]", section).model_fields)


def _section_class(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `Breaker`, `Cache | None` or `list[Link]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_section_class(inner) for inner in get_args(annotation))
    return next((inner for inner in found if inner is not None), None)


def place_of(path: Path, text: str, where: Sequence[Any]) -> str:
    """"deployment.toml line 7", or the file's name alone where the line cannot be found."""
    line = line_of(text, where)
    return f"{path.name} line {line}" if line else path.name


def line_of(text: str, where: Sequence[Any]) -> int | None:
    """The 1-based line of a setting, by reading section headers and keys; its section's line if the key is not there."""
    wanted, best, deepest = _numbered(where), None, 0
    section: list[tuple[str, int]] = []
    seen: dict[tuple[tuple[str, int], ...], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[{1,2})\s*([^\]]+?)\s*\]{1,2}", line):
            section = _section_at([part.strip().strip("\"'") for part in header[2].split(".")], header[1] == "[[", seen)
            found = section
        elif key := re.match(r"\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*(?:=|\.)", line):
            found = [*section, (key[1], 0)]
        else:
            continue
        if len(found) > deepest and wanted[: len(found)] == found:
            best, deepest = number, len(found)
    return best


def _numbered(where: Sequence[Any]) -> list[tuple[str, int]]:
    """("step", 1, "when") as names with their number in a list: [("step", 1), ("when", 0)]."""
    found: list[tuple[str, int]] = []
    for part in where:
        if isinstance(part, int) and found:
            found[-1] = (found[-1][0], part)
        elif not isinstance(part, int):
            found.append((str(part), 0))
    return found


def _section_at(names: Sequence[str], repeated: bool, seen: dict[tuple[tuple[str, int], ...], int]) -> list[tuple[str, int]]:
    """A header's names with their numbers: of tables that are repeated, the last one begun so far; `seen` counts them."""
    section: list[tuple[str, int]] = []
    for place, name in enumerate(names):
        key = (*section, (name, -1))
        if repeated and place == len(names) - 1:
            seen[key] = seen.get(key, -1) + 1
        section.append((name, seen.get(key, 0)))
    return section
