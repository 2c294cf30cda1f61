"""When requests start: a schedule that is fixed before the first one, so that no answer can delay the next question."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...sdk.core.errors import InputError

Arrivals: TypeAlias = Literal["poisson", "constant"]


def schedule(rate: float, seconds: float, arrivals: Arrivals = "poisson", seed: int = 0) -> NDArray[Any]:
    """Seconds after the beginning at which requests start, ascending, all below `seconds`. (count,) float64.

    Poisson arrivals are what many callers who do not know of each other look like; they come in bursts.

    Args:
        rate: requests per second, on average.
        seconds: how long the step lasts.
        arrivals: "poisson" or "constant".
        seed: of the random gaps; the same seed gives the same schedule.

    Raises:
        InputError: a rate or a time that is not above zero.
    """
    if not (0 < rate <= 1e6 and 0 < seconds <= 86_400):
        raise InputError("The rate or the time cannot be used", field="rate", got=f"{rate:g}/s for {seconds:g} s",
                         expected="a rate above 0 and at most 1,000,000 per second, for at most a day")  # fmt: skip
    if arrivals == "constant":
        return np.arange(max(round(rate * seconds), 1)) / rate
    random = np.random.default_rng(seed)
    times = np.cumsum(random.exponential(1 / rate, int(rate * seconds + 6 * (rate * seconds) ** 0.5 + 10)))
    return times[times < seconds]
