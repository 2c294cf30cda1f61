"""The pass that teaches a small model what a large one answers: any teacher, a torch or scikit-learn student, labels or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, cast, get_args

import numpy as np

from ..runtimes.hardware import version_of
from ..runtimes.subjects import opened
from ..sdk.core.canonical import digest_of
from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest
from ..sdk.core.errors import InputError, UnsupportedError
from ..sdk.core.package import Package
from ..sdk.core.temporary import temporary_folder
from .base import Ahead, PassContext
from .derive import descended
from .distil_estimators import decides, estimator_of, fitted, packed
from .distil_features import FeatureGoals, Shown, Side, no_layers, shown_by
from .distil_functions import content_digest
from .distil_losses import goals_of
from .distil_teachers import Answers, Loss, Teacher, check_teachers, digest_of_array, keys_of, taught, teachers_of
from .feature_pairs import check_features
from .kept_steps import KeptSteps
from .option_checks import check, check_choice, check_epochs, check_whole, number
from .training.fit import Fit
from .training.foreseen import foreseen
from .training.norms import estimated, parted
from .training.retrace import repacked, require_float

NORM_ROWS = 512
_KINDS = {"cross-entropy": "score", "binary-cross-entropy": "score", "mse": "value", "l1": "value"}
"""What a package's loss says about its task."""


@dataclass(frozen=True)
class Distil:
    """Teach a student.

        Distil(student=small)
        Distil(student=DecisionTreeClassifier(max_depth=6))
        Distil(student=small, teacher=[first, second], loss="embedding")
        Distil(student=small, loss="features", features={"body.2": "encoder.layer.5"})
        Recipe([Prune(0.3, epochs=0), Distil()])

    Attributes:
        student: a package with a `training/` folder, its folder or name; or a scikit-learn estimator, or its name as in
            "sklearn.tree:DecisionTreeClassifier". A folder or name is opened with the trust of the package that the pass runs on.
            None: the package that the pass runs on learns.
        teacher: a package, its folder or name, a function (wire fields -> an array with one row each) or its name as FILE.py:OBJECT, the
            address of a server as in "http://127.0.0.1:3000/predict", or a list of such, whose answers are averaged. None: the package
            that the pass runs on, or, where that is the student, the one that the recipe began with.
        loss: "soft" (probabilities, or values), "embedding", "ranking", or "features": inner layers of one torch teacher, and its answers.
        temperature: of "soft" with probabilities, for torch students; larger ones show more of what is unlikely.
        weight: of what teachers say; the rest is the student's own loss on labels. Without labels it is 1.
        epochs: None: the student's whole schedule; a torch student's.
        output: name of the teacher's output; None: the first that the loss can teach.
        options: of an estimator that is named.
        features: of "features": layer of the student -> layer of the teacher, by dotted name. None: four that both have under one name,
            evenly from the first to the last before the head.
        feature_weight: of "features": what the layers' mean distance counts, beside the answers' loss.
        norm_rows: rows that the statistics of a torch student's batch norms are taken anew on at the end; 0: they stay, and follow
            training alone.
    """

    kind: ClassVar[str] = "distil"
    student: Any = None
    teacher: Any = None
    loss: Loss = "soft"
    temperature: float = 1.0
    weight: float = 0.9
    epochs: float | None = None
    output: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    features: Mapping[str, str] | None = None
    feature_weight: float = 1.0
    norm_rows: int = NORM_ROWS

    def __post_init__(self) -> None:
        check_choice("loss", self.loss, get_args(Loss))
        check("temperature", self.temperature, number(self.temperature) and 0 < self.temperature < float("inf"), "a number above 0")
        check("weight", self.weight, number(self.weight) and 0 < self.weight <= 1, "a share above 0, up to 1")
        check_epochs(self.epochs)
        named = self.student is None or isinstance(self.student, Package | str | Path) or hasattr(self.student, "fit")
        check("student", self.student, named, "a package, its folder or name, or a scikit-learn estimator")
        check("options", self.options, not self.options or self._names_estimator, "options of an estimator that `student` names")
        check_features(self.features, self.feature_weight, self.loss)
        check_whole("norm_rows", self.norm_rows, 0)
        check_teachers(self.teacher)

    @property
    def _names_estimator(self) -> bool:
        return isinstance(self.student, str) and self.student.startswith("sklearn.") and ":" in self.student

    def run(self, package: Package, data: Data, context: PassContext) -> Package:
        """The student's package, with the teachers as its lineage.

        Raises:
            InputError: no rows, answers or labels that do not fit the student; a package that would teach itself; layers that do not exist.
            EngineError: a server that teaches does not answer.
            UnsupportedError: a teacher without an output for the loss, or without layers; a student that cannot be taught it.
            TrustError: the student's training/ folder is not trusted, or that of a teacher which shows its layers.
        """
        teachers = teachers_of(self._teacher(package, context), package)
        student = self._student(package)
        learner = _learner(student, data)  # refused before anybody is asked
        shown = shown_by(teachers, learner, data, self.features, self.output) if self.loss == "features" else None
        answers = taught(teachers, data, self.loss if shown is None else shown.loss, self.output, context, _kind(student, learner))
        weight = 1.0 if data.labels is None else self.weight
        with temporary_folder("portside-distil-") as work:
            out = work / "student"
            if learner is not None:
                made = self._trained(learner, answers, teachers, shown, weight, replace(context, out=out))
            else:
                made = self._fitted(student, package, data, answers, teachers, weight, context, out)
            return descended(made, _lineage(package, teachers, self.student is None), context.out)

    def look_ahead(self, ahead: Ahead) -> Ahead:
        """The student in the package's place. Raises as `run` does, for what is known."""
        if ahead.package is None:
            return Ahead(None, ahead.data, changed=True)
        if self.student is None:
            if self.teacher is None and not ahead.changed and not ahead.lowered:
                raise _alone()
            teachers_of(self.teacher, ahead.package)
            return foreseen(ahead)
        teachers_of(self.teacher, ahead.package)
        student = self._student(ahead.package)
        if isinstance(student, Package):
            return foreseen(Ahead(student, ahead.data))
        self._check_estimator(student)
        return Ahead(None, ahead.data, changed=True)

    def _check_estimator(self, student: object) -> None:
        if self.loss == "features":
            raise no_layers()
        if self.loss != "soft":
            raise UnsupportedError(f"An estimator cannot be taught {self.loss}", got=type(student).__name__, expected="soft",
                                   fix="Let a torch package be the student.")  # fmt: skip

    def _teacher(self, package: Package, context: PassContext) -> Any:
        """The teacher as given; of a package that is its own recipe's student, what the recipe began with. Raises InputError."""
        if self.student is not None or self.teacher is not None:
            return self.teacher
        if context.origin is None or context.origin.digest == package.digest:
            raise _alone()
        return context.origin

    def _student(self, package: Package) -> Any:
        if self.student is None:
            return package
        if self._names_estimator:
            return estimator_of(cast("str", self.student), self.options)
        if not isinstance(self.student, str | Path):
            return self.student
        found = opened(self.student, package.trusted)
        if not isinstance(found, Package):
            raise InputError("An artifact cannot learn", field="student", got=str(self.student), fix="Name the package with training/.")
        return found

    def _trained(self, learner: Side, answers: Answers, teachers: tuple[Teacher, ...], shown: Shown | None, weight: float,
                 context: PassContext) -> Package:  # fmt: skip
        student, trainee, batches = learner.package, learner.trainee, learner.batches
        loss = self.loss if shown is None else shown.loss
        goals = goals_of(trainee, answers, loss, learner.first, temperature=self.temperature, weight=weight, seed=context.seed)
        step = self._step(None if self.student is None else student.digest, teachers) | ({"features": shown.named} if shown else {})
        schedule = trainee.schedule if self.epochs is None else replace(trainee.schedule, epochs=self.epochs)
        key = {"pass": step, "student": student.digest, "data": data_digest(batches.data), "answers": digest_of_array(answers.held)}
        if self.epochs != 0:
            goals = goals if shown is None else FeatureGoals(goals, shown, shown.begun(context), weight * self.feature_weight)
            Fit(trainee.model, goals, batches, schedule, context, key, saying="distilling", extra=goals.extra).run()
            rows = np.random.default_rng((context.seed, 1)).permutation(len(batches))[: self.norm_rows]
            estimated(trainee.model, map(batches.of, parted(rows)))
        return repacked(student, trainee, step, context)

    def _fitted(self, student: Any, package: Package, data: Data, answers: Answers, teachers: tuple[Teacher, ...], weight: float,
                context: PassContext, out: Path) -> Package:  # fmt: skip
        self._check_estimator(student)
        step = self._step(_said(student), teachers)
        key = {
            "package": package.digest, "student": [_said(student), content_digest(student)], "pass": step, "data": data_digest(data),
            "answers": [digest_of_array(answers.held), answers.kind, repr(answers.classes), repr(answers.texts)], "weight": weight,
            "versions": {name: version_of(name) for name in ("scikit-learn", "skl2onnx", "scipy")}, "seed": context.seed,
        }  # fmt: skip

        def make(place: Path) -> Package:
            return packed(fitted(student, data, answers, weight), package, step, place)

        return KeptSteps.of(context).package("student", key, package.trusted, make, out)

    def _step(self, student: object, teachers: tuple[Teacher, ...]) -> dict[str, Any]:
        said = {"student": student} if student is not None else {}
        return {**self.to_dict(), **said, "teacher": [teacher.said for teacher in teachers]}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: what a recipe keeps; packages by digest, estimators by name and options, functions by name."""
        held = {"loss": self.loss, "temperature": self.temperature, "weight": self.weight, "epochs": self.epochs, "output": self.output}
        student = None if self.student is None else _said(self.student)
        data: dict[str, Any] = {"kind": self.kind, "student": student, **held}
        if self.teacher is not None:
            parts = cast("list[object]", list(self.teacher)) if isinstance(self.teacher, list | tuple) else [self.teacher]
            data["teacher"] = [_said(part) for part in parts]
        data |= {"options": dict(self.options)} if self.options else {}
        data |= {"norm_rows": self.norm_rows} if self.norm_rows != NORM_ROWS else {}
        data |= {"feature_weight": self.feature_weight} if self.loss == "features" else {}
        data |= {"features": dict(self.features)} if self.features else {}
        return {name: value for name, value in data.items() if value is not None}

    @property
    def reads(self) -> list[object]:
        """Digests of what functions hold that teach: `to_dict` has their names alone."""
        return keys_of(self.teacher)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Distil:
        """Parse a recipe's step. Raises InputError."""
        return cls(**{name: value for name, value in data.items() if name != "kind"})


def _learner(student: object, data: Data) -> Side | None:
    """A package that learns, made again; None: an estimator. Raises as `Side.of`, and InputError where precision was lowered."""
    if not isinstance(student, Package):
        return None
    require_float(student)
    return Side.of(student, data)


def _kind(student: object, learner: Side | None) -> str | None:
    """Chances of classes ("score") or values, as the student's task is; None: its loss does not tell."""
    if learner is None:
        return "score" if decides(student) else "value"
    loss = learner.trainee.setup.loss
    return _KINDS.get(loss) if isinstance(loss, str) else None


def _alone() -> InputError:
    return InputError("A package cannot teach itself", field="student", got="no student, no teacher",
                      fix="Put the pass behind one that changes the package (prune, low-rank), or name a teacher.")  # fmt: skip


def _said(given: object) -> object:
    """A student or teacher as a recipe keeps it."""
    if isinstance(given, Package):
        return given.digest
    if isinstance(given, str | Path):
        return str(given)
    if hasattr(given, "get_params"):
        held = {name: repr(value) for name, value in cast("Any", given).get_params().items()}
        return f"{type(given).__module__}:{type(given).__name__} {digest_of(held)[7:19]}"
    return Teacher(None, cast("Any", given)).said


def _lineage(package: Package, teachers: tuple[Teacher, ...], learns: bool) -> list[str]:
    """Digests of who the result is from: the teachers, and before them the package itself where it `learns`."""
    digests = [teacher.package.digest for teacher in teachers if teacher.package is not None]
    if learns:
        return list(dict.fromkeys([*package.content.parents, package.digest, *digests]))
    older = package.content.parents if package.digest in digests else ()
    return list(dict.fromkeys([*older, *digests]))
