"""The acts of the device: it is delivered, takes photographs with a network and without, takes the new version, comes home."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from belt import KEPT
from device import DEVICE, Device, Publisher
from plant import NAME

if TYPE_CHECKING:
    from acts import World

ALL_THE_TIME_S, ON_TRIAL_S = 2.0, 0.6
"""Between two photographs; while a release is wanted more come, for a trial takes 32 rows at least."""
POWER_CUT = 10
"""Photographs after which its power is cut, the next time it is without a network."""
SEEN = 6
"""Photographs that it takes with the new version before it is called home."""


def deliver(world: World, device: Device, publisher: Publisher, built: tuple[str, Path]) -> None:
    """A camera leaves the factory with version 1, and is told to run it."""
    release, artifact = built
    number = publisher.publish(f"{NAME}:1")
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
        while not stop.wait(ON_TRIAL_S if world.wanted else ALL_THE_TIME_S):
            for cell in world.belt.draw(0, 1, world.dice, 0 if world.wanted else KEPT):
                device.photograph(cell, world.picture(cell))
            online = world.homeward or int((time.monotonic() - began) / world.plan.field_s) % 2 == 0
            if online != device.plugged:
                device.online(online)
            if not online and not device.killed and len(device.taken) >= POWER_CUT:
                device.cut_power()
                world.story.mark("device", "its power was cut, without a network (kill -9), and came back")

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(40)


def update(world: World, publisher: Publisher, built: tuple[str, Path], version: str) -> None:
    """The same version for the device, compiled while its rollout went on: signed, and wanted. It takes it when it has a network."""
    number = publisher.publish(version)
    world.plant.run("fleet", "set", world.plant.deployment, built[0], "--all")
    world.wanted = built[0]
    world.story.mark("device", f"release {number} of {version} is signed, and wanted on {DEVICE}")


def called_home(world: World, device: Device) -> None:
    """It has a network for good, and takes photographs until the release that is wanted has had its trial and answers."""
    world.story.begin("the device comes home", f"it was without a network for {device.offline_s:.0f} s")
    world.homeward = True

    def current() -> bool:
        _, said = world.plant.call(f"/dashboard/data/devices?deployment={NAME}")
        lines = said.get("devices", []) if isinstance(said, dict) else []
        return bool(lines) and lines[0].get("state") == "current"

    if not _waited(current, 120):
        world.story.mark("device", f"does not run the new release: {device.status().get('release')}")
        return
    world.story.mark("device", "its trial went well; it runs the new release")
    taken = len(device.taken)
    _waited(lambda: len(device.taken) >= taken + SEEN, 20)


def all_home(world: World, device: Device) -> None:
    """What it kept comes home."""
    wanted = len(set(device.taken))
    _waited(lambda: answers_home(world) >= wanted, 60)
    home = answers_home(world)
    world.story.mark("device", f"all {home} answers are home" if home >= wanted else f"{home} answers of {wanted} are home after a minute")


def answers_home(world: World) -> int:
    """How many of the device's cells are in the records."""
    with closing(sqlite3.connect(f"file:{world.story.out / 'records.sqlite'}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT count(DISTINCT entity) FROM records WHERE device = ?", (DEVICE,)).fetchone()[0])


def _waited(over: Callable[[], bool], seconds: float) -> bool:
    """Wait until it is so; whether it is."""
    ends = time.monotonic() + seconds
    while not (done := over()) and time.monotonic() < ends:
        time.sleep(0.5)
    return done
