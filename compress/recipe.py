"""A recipe: passes in order, and gates that travel with what they make. Data, so that a file can hold it and a package can state it.

[[pass]]
kind = "quantize"
precision = "int8-static"
calibration = "percentile"

[gates]
max_drop = 0.005

The same as JSON: {"pass": [{"kind": "quantize", "precision": "int8-static", "calibration": "percentile"}], "gates": {"max_drop": 0.005}}
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from ..sdk.core.budget import Budget
from ..sdk.core.canonical import read_object
from ..sdk.core.errors import FormatError, InputError, MissingExtraError, PortsideError
from ..sdk.core.plan import PRECISIONS
from .base import Pass
from .quantize import Quantize

PASSES: Mapping[str, tuple[str, str, str]] = {
    "distil": (".distil", "Distil", "torch"),
    "forest": (".forest", "Forest", "onnx"),
    "quantize": (".quantize", "Quantize", "onnx"),
    "low-rank": (".low_rank", "LowRank", "torch"),
    "prune": (".prune", "Prune", "torch"),
    "qat": (".qat", "QAT", "torch"),
}
"""Kind -> (module, class, extra): imported when a recipe names it, as most need torch, which an install may lack."""
_FIX = 'Write TOML with a [[pass]] in it, or JSON: {"pass": [{"kind": ...}]} in a .json file.'


@dataclass(frozen=True)
class Recipe:
    """What `compress` does to a package.

    Attributes:
        passes: run in order, each on what the one before made.
        gates: limits on quality that every compile of the result keeps; see `docs/audit.md`.
    """

    passes: tuple[Pass, ...]
    gates: Budget = field(default_factory=Budget)

    def __init__(self, passes: Iterable[Pass], gates: Budget | None = None) -> None:
        object.__setattr__(self, "passes", tuple(passes))
        object.__setattr__(self, "gates", (gates or Budget()).gates)
        if not self.passes:
            raise InputError("A recipe needs a pass", fix='Write Recipe([Quantize("int8-static")]).')

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: what `from_dict` reads."""
        return {"pass": [dict(held.to_dict()) for held in self.passes]} | ({"gates": self.gates.to_dict()} if self.gates.limits else {})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Parse. Raises InputError for a pass, option or gate that does not exist."""
        if unknown := sorted(set(data) - {"pass", "gates"}):
            raise InputError("A recipe has no such part", field=unknown[0], expected="[[pass]] and [gates]")
        passes = data.get("pass", [])
        if not isinstance(passes, list) or not all(isinstance(held, Mapping) for held in cast("list[object]", passes)):
            raise InputError("A recipe's passes are tables", field="pass", got=str(passes)[:60], expected="[[pass]]")
        if not isinstance(gates := data.get("gates", {}), Mapping):
            raise InputError("A recipe's gates are a table", field="gates", got=str(gates)[:60], expected="[gates]")
        found = [_pass(held) for held in cast("list[Mapping[str, Any]]", passes)]
        return cls(found, Budget.from_dict(cast("Mapping[str, Any]", gates)))

    @classmethod
    def from_file(cls, path: Path | str) -> Recipe:
        """Read a TOML file, or a JSON file (.json). Raises InputError where it cannot be read or means nothing."""
        try:
            text = Path(path).read_text(encoding="utf-8")
            data = read_object(text, "it") if Path(path).suffix.lower() == ".json" else tomllib.loads(text)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, FormatError) as error:
            raise InputError("The recipe cannot be read", got=f"{path}: {error}", fix=_FIX) from error
        return cls.from_dict(data)


def recipe_of(word: Recipe | Pass | str | Path) -> Recipe:
    """A recipe by what a user says: itself, one pass, a class of precision, or a file."""
    if isinstance(word, Recipe):
        return word
    if isinstance(word, str) and word in PRECISIONS:
        return Recipe([Quantize(word)])
    if isinstance(word, str | Path):
        if not Path(word).is_file():
            raise InputError("This is neither a recipe file nor a class of precision", got=str(word), expected=", ".join(PRECISIONS[1:]))
        return Recipe.from_file(word)
    return Recipe([word])


def _pass(data: Mapping[str, Any]) -> Pass:
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in PASSES:
        raise InputError("There is no such pass", field="kind", got=kind, expected=", ".join(PASSES))
    try:
        made = _class(kind).from_dict(data)
        made.to_dict()  # options that do not exist are found here
    except TypeError as error:
        raise InputError(f"The pass {kind!r} has no such option: {error}", got=", ".join(data)) from error
    except PortsideError:
        raise
    except ValueError as error:
        raise InputError(f"An option of the pass {kind!r} cannot be read: {error}", got=str(dict(data))[:200]) from error
    return made


def _class(kind: str) -> Any:
    module, name, extra = PASSES[kind]
    try:
        return getattr(import_module(module, __package__), name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"The pass {kind!r} needs the module {error.name!r}", extra=extra) from error
