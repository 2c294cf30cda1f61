"""What a search tries next: Optuna's multi-objective TPE over the space, fed with every trial that was made.

Source: Ozaki et al., "Multiobjective tree-structured Parzen estimator", JAIR 73 (2022), as Optuna implements it. Nothing of the
study is stored: trials are, and a new study is fed with them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution

from .ranking import OBJECTIVES, objectives
from .settings import Settings
from .space import Space
from .structures import UNCHANGED
from .trials import Trial

STARTUP = 8
"""Trials before the model of the space is trusted; defaults and rungs are among them."""
REPEATS = 8
"""Proposals in a row that were all made before, after which one is drawn from what was not."""
WORST = 1e6
"""What stands for a figure that does not exist: a trial that failed has to be told, or it is proposed again."""
BROKEN = 10.0
"""Added to the loss of what may not be shipped."""


class Proposals:
    """Settings to try, each once.

    Args:
        space: what can be tried.
        seed: of the sampler.
        seen: settings were tried already.
    """

    def __init__(self, space: Space, seed: int, seen: Callable[[Settings], bool]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._seen, self._random = space, seen, random.Random(seed)  # noqa: S311
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
        directions = [optuna.study.StudyDirection.MINIMIZE] * (len(OBJECTIVES) + 1)
        self._study = optuna.create_study(directions=directions, sampler=sampler)

    def tell(self, trial: Trial) -> None:
        """A trial was made, whoever proposed it."""
        held = self._space.values(trial.settings.of(UNCHANGED))
        if held is None:
            return
        distributions: dict[str, Any] = {name: CategoricalDistribution(list(values)) for name, (_, values) in held.items()}
        values = {name: value for name, (value, _) in held.items()}
        self._study.add_trial(optuna.trial.create_trial(values=scores(trial), params=values, distributions=distributions))

    def next(self) -> Settings | None:
        """Settings that were not tried; None: everything was."""
        for _ in range(REPEATS):
            asked = self._study.ask()
            settings = self._space.choose(lambda name, values, asked=asked: asked.suggest_categorical(name, list(values)))
            self._study.tell(asked, state=optuna.trial.TrialState.FAIL)  # what comes of it is told by `tell`, as of any other
            if not self._seen(settings):
                return settings
        left = list({held.key: held for held in self._space.every() if not self._seen(held)}.values())
        return self._random.choice(left) if left else None


def scores(trial: Trial) -> Sequence[float]:
    """What the study minimizes, finite whatever happened."""
    *figures, loss = (held if isfinite(held) else WORST for held in objectives(trial))
    return [*figures, loss if trial.passed else loss + BROKEN]
