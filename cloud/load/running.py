"""Runs the steps of a load, one after the other, and says what they found."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from ...runtimes.hardware import built_on, cores
from ...sdk.core.errors import EngineError, InputError
from ..deployment.file import read
from ..serving import command, prepare
from . import generator
from .arrivals import Arrivals
from .knee import Aim, found, next_rate
from .report import Report
from .tally import Step
from .target import Target

WARM_S = 1.0
Told = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How a load runs.

    Attributes:
        rates: requests per second, in this order; empty: the knee is looked for.
        seconds: of each step.
        arrivals, seed: see `schedule`.
        minutes: no step begins after this time; it bounds the search for the knee.
        timeout_s: a request without an answer is given up.
        connections: at most at once.
        first: where the search for the knee begins.
    """

    rates: tuple[float, ...] = ()
    seconds: float = 10.0
    arrivals: Arrivals = "poisson"
    seed: int = 0
    minutes: float = 5.0
    timeout_s: float = 5.0
    connections: int = 256
    first: float = 50.0


def load(target: Target, plan: Plan, aim: Aim, told: Told = lambda _: None) -> Report:
    """Run the plan against a target; Ctrl-C ends it with the steps there are.

    Raises:
        InputError: a rate or a time that cannot be used.
    """
    steps: list[Step] = []
    machine = {**built_on("bentoml", "onnxruntime"), "cores": cores(), "busy": round(os.getloadavg()[0], 2)}
    machine["shared"] = target.host in ("localhost", "::1") or target.host.startswith("127.")
    with contextlib.suppress(KeyboardInterrupt):
        generator.run(_steps(target, plan, aim, steps, told))
    return Report(target.url, target.made, aim, tuple(steps), found(steps, aim), machine, plan.seconds, plan.arrivals)


async def _steps(target: Target, plan: Plan, aim: Aim, steps: list[Step], told: Told) -> None:
    driver = generator.Generator(target, aim.deadline_ms, plan.timeout_s, plan.connections)
    ends, rest = time.monotonic() + plan.minutes * 60, iter(plan.rates)
    rate = next(rest, None) if plan.rates else next_rate(steps, aim, plan.first)
    try:
        if rate is not None:
            await driver.step(min(rate, plan.first), WARM_S, "constant")  # connections, caches: not counted
        while rate is not None and time.monotonic() < ends:
            seconds = plan.seconds if plan.rates else min(aim.seconds(rate, plan.seconds), max(ends - time.monotonic(), 1.0))
            told(f"{rate:,g} requests/s for {seconds:.3g} s ...")
            steps.append(await driver.step(rate, seconds, plan.arrivals, plan.seed + len(steps)))
            told(f"  {_line(steps[-1], aim)}")
            rate = next(rest, None) if plan.rates else next_rate(steps, aim, plan.first)
    finally:
        await driver.close()


def _line(step: Step, aim: Aim) -> str:
    p99 = f"p99 {step.latency_ms['p99']:.1f} ms, " if step.latency_ms else ""
    return f"{p99}{step.share_within:.2%} in time: {aim.judge(step)}"


@contextlib.contextmanager
def served(deployment: Path, workers: int = 1, seconds: float = 300.0) -> Generator[str]:
    """Serve a deployment here for as long as the block lasts; its URL.

    Raises:
        PortsideError: what is wrong with the deployment, or that it did not become ready.
    """
    if read(deployment).server.tls is not None:
        raise InputError("A deployment with TLS is not served for a load", field="target", got=str(deployment),
                         fix="Start it with portside serve, and load its https:// address.")  # fmt: skip
    prepare(deployment)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    words, environment = command(deployment, port=port, workers=workers)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            if (said := _wait(f"http://127.0.0.1:{port}", process, seconds)) is not None:
                log.seek(0)
                raise EngineError("The deployment did not become ready", got=said or log.read()[-600:].decode(errors="replace"))
            yield f"http://127.0.0.1:{port}"
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], seconds: float) -> str | None:
    """None when it is ready, else the last that it said of why not."""
    ends, said = time.monotonic() + seconds, ""
    while time.monotonic() < ends and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.get(f"{url}/readyz", timeout=5, trust_env=False)
            if answer.status_code == 200:
                return None
            said = answer.text[:300]
        time.sleep(0.1)
    return said


def sequence(rates: Sequence[float]) -> tuple[float, ...]:
    """Rates in ascending order, each once: a step that overloads the server must not spoil the next smaller one."""
    return tuple(sorted(set(rates)))
