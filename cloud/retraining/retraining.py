"""Retraining: from a trigger to a candidate whose gates are known, and on to its rollout. One at a time, and taken up where it was left.

    dataset -> training -> lineage -> push -> gates -> hand over -> done

Each stage is written down before the next begins, and each can be done again without harm: a dataset and a package are named by what
they hold, a tag is where it is, a rollout has the run's id. A command that was left running by a killed process is ended first.
Until "push" nothing outside the run's own folder and the folder of datasets has changed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...sdk.core.errors import FormatError, InputError, PortsideError, StoreError
from ...sdk.core.package import Package
from ...sdk.core.replacing import replace_file
from ...sdk.dataset import Dataset
from ...sdk.opening import open as open_package
from ...sdk.store import Store
from ...sdk.store_reference import check_name
from ..deployment.file import Deployment
from ..deployment.generation import folder_of
from ..deployment.resolving import reference_of, resolve_model
from ..deployment.retrain import Retrain
from ..records.database import Database
from ..records.finding import open_records
from ..releasing.checking import check
from ..releasing.evidence import datasets_of, find_dataset
from ..releasing.gates import ReleaseGates
from ..releasing.labelled import Front, Rows
from ..review.dataset import Options, write
from ..review.gathering import Labelled
from . import training
from .alone import alone
from .freshness import Freshness, Windows, experiment
from .handing_over import CANDIDATE, challenger_of, hand_over, in_the_way
from .lineage import candidate
from .run import Run, Runs
from .seeing import see, settings_of, upstream_of
from .triggers import DAY_MS, Due, Seen, due

GATES, LOG = "gates.json", "log.txt"
Clock = Callable[[], int]


def wall_ms() -> int:
    """Now, Unix milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Outcome:
    """What became of a call.

    Attributes:
        due: what asked, and the answer; None where an unfinished run was taken up. "waits" beside a run: a rollout that began meanwhile is
            in the way of its candidate, and the next call goes on from there.
        run: as it is now; None: nothing was due.
        gates: what was asked of the candidate; None: it did not come so far.
        resumed: the run was left unfinished by a process before.
    """

    due: Due | None
    run: Run | None = None
    gates: ReleaseGates | None = None
    resumed: bool = False


@dataclass
class Retraining:
    """Retraining of one deployment.

    Args:
        deployment: with `[retrain]`.
        progress: told each stage in words.
        clock: Unix milliseconds.

    Raises FormatError without that section.
    """

    deployment: Deployment
    progress: Callable[[str], None] = lambda text: None
    clock: Clock = wall_ms
    runs: Runs = field(init=False)
    section: Retrain = field(init=False)

    def __post_init__(self) -> None:
        held = self.deployment
        if held.retrain is None or held.champion is None:
            raise FormatError("The deployment does not say how to retrain", got=held.path.name, expected="[retrain] command = \"...\"",
                              fix="See docs/retraining.md.")  # fmt: skip
        self.section = held.retrain
        self.runs = Runs(folder_of(held.name, held.path) / "retrain")

    def due(self, asked: str | None = None) -> Due:
        """What asks, and the answer. `asked`: who asks besides. Raises FormatError, SQLAlchemyError."""
        place, past = self.deployment.records.place(self.deployment.folder), self.runs.past()
        if isinstance(place, Path) and not place.is_file():
            return due(settings_of(self.section), past, Seen(self.clock()), asked)  # nothing was served yet
        with self._records() as database:
            seen = see(database, self.deployment.name, self.section, past, self.clock(), in_the_way(self.deployment, database))
        self.runs.note_upstream(seen.upstream)
        return due(settings_of(self.section), past, seen, asked)

    def retrain(self, asked: str | None = None) -> Outcome:
        """Take up an unfinished run, or begin one where it is due, and go on to its end.

        Raises:
            StoreError: another process retrains this deployment, or no store takes the candidate's name.
            EngineError: the command failed; the run has failed and nothing was changed.
            PortsideError: whatever else stopped it; from "push" on the run is taken up by the next call.
        """
        with alone(self.runs.folder):
            left = self.runs.unfinished()
            if left is not None:
                if training.end_left(left.pid, left.ticks):
                    self.progress(f"ended the command that run {left.id[:8]} had left running")
                return self._through(left, None, resumed=True)
            answer = self.due(asked)
            if not answer:
                return Outcome(answer)
            champion = self.champion()
            check_name(self._name(champion))  # before hours of training, not after
            run = self.runs.begin(self.deployment.name, self.clock(), triggers=answer.triggers, champion=champion.digest,
                                  upstream=self._upstream())  # fmt: skip
            return self._through(run, answer)

    def give_up(self) -> Run:
        """End an unfinished run as one that failed. Raises InputError where there is none, StoreError where it goes on."""
        with alone(self.runs.folder):
            left = self.runs.unfinished()
            if left is None:
                raise InputError("No run was left unfinished", fix="portside retrain DEPLOYMENT.toml --check says how things stand.")
            training.end_left(left.pid, left.ticks)
            return self.runs.save(left, stage="failed", why="given up", ended_ms=self.clock(), pid=0, ticks=0)

    def gates_of(self, run: Run) -> ReleaseGates | None:
        """What was asked of a run's candidate; None: nothing yet. Raises FormatError."""
        path = self.runs.place(run) / GATES
        try:
            return ReleaseGates.from_dict(json.loads(path.read_bytes())) if path.is_file() else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FormatError(f"What the gates said of a run cannot be read: {error!r}", got=str(path),
                              fix="portside retrain DEPLOYMENT.toml --give-up, then begin again.") from error  # fmt: skip

    def champion(self) -> Package:
        """The package that answers. Raises what opening it raises."""
        settings = self.deployment.champion
        assert settings is not None  # noqa: S101  checked when this was made
        return open_package(reference_of(self.deployment, settings.package), settings.digest, settings.trust)

    def front(self) -> Front:
        """What callers send and what is labelled. Raises what resolving the champion raises."""
        settings = self.deployment.champion
        assert settings is not None  # noqa: S101
        model = resolve_model(self.deployment, settings, "[champion]", self.deployment.place("champion"))
        return Front.of(self.deployment.name, model, self.deployment.review.output)

    def freshness(self, windows: int, today: float) -> Freshness:
        """Train on older and older windows and ask today's rows; see freshness.py.

        Args:
            windows: how many.
            today: share of the labelled rows, the newest, that all are asked.

        Raises InputError for too few rows, StoreError where another process retrains this deployment, and what the command raises.
        """
        front, rows, place = self.front(), self.section.rows, self.runs.folder / "freshness"
        options = Options(rows.split, rows.fractions, rows.seed, rows.near)
        key, until = {"command": self.section.words, "weights": self.section.weights, "champion": self.champion().digest}, self.clock()
        with alone(self.runs.folder), self._records() as database:

            def load(part: Sequence[Labelled]) -> Iterator[Labelled]:
                wanted = {row.key for row in part}
                return (row for row in Rows(database, front, 0, until) if row.key in wanted)

            cut = Windows.of([replace(row, parts=()) for row in Rows(database, front, 0, until)], windows, today)
            return experiment(cut, front, options, self.champion(), lambda dataset, out: self.command(place, "freshness", dataset, out),
                              key, place, load, self.progress)  # fmt: skip

    def command(self, place: Path, name: str, dataset: Dataset, out: Path,
                started: Callable[[int, int], None] = lambda pid, ticks: None) -> None:  # fmt: skip
        """Run the training command on a dataset. `place`: for its log and checkpoints; `name`: of the run. Raises as `training.run`."""
        (place / "checkpoints").mkdir(parents=True, exist_ok=True)
        told = {"PORTSIDE_DATASET": str(dataset.folder), "PORTSIDE_CHAMPION": str(self.champion().path), "PORTSIDE_RUN": name,
                "PORTSIDE_WEIGHTS": self.section.weights, "PORTSIDE_CHECKPOINTS": str(place / "checkpoints")}  # fmt: skip
        seconds = self.section.timeout_minutes * 60
        training.run(training.Work(self.section.words, self.deployment.folder, out, place / LOG, seconds, told), started)

    def _through(self, run: Run, answer: Due | None, resumed: bool = False) -> Outcome:
        stages = {"dataset": self._dataset, "training": self._train, "lineage": self._lineage, "push": self._push, "gates": self._gates,
                  "hand over": self._hand_over}  # fmt: skip
        while not run.over:
            stage = run.stage
            if stage == "hand over" and (blocked := self._blocked(run)) is not None:
                return Outcome(Due("waits", run.triggers, blocked), run, self.gates_of(run), resumed)
            self.progress(f"{stage} ...")
            try:
                run = stages[stage](run)
            except PortsideError as error:
                if stage in ("dataset", "training", "lineage"):
                    self.runs.save(self.runs.find(run), stage="failed", why=f"{stage}: {error.what}", ended_ms=self.clock(), pid=0, ticks=0)
                raise
            except OSError as error:
                raise StoreError(f"The run cannot go on: {error.strerror or error}", got=error.filename or stage,
                                 fix="Make room, or let this account write: the next call goes on from there.") from error  # fmt: skip
        self.runs.forget(self.section.keep)
        return Outcome(answer, run, self.gates_of(run), resumed)

    def _blocked(self, run: Run) -> str | None:
        """Why the tag of candidates has to stay where it is for now."""
        with self._records() as database:
            return in_the_way(self.deployment, database, run.id)

    def _dataset(self, run: Run) -> Run:
        front, rows = self.front(), self.section.rows
        since = 0 if rows.days is None else run.began_ms - int(rows.days * DAY_MS)
        names = front.signature.output(front.output).categories
        with self._records() as database:
            held = Rows(database, front, since, run.began_ms)
            made, version = write(held, datasets_of(self.deployment), self.deployment.name,
                                  Options(rows.split, rows.fractions, rows.seed, rows.near), names, self.clock())  # fmt: skip
        split = made.manifest["splits"]["rows"]
        left = f"; left out: {', '.join(f'{count} ({why})' for why, count in held.left_out.items())}" if held.left_out else ""
        self.progress(f"version {version} of the dataset: {', '.join(f'{count} {name}' for name, count in split.items())}{left}")
        if not split["train"]:
            raise InputError("The dataset has no row to train on", got=str(split), fix="Label more, or set [retrain.rows] fractions.")
        return self.runs.save(run, stage="training", dataset=made.digest, rows=dict(split))

    def _train(self, run: Run) -> Run:
        dataset = self._found(run)
        run = self.runs.save(run, attempts=run.attempts + 1, pid=0, ticks=0)
        self._out(run).parent.mkdir(exist_ok=True)
        self.command(self.runs.place(run), run.id, dataset, self._out(run), lambda pid, ticks: self._started(run, pid, ticks))
        return self.runs.save(run, stage="lineage", pid=0, ticks=0)

    def _started(self, run: Run, pid: int, ticks: int) -> None:
        self.runs.save(run, pid=pid, ticks=ticks)

    def _lineage(self, run: Run) -> Run:
        settings = self.deployment.champion
        step = {"dataset": run.dataset, "weights": self.section.weights}
        notes = {"run": run.id, "why": [trigger.why for trigger in run.triggers], "rows": dict(run.rows), "command": self.section.words}
        champion = self.champion()
        if champion.digest != run.champion:
            raise InputError("The champion is another one than when this run began", got=champion.digest, expected=run.champion,
                             fix="Begin again: portside retrain DEPLOYMENT.toml --now.")  # fmt: skip
        made = candidate(self._out(run), champion, step, notes, self._name(champion), self.runs.place(run) / "candidate",
                         settings is not None and settings.trust)  # fmt: skip
        return self.runs.save(run, stage="push", candidate=made.digest)

    def _push(self, run: Run) -> Run:
        ref = Store().push(self._candidate(run))
        return self.runs.save(run, stage="gates", ref=ref)

    def _gates(self, run: Run) -> Run:
        found = check(self.deployment, challenger_of(self.deployment, run), now_ms=self.clock())
        replace_file(self.runs.place(run) / GATES, (json.dumps(found.to_dict(), indent=1) + "\n").encode())
        for line in found.rows():
            self.progress("  " + "  ".join(filter(None, line)))
        if found:
            return self.runs.save(run, stage="hand over", verdict=found.verdict)
        why = f"{run.ref} did not pass its gates: {found}"
        return self.runs.save(run, stage="done", verdict=found.verdict, why=why, ended_ms=self.clock())

    def _hand_over(self, run: Run) -> Run:
        gates = self.gates_of(run)
        tagged = Store().tag(run.ref, CANDIDATE)
        said = hand_over(self.deployment, self.section, run, gates, tagged)
        return self.runs.save(run, stage="done", why=said, ended_ms=self.clock())

    def _candidate(self, run: Run) -> Package:
        settings = self.deployment.champion
        return open_package(self.runs.place(run) / "candidate", run.candidate, settings is not None and settings.trust)

    def _out(self, run: Run) -> Path:
        """Of each attempt its own, with the folder around it: what a command that was killed left half-done is in nobody's way."""
        return self.runs.place(run) / f"attempt-{run.attempts}" / "out"

    def _found(self, run: Run) -> Dataset:
        made = find_dataset(self.deployment, run.dataset)
        if made is None:
            raise FormatError("The dataset of this run is not there any more", got=run.dataset, expected=str(datasets_of(self.deployment)),
                              fix="portside retrain DEPLOYMENT.toml --give-up, then begin again.")  # fmt: skip
        return made

    def _name(self, champion: Package) -> str:
        return self.section.name or champion.name

    def _upstream(self) -> dict[str, str]:
        return upstream_of(self.section.on_upstream)

    def _records(self) -> Database:
        return open_records(self.deployment.path)
