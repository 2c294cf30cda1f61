"""A candidate out of what people have labelled: `portside retrain`, which trains it, asks its gates, and begins its rollout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import portside as ps

if TYPE_CHECKING:
    from acts import World

HERE = Path(__file__).resolve().parent


def command(small: bool, base: Path) -> str:
    """The training command, for the deployment file."""
    return " ".join([sys.executable, str(HERE / "teach.py"), "--base", str(base), *(["--small"] if small else [])])


def made(world: World, again: bool = False) -> str | None:
    """The candidate's name in the store; None: its gates stopped it. Raises RuntimeError where nothing is trained.

    again: one was stopped before, so it is the new labels that ask.
    """
    asked = ["--now"] if world.story.by_hand() and not again else []  # else the alert asks
    done = world.plant.run("retrain", world.plant.deployment, *asked)
    run: dict[str, Any] | None = done.data["run"]
    if run is None:
        raise RuntimeError(f"portside retrain trains nothing: {done.data['due']}")
    for gate in done.data["gates"]["gates"]:
        world.story.say(f"   gate {gate['name']}: {gate['outcome']}; {gate['why']}")
    if not done:
        world.story.mark("versions", f"{run['why']}; the champion goes on, and people label more")
        return None
    world.versions[run["candidate"]] = run["ref"]
    rows = " and ".join(f"{count} to {name}" for name, count in run["rows"].items())
    why = "; ".join(one["why"] for one in run["triggers"])
    world.story.mark("versions", f"{run['ref']} is trained on mono cells and what people labelled ({rows}), for: {why}")
    world.story.mark("versions", f"its gates: {done.data['gates']['verdict']}; {run['why']}")
    world.story.figures["gates"] = done.data["gates"]
    return run["ref"]


def first(world: World, package: ps.Package) -> str:
    """The first version, in the store; until there is a candidate it is its own."""
    store = ps.Store(world.story.out / "home")
    ref = store.push(package)
    store.tag(ref, "candidate")
    world.versions[package.digest] = ref
    return ref
