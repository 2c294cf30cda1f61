"""Which structures a search tries: those that the user names, or what the package can take; checked before any work."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias, cast

from ..sdk.core.budget import Budget
from ..sdk.core.data import Data
from ..sdk.core.errors import FormatError, InputError, TrustError, UnsupportedError
from ..sdk.core.package import Package
from .base import Pass
from .distil_answers import LOSSES
from .recipe import Recipe
from .structures import Structure

Asked: TypeAlias = Literal["auto"] | Sequence[Recipe | Pass | Sequence[Pass] | Mapping[str, Any]]
Found: TypeAlias = dict[Structure, Sequence[Pass]]

TRAINING = "training/training.json"
"""As `training.stored` names it; that file needs torch, this one must not."""
PRUNED, FACTORED, THINNED = (0.3, 0.15, 0.5, 0.08), (0.5, 0.25), (0.5, 0.2, 0.1)
"""Shares that are left: of a network's products, of its parameters, of a forest's nodes. The likeliest come first: time may end."""
BOTH = (0.3, 0.5)
"""Of products and then of parameters, for both in a row."""
_OWN = 0.2
"""Part of the package's schedule that prune and low-rank take where they do not say, as `tuning` has it."""


def structures_of(asked: Asked, package: Package, data: Data, train: Data | None, limits: Budget) -> Found:
    """Structures with their passes, in the order in which they are tried.

    Args:
        asked: "auto", or recipes.
        package: what they are made of.
        data: the rows that judge.
        train: rows to learn from; None: there are none.
        limits: of the budget.

    Raises:
        InputError: no rows to learn from, no limit on quality, limits that the rows cannot judge; recipes that mean nothing here.
        TrustError: passes would run the package's own Python.
        UnsupportedError: the package can take none of what "auto" knows.
        MissingExtraError: a pass needs torch, which is not installed.
    """
    if not isinstance(asked, str) and not asked:
        raise InputError("There are no structures to try", field="structures", fix='Name recipes, or pass structures="auto".')
    if isinstance(asked, str) and asked != "auto":
        raise InputError("Structures are recipes, or 'auto'", field="structures", got=asked, fix="Pass [Recipe([...]), ...].")
    if train is None:
        raise InputError("Passes that change a network learn from rows, and those that judge would flatter them", field="train",
                         fix="Pass train=Data(...), or calibration=Data(...).")  # fmt: skip
    _judgeable(data, limits)
    if isinstance(asked, str):
        recipes = [Recipe.from_dict({"pass": steps}) for steps in _known(package)]
    else:
        recipes = [_recipe(held) for held in asked]
    return dict(_structure(recipe, package) for recipe in recipes)


def _judgeable(data: Data, limits: Budget) -> None:
    """Raises InputError where nothing would say whether a changed network is good enough."""
    asked = limits.gates.limits
    if not asked:
        raise InputError("A changed network answers otherwise than its source, so the contract cannot judge it", field="budget",
                         expected="a limit on quality", fix="Pass budget=ps.Budget(max_drop=...) with labels, or max_flips.")  # fmt: skip
    if data.labels is None and set(asked) - {"max_flips"}:
        raise InputError("Without labels nothing can be said about a drop", field="data", got=", ".join(asked),
                         fix="Pass data=Data(..., labels=...), or limit max_flips alone.")  # fmt: skip


def _known(package: Package) -> Iterator[list[dict[str, Any]]]:
    """What the package can take, as recipes' passes."""
    forest = [stage for stage in package.content.stages if stage.kind == "trees"]
    if _schedule(package) is None and len(forest) != 1:
        raise UnsupportedError(f"There is no structure that {package.name!r} can take", got="no training/ folder, no ensemble of trees",
                               fix="Pack it with training=ps.Training(factory, config), or name recipes of your own.")  # fmt: skip
    if _schedule(package) is None:
        yield from ([{"kind": "forest", "ratio": ratio}] for ratio in THINNED)
        return
    pruned = {ratio: [{"kind": "prune", "ratio": ratio, "steps": 1, "epochs": 0}] for ratio in PRUNED}
    factored = {ratio: [{"kind": "low-rank", "ratio": ratio, "epochs": 0}] for ratio in FACTORED}
    cuts = [*pruned.values(), *factored.values()]
    cuts.insert(2, [*pruned[BOTH[0]], *factored[BOTH[1]]])
    loss = next((LOSSES[kind] for spec in package.signature.outputs if (kind := spec.kind or "") in LOSSES), None)
    for cut in cuts:
        yield [*cut, {"kind": "distil", "loss": loss}] if loss else [*cut[:-1], {**cut[-1], "epochs": _schedule(package)}]


def _recipe(held: Recipe | Pass | Sequence[Pass] | Mapping[str, Any]) -> Recipe:
    if isinstance(held, Recipe):
        return held
    if isinstance(held, Mapping):
        return Recipe.from_dict(held)
    parts = cast("list[Any]", [*held] if isinstance(held, list | tuple) else [held])
    if not all(hasattr(part, "run") and hasattr(part, "to_dict") for part in parts):
        raise InputError("A structure is made by passes", field="structures", got=type(parts[0]).__name__ if parts else "nothing",
                         expected="a Recipe, a pass, or a list of passes")  # fmt: skip
    return Recipe(parts)


def _structure(recipe: Recipe, package: Package) -> tuple[Structure, Sequence[Pass]]:
    """A recipe with its epochs filled in. Raises InputError for one that ends in another precision or has gates of its own."""
    if lower := [step.kind for step in recipe.passes if step.kind in ("quantize", "qat")]:
        raise InputError("A structure ends in float: the search tries precision itself", field="structures", got=lower[0],
                         fix=f"Leave {lower[0]} out.")  # fmt: skip
    if recipe.gates.limits:
        raise InputError("Gates of a search are in its budget", field="structures", got=recipe.gates, fix="Leave them out of the recipe.")
    passes = [_filled(step, package) for step in recipe.passes]
    if TRAINING in package.content.files and not package.trusted and any(hasattr(step, "epochs") for step in passes):
        raise TrustError(f"Training {package.name!r} runs Python of its own", got=TRAINING,
                         fix="Read its training/ folder, then open it with trust=True (CLI: --trust).")  # fmt: skip
    return Structure(tuple(step.to_dict() for step in passes)), passes


def _filled(step: Pass, package: Package) -> Pass:
    """The pass with the number of its epochs, where it leaves that to a schedule which is at hand."""
    if getattr(step, "epochs", 0) is not None:
        return step
    student = getattr(step, "student", None)
    schedule = _schedule(package if student is None else student)
    if schedule is None:
        return step
    return cast("Pass", replace(cast("Any", step), epochs=schedule if step.kind == "distil" else schedule * _OWN))


def _schedule(package: object) -> float | None:
    """Epochs of a full training, where the package says them."""
    if not isinstance(package, Package) or TRAINING not in package.content.files:
        return None
    try:
        return float(json.loads(package.read(TRAINING))["schedule"]["epochs"])
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError("The package's training.json is malformed", got=f"{type(error).__name__}: {error}"[:200]) from error
