"""`search`: the best package within a budget on one target, by trials that are measured there; time-boxed and resumable.

1. The package as it is, then the class that saves most.
2. The ladder from there: nodes that hurt most go back to float32, then other calibrations, until a rung holds.
3. The other classes at their defaults.
4. What Optuna proposes, fed with all of these, until the time is over or everything was tried.

With structures, the network itself is changed first, and all of this is done for what came out best: see `structured`.

Every finished trial is one file in the `resume` folder; there is no other state, so whatever kills a search, the next one goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from ..runtimes.hardware import built_on
from ..sdk.core.budget import Budget
from ..sdk.core.canonical import digest_of
from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest, slices_digest
from ..sdk.core.errors import InputError, MissingExtraError, StoreError
from ..sdk.core.package import Package
from ..sdk.opening import open as open_package
from ..sdk.store import Store
from .clock import Clock
from .front import Front
from .kept_steps import KeptSteps
from .made import Made
from .searching import Searching
from .shelf import Shelf
from .structured import StructuredSearching
from .structuring import Asked, Found, structures_of
from .trial_store import TrialStore
from .trials import Workbench

STEPS = "steps"
"""In the folder of a search: what its trials share, while it is made."""
Progress = Callable[[int, int, str], None]


def search(package: Package | str | Path, target: str = "onnx-cpu", budget: Budget | None = None, data: Data | None = None,
           minutes: float = 10, *, calibration: Data | None = None, structures: Asked | None = None, train: Data | None = None,
           prices: Mapping[str, float] | float | None = None, seed: int = 0, resume: Path | str | None = None, trust: bool = False,
           progress: Progress = lambda done, of, what: None) -> Front:  # fmt: skip
    """Look for the package that fits a budget.

    Args:
        package: float: a package, its folder, or its name in the store.
        target: the runtime on which latency, size and memory are measured.
        budget: limits; without any, the front alone is of interest.
        data: held-out rows to judge on, with labels and slices where there are any; None: the package's evidence set.
        minutes: after which no trial is begun that would likely take more than half of its time beyond; the package as it is
            is always measured.
        calibration: rows that int8-static finds its ranges on; None: `train`, else `data`, which flatters it a little.
        structures: what is done to the network before its precision: recipes, passes or lists of passes; "auto": what the package can
            take. They are trained short first, and the best of them longer. None: precision alone.
        train: rows that their passes learn from; None: `calibration`.
        prices: of an hour of the machine, or target -> price; then there is a cost per thousand predictions.
        seed: of everything random.
        resume: folder in which finished trials are kept, and found again, with what they share (float answers, calibration); None: in
            memory only.
        trust: host stages and training may run.
        progress: called with (trials done, minutes' share in percent, what is being done).

    Returns:
        Front: also after Ctrl-C, with the trials that were finished.

    Raises:
        InputError: no rows, a price that is missing or none, minutes that are not positive; structures without rows to learn from or
            without a limit on quality.
        MissingExtraError: Optuna is not installed.
        StoreError: another search runs in the folder, or it cannot be written.
        TrustError: structures would run the package's own training, and it is not trusted.
        UnsupportedError: the target cannot hold the package at all, or the package takes no structure.
    """
    limits = budget or Budget()
    if not minutes > 0:
        raise InputError("A search needs time", field="minutes", got=minutes, expected="more than 0")
    price = _price(prices, target, limits)
    _require_optuna()
    held = package if isinstance(package, Package) else open_package(package, trust=trust)
    given = [name for name, words in (("data", data), ("calibration", calibration), ("train", train)) if words is not None]
    rows = _rows(held, data)
    train, calibration = (calibration if train is None else train), (train if calibration is None else calibration)
    known = {} if structures is None else structures_of(structures, held, rows, train, limits)
    clock = Clock(minutes * 60)
    folder = None if resume is None else Path(resume)
    bench = Workbench(held, target, rows, calibration, limits=limits, seed=seed,
                      progress=lambda done, of, what: progress(done, of, what),
                      steps=KeptSteps(None if folder is None else folder / STEPS))  # fmt: skip
    with closing(bench):
        lineage = _lineage(bench, limits, calibration)
        learned = None
        if known and train is not None:
            learned = {"train": data_digest(train), "train_slices": slices_digest(train), **_read(known)}
        store, shelf = TrialStore(folder, lineage, learned), _shelf(held, train, seed, folder, known)
        with store.locked():
            plain = Searching(bench, store, clock, limits, price, progress)
            if shelf is None:
                found, structured = plain.run(), {}
            else:
                run = StructuredSearching(plain, shelf, list(known))
                found, structured = run.run(), run.lowered
    remarks = (*found.remarks, *(["calibrated on the rows that trials are judged on: pass calibration=..."] if calibration is None else []))
    about = {**lineage, **(learned or {}), "parents": list(held.content.parents), "rows": len(rows), "minutes": minutes,
             "price_per_hour": price, "budget": limits.to_dict()}  # fmt: skip
    return Front(held.name, target, limits, found.trials, found.rungs, tuple(remarks), found.ended, clock.spent, about,
                 _command(held, target, limits, minutes, seed, price, resume, structures, given),
                 Made(bench, found.orders, structured, shelf))  # fmt: skip


def _read(known: Found) -> dict[str, Any]:
    """What passes read beside their options: a teacher's function or file may change under its name."""
    found = {structure.key: [reads for step in passes if (reads := getattr(step, "reads", None))] for structure, passes in known.items()}
    held = {key: reads for key, reads in found.items() if reads}
    return {"reads": digest_of(held)} if held else {}


def _shelf(package: Package, train: Data | None, seed: int, folder: Path | None, known: Found) -> Shelf | None:
    return Shelf(package, train, seed, folder, known) if known and train is not None else None


def _rows(package: Package, data: Data | None) -> Data:
    if data is not None:
        return data
    if package.content.evidence is None:
        raise InputError("The package has no evidence set to judge trials on", field="data",
                         fix="Pass data=Data(inputs=..., labels=...), or pack with evidence=Data(...).")  # fmt: skip
    try:
        return Store().evidence(package.content.evidence)
    except StoreError as error:
        raise InputError("The package's evidence set is not in this store", field="data", got=package.content.evidence,
                         fix="Pass data=Data(...).") from error  # fmt: skip


def _price(prices: Mapping[str, float] | float | None, target: str, budget: Budget) -> float | None:
    found = prices.get(target) if isinstance(prices, Mapping) else prices
    if found is None and budget.cost_per_1k is not None:
        raise InputError("A limit on cost needs the price of an hour", field="prices", fix=f"Pass prices={{{target!r}: 0.10}}.")
    if found is not None and not found >= 0:
        raise InputError("A price is a number, 0 or more", field="prices", got=found)
    return found


def _require_optuna() -> None:
    try:
        import_module(".proposals", __package__)  # the only file that needs it
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"A search needs {error.name}", extra="compress") from error


def _lineage(bench: Workbench, budget: Budget, calibration: Data | None) -> dict[str, Any]:
    """Everything but its settings that the figures of a trial depend on."""
    versions = {**bench.floats.built.get("versions", {}), **built_on()["versions"]}
    return {
        "package": bench.package.digest, "target": bench.target, "data": data_digest(bench.data), "slices": slices_digest(bench.data),
        "calibration": None if calibration is None else data_digest(calibration), "limits": budget.gates.to_dict(), "seed": bench.seed,
        "versions": versions, "cpu": built_on()["cpu"],
    }  # fmt: skip


def _command(package: Package, target: str, budget: Budget, minutes: float, seed: int, price: float | None, resume: Any,
             structures: Asked | None, given: Sequence[str]) -> str:  # fmt: skip
    """A call that makes the front again, with the rows that were given; the command line puts its own words in its place."""
    limits = ", ".join(f"{name}={held:g}" for name, held in budget.limits.items())
    asked = [repr(package.name), f"target={target!r}", f"budget=ps.Budget({limits})", *(f"{name}={name}" for name in given)]
    asked += [f"minutes={minutes:g}", f"seed={seed}", *([f"prices={price:g}"] if price is not None else [])]
    asked += [f"structures={structures!r}" if isinstance(structures, str) else "structures=structures"] if structures is not None else []
    asked += ["trust=True"] if package.trusted else []
    return f"ps.search({', '.join(asked)}{f', resume={str(resume)!r}' if resume is not None else ''})"
