"""What an ensemble sees and gives on a user's rows, in the midst of its program: features, scores, answers, goals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..runtimes.contracting import narrowed
from ..runtimes.opening import open_segments
from ..runtimes.segments import EngineOptions, Segment, stage_segment
from ..runtimes.session import ProgramSession, describe
from ..runtimes.subjects import codec_of, rows_at_once
from ..sdk.core.data import Data
from ..sdk.core.data_digest import data_digest
from ..sdk.core.errors import InputError, UnsupportedError
from ..sdk.core.manifest import Stage
from ..sdk.core.package import Package
from ..sdk.core.signature import Array
from .forest_links import LINKS, Link, link_of
from .kept_steps import NOWHERE, KeptSteps

_ENGINE = EngineOptions(threads=1, optimize="none", deterministic=True)
_TAP = "trees"
_SURE = 20.0
"""A score that is as good as certain."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows at an ensemble.

    Attributes:
        x: (rows, columns) float32 features.
        score: (rows, outputs) float32 of the ensemble.
        answers: the program's outputs by name.
        others: values that the program reads behind the ensemble beside its scores.
        link: from scores to answers.
        goal: (rows, outputs) float64 answers to come close to: the program's own, with labels mixed in.
        truth: (rows, outputs) float64 the perfect answers; None without labels.
    """

    x: Array
    score: Array
    answers: Mapping[str, Array]
    others: Mapping[str, Array]
    link: Link
    goal: Array
    truth: Array | None = None


class Inside:
    """A program around its one ensemble, opened.

    Args:
        package: with one trees stage; trusted, where it has host stages.

    Raises UnsupportedError for a program without an ensemble, with several, or with a memory.
    """

    def __init__(self, package: Package) -> None:
        self.stage = stage_of(package)
        package.require_trust()
        self._package, stages = package, package.content.stages
        self._segments = open_segments([stage_segment(held, held.file) for held in stages], package.path, package.trusted, _ENGINE)
        self._behind, self._others = _tail(self._segments[stages.index(self.stage) + 1 :], self.stage)
        info = describe(package.signature, "reference", package.digest, batch_invariant=False, host=False, cancellable=False)
        taps = {_TAP: tuple(dict.fromkeys((self.stage.inputs[0], self.stage.outputs[0], *self._others)))}
        self._session = ProgramSession(info, self._segments, taps=taps)

    def close(self) -> None:
        """Free the engines."""
        self._session.close()

    def rows(self, data: Data, share: float, steps: KeptSteps = NOWHERE) -> Rows:
        """These rows at the ensemble.

        Args:
            data: by wire field.
            share: of the labels in the goal, where there are any; the rest are the program's own answers.
            steps: keeps the answers, batch by batch.

        Raises InputError for no rows, and for labels that do not fit the program.
        """
        if not len(data):
            raise InputError("There are no rows to shrink trees on", field="data")
        outputs, inner = self._run(data, steps)
        x, score = inner[self.stage.inputs[0]], inner[self.stage.outputs[0]]
        link = link_of(score, outputs) or self._guessed(score)
        goal, truth = link.mean(score.astype(np.float64)), None
        if data.labels is not None:
            first = {name: inner[name][:1] for name in self._others}
            truth = self._labels(data.labels, link, score.shape[1], first)
            goal = (1 - share) * goal + share * truth if share > 0 else goal
        return Rows(x, score, outputs, {name: inner[name] for name in self._others}, link, goal, truth)

    def behind(self, score: Array, rows: Rows) -> dict[str, Array]:
        """The outputs that depend on the ensemble, had it given `score` (rows, outputs) float32 for these rows."""
        return self._tail(score, rows.others)

    def _run(self, data: Data, steps: KeptSteps) -> tuple[dict[str, Array], dict[str, Array]]:
        codec, signature = codec_of(self._package), self._package.signature
        key = {"package": self._package.digest, "rows": data_digest(Data(data.inputs)), "at_once": rows_at_once(signature)}
        kept = steps.series("forest-rows", key)

        def answers(part: Data) -> dict[str, Array]:
            outputs, inner = self._session.run_tapped(narrowed(signature, codec.encode(part.inputs)), (_TAP,))
            return {f"outputs/{name}": held for name, held in outputs.items()} | {f"inner/{name}": held for name, held in inner.items()}

        parts = [kept.step(lambda part=part: answers(part)) for part in data.batches(rows_at_once(signature))]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        outputs, inner = ({name.removeprefix(side): held for name, held in joined.items() if name.startswith(side)}
                          for side in ("outputs/", "inner/"))  # fmt: skip
        return outputs, inner

    def _tail(self, score: Array, others: Mapping[str, Array]) -> dict[str, Array]:
        held = {self.stage.outputs[0]: score, **others}
        for segment in self._behind:
            made = segment.run(list(segment.outputs), {name: held[name] for name in segment.inputs}, None)
            held.update(zip(segment.outputs, made, strict=True))
        return {spec.name: held[spec.name] for spec in self._package.signature.outputs if spec.name in held}

    def _guessed(self, score: Array) -> Link:
        """Where no output shows the scores: probabilities are averaged, other scores of classes are logits."""
        decided = any(spec.dtype not in ("f16", "f32", "f64") for spec in self._package.signature.outputs)
        chances = bool(np.all((score >= 0) & (score <= 1)))
        return LINKS["value"] if chances or not decided else LINKS["sigmoid" if score.shape[1] == 1 else "softmax"]

    def _labels(self, labels: Any, link: Link, outputs: int, others: Mapping[str, Array]) -> Array:
        """(rows, outputs) float64: what the perfect answers were."""
        truth = np.asarray(labels)
        known = self._classes(link, outputs, others)
        if known is None:
            fits = truth.dtype.kind in "iufb" and truth.reshape(len(truth), -1).shape[1] == outputs
            if not fits or not np.isfinite(truth).all():
                raise InputError("The labels are no numbers that the ensemble could give", field="labels", got=str(truth[:3].tolist()),
                                 expected=f"{outputs} per row", fix="Leave the labels out: rows alone are enough.")  # fmt: skip
            return truth.reshape(len(truth), -1).astype(np.float64)
        places = {name: place for place, names in enumerate(known) for name in names}
        found = np.array([places.get(name, -1) for name in truth.tolist()]) if truth.ndim == 1 else np.array([-1])
        if (found < 0).any():
            raise InputError("A label is none of the classes", field="labels", got=str(truth.ravel()[int(np.argmin(found))]),
                             expected=", ".join(map(str, list(places)[:12])),
                             fix="Leave the labels out: rows alone are enough.")  # fmt: skip
        return found[:, None].astype(np.float64) if outputs == 1 else np.eye(outputs)[found]

    def _classes(self, link: Link, outputs: int, others: Mapping[str, Array]) -> list[tuple[Any, ...]] | None:
        """Per class what labels may call it: the decision for a score that is certain of it, and its category; None for values."""
        certain = np.array([[0.0], [1.0]]) if outputs == 1 else np.eye(outputs)
        score = certain if link.name == "value" else (2 * certain - 1) * _SURE
        repeated = {name: np.repeat(held, len(score), axis=0) for name, held in others.items()}
        answers = self._tail(score.astype(np.float32), repeated)
        for spec in self._package.signature.outputs:
            held = answers.get(spec.name)
            if held is None or held.shape != (len(score),) or held.dtype.kind not in "iub" or len(np.unique(held)) < len(score):
                continue
            return [(code.item(), *((spec.categories[int(code)],) if spec.categories else ())) for code in held]
        return None


def stage_of(package: Package) -> Stage:
    """The one trees stage of a program. Raises UnsupportedError."""
    found = [stage for stage in package.content.stages if stage.kind == "trees"]
    if len(found) != 1:
        raise UnsupportedError(f"Package {package.name!r} has {len(found) or 'no'} ensembles of trees", expected="one trees stage",
                               fix="Networks are shrunk by the passes that train, and any program by Quantize.")  # fmt: skip
    if package.signature.state:
        raise UnsupportedError("A model with a memory cannot be shrunk row by row", got=package.name)
    return found[0]


def _tail(segments: list[Segment], stage: Stage) -> tuple[list[Segment], tuple[str, ...]]:
    """Segments that depend on the ensemble, and the other values that they read."""
    made, kept = {stage.outputs[0]}, list[Segment]()
    for segment in segments:
        if made.intersection(segment.inputs):
            kept.append(segment)
            made.update(segment.outputs)
    return kept, tuple(dict.fromkeys(name for segment in kept for name in segment.inputs if name not in made))
