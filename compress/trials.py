"""One attempt at precision, measured on the target's own runtime: what it costs and what it loses against the float package."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from ..runtimes.artifact import Artifact
from ..runtimes.base import CompileOptions, LoadOptions, Measurable, Session, Smooths, runtime
from ..runtimes.bench import golden, of_rows, one_row, probe
from ..runtimes.comparison import Comparison, compare
from ..runtimes.evaluate import session_of
from ..runtimes.gates import judged
from ..runtimes.paired import Answers, answered, batch_rows
from ..runtimes.subjects import contract_of
from ..runtimes.timing import Samples, interleave, ratio
from ..sdk.core.budget import Budget
from ..sdk.core.contract import Rule
from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest
from ..sdk.core.decisions import Verdict, combine
from ..sdk.core.decisions import judge as judge_output
from ..sdk.core.errors import FormatError, InputError, PortsideError
from ..sdk.core.gates import Gate
from ..sdk.core.package import Package
from ..sdk.core.plan import PrecisionPlan
from ..sdk.core.temporary import temporary_folder
from .calibration import Calibration
from .derive import derive
from .expected import Expected
from .kept_steps import NOWHERE, KeptSteps, Series
from .quantize import Plans, Quantize
from .settings import Settings
from .smoothing import Smoothing

REPEATS, SECONDS = 5, 0.2


@dataclass(frozen=True)
class Trial:
    """One attempt and what was found.

    Attributes:
        settings: what was tried.
        verdict: of fidelity, gates and expectations together; "failed" with `fault` where it could not be compiled or run.
        figures: size_mb, p50_ms, p95_ms, p99_ms, ratio (to float, interleaved), memory_mb where the runtime says it, cost_per_1k where
            there is a price.
        loss: one number to order attempts by: drop of the primary metric, else share of flips, else the distance of the kind.
        gates: limits on quality that were given, judged on the held-out rows.
        broken: what of the contract does not hold, in words.
        comparison: what changed against the float package, as an audit shows it, and the target; under "artifact" what the artifact
            says of its precision, under "expectations" what came of the package's own.
        achieved: class -> nodes of the artifact.
        kept: id -> why it stayed float32.
        weights_bytes: dtype -> bytes, read from the file.
        fault: what went wrong instead.
        seconds: that the attempt took.
    """

    settings: Settings
    verdict: Verdict
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    loss: float = float("inf")
    gates: tuple[Gate, ...] = ()
    broken: tuple[str, ...] = ()
    comparison: Mapping[str, Any] = field(default_factory=dict[str, Any])
    achieved: Mapping[str, int] = field(default_factory=dict[str, int])
    kept: Mapping[str, str] = field(default_factory=dict[str, str])
    weights_bytes: Mapping[str, int] = field(default_factory=dict[str, int])
    fault: str | None = None
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """It may be shipped."""
        return self.verdict == "passed"

    @property
    def asked(self) -> tuple[Gate, ...]:
        """Limits that were given, and the package's own expectations."""
        return (*self.gates, *(Gate.from_dict(held["gate"]) for held in self.comparison.get("expectations", ())))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not pass, in words for people."""
        return (*([self.fault] if self.fault else []), *self.broken, *(str(gate) for gate in self.asked if not gate))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **vars(self), "settings": self.settings.to_dict(), "gates": [gate.to_dict() for gate in self.gates],
            "broken": list(self.broken), "reasons": list(self.reasons), "loss": self.loss if self.loss < float("inf") else None,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trial:
        """Parse what `to_dict` made. Raises FormatError for a trial without gates as data: it knew them as text alone."""
        held: dict[str, Any] = {name: value for name, value in data.items() if name != "reasons"}
        if "gates" not in held:
            raise FormatError("The trial was kept by an earlier version, without what its gates measured", fix="Make it again.")
        settings, loss = Settings.from_dict(held.pop("settings")), held.pop("loss")
        gates, broken = tuple(map(Gate.from_dict, held.pop("gates"))), tuple(held.pop("broken"))
        return cls(settings, loss=float("inf") if loss is None else loss, gates=gates, broken=broken, **held)


class Workbench:
    """Everything that attempts at one package, target and data share: float answers, the float artifact, calibration, sensitivity.

    Args:
        package: float.
        target: name of a runtime.
        data: held-out rows that attempts are judged on; labels and slices where there are any.
        calibration: rows for calibration; None: taken from `data`, which a reader should know.
        limits: gates on quality.
        price_per_hour: of the machine, for cost_per_1k; None: no such figure.
        progress: called with (done, of, what).
        source: the bench of what `package` was made from by passes: quality, latency and bytes are held against that package. What
            precision loses, by the contract, is still held against `package` in float. None: the package itself.
        steps: keeps what attempts share, while it is made.

    Raises what opening and compiling the float package raises.
    """

    def __init__(self, package: Package, target: str, data: Data, calibration: Data | None = None, *, limits: Budget | None = None,
                 price_per_hour: float | None = None, seed: int = 0,
                 progress: Callable[[int, int, str], None] = lambda done, of, what: None,
                 source: Workbench | None = None, steps: KeptSteps = NOWHERE) -> None:  # fmt: skip
        if not len(data):
            raise InputError("There are no rows to judge attempts on", fix="Pass held-out rows: Data(inputs=..., labels=...).")
        self.package, self.target, self.data = package, target, data
        self.calibration_data = data if calibration is None else calibration
        self.limits, self.price, self.seed, self.progress = (limits or Budget()).gates, price_per_hour, seed, progress
        self.plans, self.steps = Plans(package), steps
        self.rules = _with_flips(contract_of(package).rules, self.limits)
        self._runtime, self._golden = runtime(target), golden(contract_of(package))
        with ExitStack() as held:
            self._folder = held.enter_context(temporary_folder("portside-trials-"))
            self.floats = self._runtime.compile(package, CompileOptions(verify=False), self._folder / "float")
            self.session = held.enter_context(closing(self._open(self.floats)))
            with closing(session_of(package)) as reference:
                self._rows = batch_rows(reference.info.signature)
                progress(0, 1, "answers of the float package")
                with _naming("rows to judge on"):
                    self.before: Answers = answered(reference, data, self._rows, self._answers().step)
            self._held = held.pop_all()
        self.source: Workbench = source or self
        self.expected = Expected(package, self.source.package, self.source.before, data, self.rules, self._rows)
        self._calibration: Calibration | None = None
        self._smoothing: Smoothing | None = None
        self.why: dict[str, str] = {}
        """Node -> why it is kept in float32, which plans state."""

    def __enter__(self) -> Workbench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free sessions and folders."""
        self._held.close()

    @property
    def calibration(self) -> Calibration:
        """Made when it is first needed, once."""
        if self._calibration is None:
            self._calibration = self.plans.calibrate(self.calibration_data, seed=self.seed, progress=self.progress, steps=self.steps)
        return self._calibration

    @property
    def smoothing(self) -> Smoothing:
        """Made when it is first needed, once."""
        if self._smoothing is None:
            self._smoothing = self.plans.smooth(self.calibration_data, self.seed, self.progress, self.steps)
        return self._smoothing

    @property
    def smooths(self) -> bool:
        """The target lowers a plan's smoothing, and some product can take it."""
        return isinstance(self._runtime, Smooths) and self._runtime.smooths and bool(self.plans.nodes("int8-dynamic"))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know about the rows for calibration, where they were used."""
        return () if self._calibration is None else self._calibration.warnings

    def package_of(self, settings: Settings, out: Path | None) -> Package:
        """The derived package of these settings. Raises UnsupportedError, InputError."""
        return derive(self.package, Quantize.of(settings).to_dict(), out, plan=self.plan_of(settings).to_dict())

    def plan_of(self, settings: Settings) -> PrecisionPlan:
        """The plan of these settings, with what they need of the data. Raises UnsupportedError, InputError."""
        calibration = self.calibration if settings.calibrated else None
        return self.plans.plan(settings, calibration, self.why, self.smoothing if settings.smoothed else None)

    def attempt(self, settings: Settings) -> Trial:
        """Compile, run and judge; what goes wrong is the trial's fault, not an exception.

        Raises InputError for rows that nothing can be learned from: they are the caller's, and every trial would fail for them.
        """
        started = time.monotonic()
        with _naming("rows for calibration"):
            _ = self.calibration if settings.calibrated else None
        with temporary_folder("attempt-", self._folder) as work:
            try:
                trial = self._attempt(settings, work)
            except PortsideError as error:
                trial = Trial(settings, "failed", fault=str(error))
        return replace(trial, seconds=time.monotonic() - started)

    def _attempt(self, settings: Settings, work: Path) -> Trial:
        if settings.precision == "float32":
            package, artifact = self.package, self.floats
        else:
            package = self.package_of(settings, work / "package")
            artifact = self._runtime.compile(package, CompileOptions(verify=False), work / "artifact")
        with closing(self._open(artifact)) as session:
            after = answered(session, self.data, self._rows)
            figures = self._figures(artifact, session)
            found = compare(artifact, self.source.package, self.data, self.rules, self.source.before, after)
            verdicts, broken = self._fidelity(after, artifact.lossy)
            gates = judged(self.limits.limits, found.changes, found.slices, found.counts, found.flips)
            verdict = combine([*verdicts, *(gate.verdict for gate in gates)])
            expected = self.expected.of(session, after) if verdict != "failed" else ()  # each asks all the rows again
        verdict = combine([verdict, *(held.gate.verdict for held in expected)])
        precision = artifact.engine.get("precision", {})
        said = {**_plain(found), "target": self.target, "artifact": list(precision.get("notes", ())),
                "expectations": [held.to_dict() for held in expected]}  # fmt: skip
        return Trial(settings, verdict, figures, self._loss(found, after), gates, broken, said, precision.get("achieved", {}),
                     precision.get("kept", {}), artifact.engine.get("weights_bytes", {}))  # fmt: skip

    def _answers(self) -> Series:
        """What the float package answers, batch by batch."""
        rows = data_digest(Data(self.data.inputs))
        return self.steps.series("answers", {"package": self.package.digest, "rows": rows, "at_once": self._rows})

    def _open(self, artifact: Artifact) -> Session:
        return self._runtime.load(artifact.path, LoadOptions(trust=self.package.trusted))

    def _figures(self, artifact: Artifact, session: Session) -> dict[str, float]:
        row = one_row(session.info.signature, of_rows(session.info.signature, self._golden, 1) or self._golden)
        if isinstance(session, Measurable):
            taken = session.measure(row, 3, SECONDS)
            memory = session.footprint(row, 1).memory_mb
            floats = cast("Measurable", self.source.session).measure(row, 3, SECONDS)
        else:
            both = interleave({"float": lambda: self.source.session.run(row), "this": lambda: session.run(row)}, REPEATS, SECONDS)
            taken, floats, memory = both["this"], both["float"], probe(artifact, trust=self.package.trusted)["memory_mb"]
        figures = {"size_mb": artifact.size_bytes / 1e6, **({} if memory is None else {"memory_mb": memory}), **_latency(taken, floats)}
        figures["size_ratio"] = artifact.size_bytes / self.source.floats.size_bytes
        return figures if self.price is None else figures | {"cost_per_1k": figures["p50_ms"] / 3600 * self.price}

    def _fidelity(self, after: Answers, lossy: bool) -> tuple[list[Verdict], tuple[str, ...]]:
        """The contract by the kind's lossy rule: verdicts, and in words what does not hold."""
        verdicts: list[Verdict] = []
        broken: list[str] = []
        for name, rule in self.rules.items():
            reference, got = self.before.joined(name), after.joined(name)
            if reference is None or got is None:
                continue
            said = judge_output(rule, reference, got, None, lossy)
            verdicts.append(said.verdict)
            if said.verdict != "passed":
                broken.append(f"{name}: {said.note or said.verdict}" if said.note else f"{name} ({rule.kind}): {_measure(said)}")
        return verdicts, tuple(broken)

    def _loss(self, found: Comparison, after: Answers) -> float:
        """The primary metric's drop, else the most flips, else the largest distance by kind."""
        if found.changes:
            return next(iter(found.changes.values())).drop.value
        if found.flips:
            return max(held.rate.value for held in found.flips)
        distances = [
            judge_output(rule, reference, got, None, True).mean_abs
            for name, rule in self.rules.items()
            if (reference := self.source.before.joined(name)) is not None and (got := after.joined(name)) is not None
        ]
        return max(distances, default=0.0)


@contextmanager
def _naming(rows: str) -> Generator[None]:
    """An InputError says which rows it is about: there are two files of them."""
    try:
        yield
    except InputError as error:
        raise InputError(f"In the {rows}: {error.what}", field=error.field, row=error.row, got=error.got, expected=error.expected,
                         fix=error.fix) from error  # fmt: skip


def _with_flips(rules: Mapping[str, Rule], limits: Budget) -> dict[str, Rule]:
    """The contract's rules; a limit on flips of the user's own replaces the kind's."""
    if limits.max_flips is None:
        return dict(rules)
    return {name: replace(rule, limits={**rule.limits, "max_flips": limits.max_flips}) for name, rule in rules.items()}


def _latency(taken: Samples, floats: Samples) -> dict[str, float]:
    middle, low, high = ratio(taken, floats)
    held = {f"p{q}_ms": taken.percentile_ms(q) for q in (50, 95, 99)}
    return {**held, "ratio": middle, "ratio_low": low, "ratio_high": high}


def _measure(said: Any) -> str:
    return f"{said.flips} of {said.rows} rows differ" if said.flips else f"largest difference {said.max_abs:.4g}, mean {said.mean_abs:.4g}"


def _plain(found: Comparison) -> dict[str, Any]:
    """A comparison as JSON, its flipped rows included."""
    slices = {key: _changes(change) if change else None for key, change in found.slices.items()}
    flips, drifts = ([held.to_dict() for held in side] for side in (found.flips, found.drifts))
    return {
        "rows": found.rows, "labelled": found.labelled, "changes": _changes(found.changes), "slices": slices,
        "counts": dict(found.counts), "flips": flips, "drifts": drifts, "notes": list(found.notes),
    }  # fmt: skip


def _changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: held.to_dict() for name, held in changes.items()}
