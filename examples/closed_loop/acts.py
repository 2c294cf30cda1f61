"""The acts of the story, one function each: what people and machines of the plant do, and when."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import candidate
import handover
import numpy as np
import teach
from belt import Belt
from device import DEVICE, Device, Publisher
from people import People
from plant import NAME, Plant, png
from story import Seen, Story

from portside.cloud.records.reading import records

T = TypeVar("T")
CLIENTS, MOST = 4, 40
"""Who sends cells at once; how many come at most while something is waited for."""
DRIFT_S = 80.0
"""The monitor judges whole minutes, so it may take one and a bit until it says something."""


@dataclass(frozen=True)
class Plan:
    """How long the story is.

    Attributes:
        per_s: cells that arrive in a second.
        each_s: a person's time for a decision.
        calm, sure: mono cells while people decide all, and while the dial is on.
        shift, label, rollout, after: (mono, poly) cells of the acts with both.
        field_s: how long the device is with a network, and how long without, in turns.
        small: the cheap model.
    """

    per_s: float
    each_s: float
    calm: int
    sure: int
    shift: tuple[int, int]
    label: tuple[int, int]
    rollout: tuple[int, int]
    after: tuple[int, int]
    field_s: float = 20.0
    small: bool = False


@dataclass
class World:
    """What all acts share. `versions`: digest of a package -> its name in the store; `thresholds`: that were fitted."""

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
    np.savez(story.out / "base.npz", images=learn.images, labels=learn.labels)
    held = every.take(world.belt.held["mono"])
    model = teach.fitted(learn.images, learn.labels, small)
    package = teach.packed(model, small, held.images, held.labels, story.out / "first")
    ref = candidate.first(world, package)
    world.plant.set("command", candidate.command(small, story.out / "base.npz"))
    if small:  # half of so few cells, compared with the other half, would show nothing
        world.plant.set("mode", "blue-green")
    story.mark("versions", f"{ref} is trained on mono cells")


def release_first(world: World, publisher: Publisher) -> tuple[str, int, Any]:
    """Compile and sign the first version for devices."""
    publisher.begin()
    return publisher.publish(f"{NAME}:1")


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
    rows, gap = world.belt.draw(mono, poly, world.dice), 1 / world.plan.per_s
    with ThreadPoolExecutor(CLIENTS) as pool:
        began = time.monotonic()
        for place, cell in enumerate(rows):
            time.sleep(max(0.0, began + place * gap - time.monotonic()))
            pool.submit(_ask, world, cell)
    return len(rows)


def trickle(world: World, over: Callable[[], bool], seconds: float = 600, mono: int = 0) -> None:
    """A few cells come along, one a second, until it is over; the belt is not emptied by a machine that is busy."""
    ends, came = time.monotonic() + seconds, 0
    while not over() and time.monotonic() < ends:
        began = time.monotonic()
        if came < MOST:
            came += arrive(world, 1 if mono and came % mono == 0 else 0, 1)
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
    turn(world, "partial", world.plan.calm)


def turn(world: World, level: str, rows: int = 0) -> None:
    """Fit the dial where it is to decide, write the level into the file, reload. Not enough labels: people go on."""
    if level == "partial":
        fitted = world.plant.run("automation", "fit", world.plant.deployment)
        found = fitted.data["slices"][""]
        if not fitted:
            world.story.mark("dial", f"{rows} labels show no threshold: {found.get('verdict')}; people go on deciding all")
            return
        world.story.mark("dial", f"fitted: {found['value']:.2f}; what is surer the model decides alone")
        world.thresholds.append(float(found["value"]))
    world.plant.set("level", level)
    world.plant.reload()
    world.story.mark("dial", f"at {level}")


def sure(world: World) -> None:
    """The model decides what it is sure of."""
    world.story.begin("the dial is on", f"{world.plan.sure} more mono cells")
    arrive(world, world.plan.sure, 0)


def deliver(world: World, device: Device, publisher: Publisher, first: tuple[str, int, Any]) -> None:
    """A camera leaves the factory with version 1, and is told to run it."""
    release, number, artifact = first
    key = world.plant.run("fleet", "enrol", world.plant.deployment, DEVICE).data["key"]
    world.plant.run("fleet", "set", world.plant.deployment, release, "--all")
    device.deliver(key, publisher.repository / "metadata" / "1.root.json", artifact, number)
    device.start()
    world.device = device
    world.story.mark("device", f"{DEVICE} answers with {NAME}:1, signed release {number}")


@contextmanager
def photographing(world: World, device: Device) -> Iterator[None]:
    """The camera sees a cell now and then, as many poly cells as come along the belt; its network comes and goes."""
    stop, began = threading.Event(), time.monotonic()

    def look() -> None:
        while not stop.wait(20 / world.plan.per_s):
            for cell in world.belt.draw(0, 1, world.dice):
                device.photograph(cell, world.picture(cell))
            online = int((time.monotonic() - began) / world.plan.field_s) % 2 == 0
            if online != device.plugged:
                device.online(online)
            if not online and not device.killed and len(device.taken) > 15:
                device.cut_power()
                world.story.mark("device", "its power was cut, without a network (kill -9), and came back")

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(40)


def shift(world: World) -> None:
    """Poly cells come. The monitor says so, the checks say what it means, and people take over."""
    mono, poly = world.plan.shift
    world.story.begin("poly cells arrive", "nobody told the model")
    arrive(world, mono, poly)
    trickle(world, lambda: bool(told(world)), DRIFT_S)
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
    """People label what comes; a candidate is trained on it meanwhile."""
    mono, poly = world.plan.label
    world.story.begin("people label, a candidate is trained", f"{mono + poly} cells")
    arrive(world, mono, poly)
    caught_up(world)
    training: Later[str] = Later(lambda: candidate.made(world))
    trickle(world, lambda: training.done)
    return training.wait()


def release(world: World, version: str) -> None:
    """Its gates have passed and its rollout has begun; when it is promoted somebody writes it into the file."""
    world.story.begin("rollout", f"{version}: shadow, half of the cells, all")
    handover.roll_out(world)
    world.plant.set("package", version)
    (world.story.out / "automation.json").unlink(missing_ok=True)  # it is of the version before, and would be refused
    world.plant.reload()
    world.story.mark("versions", f"{version} is the champion, in the deployment file too")


def update(world: World, publisher: Publisher, device: Device, version: str) -> None:
    """The same version for the device: compiled, signed, wanted. It takes it when it has a network."""
    world.story.begin("the device's turn", version)
    published = Later(lambda: publisher.publish(version))
    trickle(world, lambda: published.done, mono=4)
    release, number, _ = published.wait()
    world.plant.run("fleet", "set", world.plant.deployment, release, "--all")
    world.story.mark("device", f"release {number} of {version} is signed, and wanted on {DEVICE}")


def after(world: World) -> None:
    """The dial is fitted anew for the new version; cells come as before."""
    mono, poly = world.plan.after
    world.story.begin("the dial is on again", f"{mono + poly} cells")
    caught_up(world)
    turn(world, "partial")
    arrive(world, mono, poly)


def come_home(world: World, device: Device, seconds: float = 90) -> None:
    """The device has a network for good; what it kept comes home."""
    world.story.begin("the device comes home", f"it was without a network for {device.offline_s:.0f} s")
    device.online(True)
    caught_up(world)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        _, said = world.plant.call(f"/dashboard/data/devices?deployment={NAME}")
        lines = said.get("devices", []) if isinstance(said, dict) else []
        home = figures_home(world)
        if lines and lines[0].get("state") == "current" and home >= len(set(device.taken)):
            world.story.mark("device", f"runs the new release; all {home} answers are home")
            return
        time.sleep(1)
    world.story.mark("device", "has not come home whole within its time")


def figures_home(world: World) -> int:
    """How many of the device's cells are in the records."""
    return len({record.entity for record in records_of_device(world)})


def records_of_device(world: World) -> list[Any]:
    """What it has told."""
    return [record for record in records(str(world.story.out / "records.sqlite")) if record.device == DEVICE]
