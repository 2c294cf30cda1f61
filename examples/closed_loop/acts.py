"""The acts of the story, one function each: what people and machines of the plant do, and when."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import candidate
import handover
import numpy as np
import teach
from belt import KEPT, Belt
from device import Device, Publisher
from people import People
from plant import NAME, Plant, png
from story import Seen, Story

T = TypeVar("T")
CLIENTS, MOST = 4, 40
"""Who sends cells at once; how many come at most while something is waited for."""
CANDIDATES = 3
"""So many are trained at most."""


@dataclass(frozen=True)
class Plan:
    """How long the story is.

    Attributes:
        per_s: cells that arrive in a second.
        each_s: a person's time for a decision.
        calm, sure: mono cells while people decide all, and while the dial is on.
        shift, label, more, rollout, after: (mono, poly) cells of the acts with both; `more`: before each candidate after one that
            its gates stopped; `after`: of each of two.
        field_s: how long the device is with a network, and how long without, in turns.
        patience_s: so long at most people wait for the monitor to say something.
        small: the cheap model.
    """

    per_s: float
    each_s: float
    calm: int
    sure: int
    shift: tuple[int, int]
    label: tuple[int, int]
    more: tuple[int, int]
    rollout: tuple[int, int]
    after: tuple[int, int]
    field_s: float = 20.0
    patience_s: float = 140.0
    small: bool = False


@dataclass
class World:
    """What all acts share.

    Attributes:
        versions: digest of a package -> its name in the store.
        thresholds: that were fitted.
        wanted: release that is new for the device. homeward: it is called home, and keeps its network.
    """

    plan: Plan
    story: Story
    plant: Plant
    belt: Belt
    seed: int
    dice: np.random.Generator = field(init=False)
    pictures: dict[int, bytes] = field(default_factory=dict[int, bytes])
    versions: dict[str, str] = field(default_factory=dict[str, str])
    thresholds: list[float] = field(default_factory=list[float])
    people: People | None = None
    device: Device | None = None
    wanted: str = ""
    homeward: bool = False

    def __post_init__(self) -> None:
        self.dice = np.random.default_rng([self.seed, 1])

    def picture(self, cell: int) -> bytes:
        """Its photograph."""
        if cell not in self.pictures:
            self.pictures[cell] = png(self.belt.every.images[cell])
        return self.pictures[cell]


class Later(Generic[T]):
    """Work beside, and what it gives."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(work)

    @property
    def done(self) -> bool:
        """Over."""
        return self._future.done()

    def wait(self) -> T:
        """What it gave. Raises what it raised."""
        held = self._future.result()
        self._pool.shutdown()
        return held


def teach_first(world: World) -> None:
    """Train the first model on mono cells, pack it, push it."""
    story, every, small = world.story, world.belt.every, world.plan.small
    learn = every.take(world.belt.teach)
    story.begin("teach", f"{len(learn)} mono cells; no module of them arrives later or is held out")
    found = teach.features(learn.images, small)
    np.savez(story.out / "base.npz", features=found, labels=learn.labels)
    held = every.take(world.belt.held["mono"])
    model = teach.fitted(found, learn.labels, small)
    package = teach.packed(model, small, held.images, held.labels, story.out / "first")
    ref = candidate.first(world, package)
    world.plant.set("command", candidate.command(small, story.out / "base.npz"))
    if small:  # half of so few cells, compared with the other half, would show nothing
        world.plant.set("mode", "blue-green")
    story.mark("versions", f"{ref} is trained on mono cells")


def build_first(publisher: Publisher) -> tuple[str, Path]:
    """Keys and an empty repository; the first version compiled for devices."""
    publisher.begin()
    return publisher.build(f"{NAME}:1")


@contextmanager
def people(world: World) -> Iterator[None]:
    """Reviewers, as long as the story goes on."""
    labels = world.belt.every.labels
    coming = [int(cell) for kind in world.belt.coming.values() for cell in kind]
    known = {hashlib.sha256(world.picture(cell)).hexdigest(): (cell, int(labels[cell])) for cell in coming}
    with People(world.plant, known, world.plan.each_s, world.seed) as held:
        world.people = held
        yield


@contextmanager
def watched(world: World) -> Iterator[None]:
    """Each second: the queue, alerts, the device."""
    stop, told = threading.Event(), dict[str, str]()

    def look() -> None:
        while not stop.wait(1.0):
            _, said = world.plant.call("/v1/reviews?limit=0")
            counts = said.get("counts", {}) if isinstance(said, dict) else {}
            decided = sum(world.people.decided.values()) if world.people else 0
            world.story.samples.append({"at_s": world.story.now_s, "waiting": counts.get("pending", 0) + counts.get("leased", 0),
                                        "decided": decided, "online": world.device.plugged if world.device else None})  # fmt: skip
            for alert in world.plant.alerts():
                if told.get(alert["id"]) != alert["state"] and alert["state"] in ("firing", "resolved"):
                    world.story.mark("alerts", f"{alert['name']} {alert['state']}: {alert['what']}")
                told[alert["id"]] = alert["state"]

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(40)


def arrive(world: World, mono: int, poly: int) -> int:
    """So many cells come along the belt, at their pace; how many came."""
    rows, gap = world.belt.draw(mono, poly, world.dice, KEPT), 1 / world.plan.per_s
    with ThreadPoolExecutor(CLIENTS) as pool:
        began = time.monotonic()
        for place, cell in enumerate(rows):
            time.sleep(max(0.0, began + place * gap - time.monotonic()))
            pool.submit(_ask, world, cell)
    return len(rows)


def trickle(world: World, over: Callable[[], bool], seconds: float = 600, mono: int = 0, poly: int = 1) -> None:
    """A few cells come along, one a second, until it is over; the belt is not emptied by a machine that is busy.

    `poly` of each second, and every `mono`-th second a mono cell.
    """
    ends, came = time.monotonic() + seconds, 0
    while not over() and time.monotonic() < ends:
        began = time.monotonic()
        if came < MOST:
            came += arrive(world, 1 if mono and came % mono == 0 else 0, poly)
        time.sleep(max(0.0, began + 1 - time.monotonic()))


def _ask(world: World, cell: int) -> None:
    at_s, act = world.story.now_s, world.story.act
    status, body = world.plant.ask(world.picture(cell), f"cell-{cell}")
    receipt = body.get("receipt", {}) if isinstance(body, dict) else {}
    world.story.seen.append(Seen(at_s, act, cell, status, receipt.get("record")))


def caught_up(world: World, seconds: float = 60) -> None:
    """Wait until people have decided what waits."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        _, said = world.plant.call("/v1/reviews?limit=0")
        counts = said.get("counts", {})
        if counts and not counts.get("pending", 0) + counts.get("leased", 0):
            return
        time.sleep(0.25)


def calm(world: World) -> None:
    """People decide all, so that the dial has labels to be fitted on."""
    world.story.begin("people decide", f"{world.plan.calm} mono cells; the dial is at assist")
    arrive(world, world.plan.calm, 0)
    caught_up(world)
    turn(world, "partial")


def turn(world: World, level: str) -> bool:
    """Fit the dial where it is to decide, write the level into the file, reload. False: no threshold, people go on."""
    if level == "partial":
        fitted = world.plant.run("automation", "fit", world.plant.deployment)
        found = fitted.data["slices"][""]
        if not fitted:
            why = f"{found['rows']} labels of this version show no threshold: {found['verdict']}"
            world.story.mark("dial", f"{why}; people go on deciding all")
            return False
        world.story.mark("dial", f"fitted on {found['rows']} labels: {found['value']:.2f}; what is surer the model decides alone")
        world.thresholds.append(float(found["value"]))
    world.plant.set("level", level)
    world.plant.reload()
    world.story.mark("dial", f"at {level}")
    return True


def sure(world: World) -> None:
    """The model decides what it is sure of, until a minute begins: the monitor judges whole ones, and the next is to hold what comes."""
    world.story.begin("the dial is on", f"{world.plan.sure} more mono cells")
    arrive(world, world.plan.sure, 0)
    minute = time.time() // 60
    trickle(world, lambda: time.time() // 60 > minute, mono=1, poly=0)


def shift(world: World) -> None:
    """Poly cells come. The monitor says so, the checks say what it means, and people take over."""
    mono, poly = world.plan.shift
    world.story.begin("poly cells arrive", "nobody told the model")
    arrive(world, mono, poly)
    trickle(world, lambda: bool(told(world)), world.plan.patience_s)
    if not told(world):
        world.story.mark("alerts", "the monitor has said nothing yet; somebody looks at the checks, and asks for training", by_hand=True)
    shown = world.plant.run("automation", "show", world.plant.deployment)
    world.story.mark("dial", "checks prove nothing yet" if shown else "checks prove that the model is wrong more often than it may be")
    turn(world, "assist")


def told(world: World) -> set[str]:
    """Alerts that have fired and that ask for training."""
    fired = {mark.text.split()[0] for mark in world.story.marks if mark.lane == "alerts" and " firing: " in mark.text}
    return fired & {"drift", "quality", "performance"}


def retrain(world: World) -> str:
    """People label what comes; a candidate is trained on it meanwhile. One that its gates stop is no candidate: people label more.

    Raises RuntimeError where the gates stop them all.
    """
    world.story.begin("people label, a candidate is trained", f"{sum(world.plan.label)} cells")
    for attempt in range(CANDIDATES):
        arrive(world, *(world.plan.more if attempt else world.plan.label))
        caught_up(world)
        training: Later[str | None] = Later(partial(candidate.made, world, attempt > 0))
        trickle(world, lambda training=training: training.done)
        if (version := training.wait()) is not None:
            return version
    raise RuntimeError(f"The gates stopped {CANDIDATES} candidates")


def release(world: World, publisher: Publisher, version: str) -> tuple[str, Path]:
    """Its gates have passed and its rollout has begun; when it is promoted somebody writes it into the file. Also built for devices."""
    world.story.begin("rollout", f"{version}: shadow, {'' if world.plan.small else 'half of the cells, '}all")
    built = Later(lambda: publisher.build(version))
    handover.roll_out(world)
    world.plant.set("package", version)
    (world.story.out / "automation.json").unlink(missing_ok=True)  # it is of the version before, and would be refused
    world.plant.reload()
    world.story.mark("versions", f"{version} is the champion, in the deployment file too")
    trickle(world, lambda: built.done, mono=4)
    return built.wait()


def after(world: World) -> None:
    """The dial is fitted anew for the new version, if its labels allow it; else once more when people have labelled more."""
    mono, poly = world.plan.after
    world.story.begin("afterwards", f"{mono + poly} cells, the new version")
    caught_up(world)
    turned = turn(world, "partial")
    arrive(world, mono, poly)
    caught_up(world)
    world.story.begin("afterwards, the dial anew", f"{mono + poly} cells")
    if not turned:
        turn(world, "partial")
    arrive(world, mono, poly)
    caught_up(world)
