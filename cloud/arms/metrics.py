"""What the metrics page shows of a rollout: answers and seconds per arm, where the rollout is, what its shadows did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..answering.metrics import Metrics
from ..deployment.traffic import Traffic
from .books import named


class ArmMetrics(Metrics):
    """Counts for one arm what it also counts for all. Entries are named as in the deployment file.

    Args:
        whole: of the server.
        tried: the first entry is the challenger.
    """

    def __init__(self, whole: Metrics, tried: bool) -> None:
        super().__init__()
        self._whole, self._tried = whole, tried
        self.stages = whole.stages

    def answered(self, model: str, reason: str, seconds: float, attempts: Iterable[str]) -> None:
        """As the whole."""
        said = tuple(attempts)
        super().answered(model, reason, seconds, said)
        self._whole.answered(model, reason, seconds, said)

    def opened(self, entry: int | str) -> None:
        """As the whole."""
        self._whole.opened(named(int(entry)) if self._tried else entry)


def arm_lines(arms: Mapping[str, Metrics]) -> Iterable[str]:
    """Per arm, by which a request was *assigned*: answers by who gave them and why, and how long they took."""
    yield "# HELP portside_arm_requests_total Answers by the arm that was given and why."
    yield "# TYPE portside_arm_requests_total counter"
    for arm, held in arms.items():
        yield from (f'portside_arm_requests_total{{arm="{arm}",reason="{reason}"}} {count}' for reason, count in _by_reason(held).items())
    about = "Time from arrival to answer, by the arm that was given."
    for arm, held in arms.items():
        yield from held.histogram("portside_arm_request_seconds", about, f'arm="{arm}"')
        about = ""


def state_gauges(traffic: Traffic, fault: str) -> dict[str, float]:
    """Where the rollout is, as far as this worker goes along."""
    share = 1.0 if traffic.phase in ("switched", "promoted") else traffic.share if traffic.phase == "canary" else 0.0
    return {f'portside_rollout_phase{{phase="{traffic.phase}"}}': 1.0, "portside_rollout_share": share,
            "portside_rollout_serial": float(traffic.serial), "portside_rollout_fault": float(bool(fault))}  # fmt: skip


def _by_reason(held: Metrics) -> dict[str, int]:
    found: dict[str, int] = {}
    for (_, reason), count in held.requests.items():
        found[reason] = found.get(reason, 0) + count
    return found
