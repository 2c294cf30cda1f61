"""The candidate comes to traffic: its rollout is watched while cells arrive, until the controller has promoted it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plant import NAME

if TYPE_CHECKING:
    from acts import World

AT_ONCE, WATCHED_S = 5, 150.0
"""Cells between two looks; how long at most people label and the controller watches after the last of them."""


def roll_out(world: World) -> None:
    """Cells arrive until it is promoted. Raises RuntimeError when it is not."""
    import acts

    most, came, place = sum(world.plan.rollout), 0, ""

    def over() -> bool:
        nonlocal place
        now = looked(world)
        if now and now["phase"] != place:
            place = now["phase"]
            world.story.mark("rollout", f"{place}: {now['why'].strip().splitlines()[0]}")
        return bool(now) and now["phase"] in ("promoted", "rolled back")

    while came < most and not over():
        got = acts.arrive(world, AT_ONCE - 2 if came % 60 == 0 else 0, AT_ONCE)
        came += got
        if not got:
            break
    acts.trickle(world, over, WATCHED_S)
    now = looked(world)
    told = world.plant.run("rollout", "explain", world.plant.deployment)
    log = world.plant.run("rollout", "log", world.plant.deployment)
    world.story.figures |= {"why": told.data["why"], "rollout_log": log.data["entries"], "rollout_broken": log.data["broken"]}
    if not now or now["phase"] != "promoted":
        raise RuntimeError(f"The candidate was not promoted: {told.data['why']}")
    world.story.mark("rollout", "promoted; its log is whole" if log else f"promoted; its log is broken: {log.data['broken']}")


def looked(world: World) -> dict[str, Any]:
    """The rollout as the dashboard shows it; {} where there is none."""
    status, said = world.plant.call(f"/dashboard/data/rollout?deployment={NAME}")
    return (said.get("rollout") or {}) if status == 200 else {}
