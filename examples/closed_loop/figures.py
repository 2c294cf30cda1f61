"""What the story came to: records of server and device, held against the truth, and against the same cells without the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import cells
import numpy as np
from device import DEVICE
from numpy.typing import NDArray

import portside as ps
from portside.cloud.records.database import Database
from portside.cloud.records.reading import labels_of, records
from portside.sdk.core.records import SHADOW, Record

if TYPE_CHECKING:
    from acts import World
    from story import Story

Ask: TypeAlias = Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.float64]]]
WINDOW = 80
"""Cells of one point of a curve."""


@dataclass(frozen=True)
class Row:
    """A cell that was answered.

    Attributes:
        at_s: since the story began.
        where: at the server or at the device.
        truth, kind: of the cell.
        version: of the model that answered.
        arm: "champion" or "challenger"; the device has one arm.
        alone: the model decided, nobody else.
        model: what it said. score: its probability of a defect. final: what the caller has in the end.
    """

    at_s: float
    where: Literal["server", "device"]
    cell: int
    truth: int
    kind: str
    version: str
    arm: str
    alone: bool
    model: int
    score: float
    final: int


def rows_of(world: World) -> list[Row]:
    """Every answer, by time; of a cell that was answered twice (power was cut) the first."""
    place = str(world.story.out / "records.sqlite")
    held = [record for record in records(place) if record.entity and record.arm != SHADOW and record.outputs.get("label") is not None]
    with Database.open(place) as database:
        labels = {record: label for (record, _), label in labels_of(database, [one.id for one in held]).items()}
    found: dict[tuple[str, str], Row] = {}
    for record in sorted(held, key=lambda one: one.event_ms):
        row = _row(world, record, labels.get(record.id))
        found.setdefault((row.where, str(record.entity)), row)
    return sorted(found.values(), key=lambda row: row.at_s)


def _row(world: World, record: Record, label: Any) -> Row:
    cell = int(str(record.entity).removeprefix("cell-"))
    every, said = world.belt.every, int(record.outputs["label"][0])
    device = record.device == DEVICE
    alone = device or record.decided_by == "model"
    final = said if alone or label is None else int(label.values["label"])
    at_s, version = (record.event_ms - world.story.began_ms) / 1000, world.versions.get(record.package, record.package[7:15])
    return Row(at_s, "device" if device else "server", cell, int(every.labels[cell]), str(every.types[cell]), version, record.arm, alone,
               said, float(record.outputs["defect"][0]), final)  # fmt: skip


def balanced(said: NDArray[Any], truth: NDArray[Any]) -> float:
    """Mean of the shares of defective and of functional cells that are called so; NaN where a class is missing."""
    bad = truth == 1
    if bad.all() or not bad.any():
        return float("nan")
    return float((np.mean(said[bad] == 1) + np.mean(said[~bad] == 0)) / 2)


def interval(said: NDArray[Any], truth: NDArray[Any], cells_: NDArray[np.int64], draws: int = 1000) -> tuple[float, float]:
    """95% of the balanced accuracy, by drawing blocks of neighbouring files anew: cells of one module are no independent draws."""
    blocks = cells_ // cells.BLOCK
    names, dice = np.unique(blocks), np.random.default_rng(0)
    places = {name: np.flatnonzero(blocks == name) for name in names}
    found = list[float]()
    for _ in range(draws):
        chosen = np.concatenate([places[name] for name in dice.choice(names, len(names))])
        found.append(balanced(said[chosen], truth[chosen]))
    low, high = np.nanquantile(found, [0.025, 0.975])
    return float(low), float(high)


def measured(world: World) -> dict[str, Any]:
    """Everything for the table and the timeline."""
    rows, every = rows_of(world), world.belt.every
    asks = {name: _asked(world, name) for name in dict.fromkeys(world.versions.values())}
    served = [row for row in rows if row.where == "server"]
    old_label, old_score = _first_of(served, *next(iter(asks.items())))
    cut = world.thresholds[0] if world.thresholds else 2.0
    people = world.people
    alone = np.array([old >= cut for old in np.maximum(old_score, 1 - old_score)])
    says = np.array([people.says(row.cell, row.truth) if people else row.truth for row in served])
    without = np.where(alone, old_label, says)
    sent = {seen.cell for seen in world.story.seen if seen.status == 200}
    device = world.device
    home = {row.cell for row in rows if row.where == "device"}
    return {
        "rows": rows, "old": old_label, "without": without, "without_people": int((~alone).sum()),
        "held": {name: _held(world, ask) for name, ask in asks.items()},
        "failed": sum(seen.status != 200 for seen in world.story.seen), "sent": len(world.story.seen),
        "lost": len(sent - {row.cell for row in served}), "device_taken": len(set(device.taken)) if device else 0,
        "device_lost": len(set(device.taken) - home) if device else 0, "offline_s": device.offline_s if device else 0.0,
        "killed": device.killed if device else 0,
        "decisions": sum(people.decided.values()) if people else 0, "defective": float(every.labels.mean()),
    }  # fmt: skip


def _first_of(served: Sequence[Row], name: str, ask: Ask) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """What the first version says of all these cells: as it was recorded where it answered, else it is asked now."""
    label, score = np.array([row.model for row in served]), np.array([row.score for row in served])
    others = np.array([place for place, row in enumerate(served) if row.version != name], np.int64)
    if len(others):
        label[others], score[others] = ask(np.array([served[place].cell for place in others]))
    return label, score


def _asked(world: World, name: str) -> Ask:
    """(labels, probabilities of a defect) that a version gives to cells."""
    package = ps.Store(world.story.out / "home").pull(name)
    session = ps.load(ps.compile(package, out=world.story.out / "asked" / name.replace(":", "-")), threads=2)

    def ask(places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        got = [session.run({"image": world.belt.every.images[part]}) for part in np.array_split(places, max(1, len(places) // 32))]
        return np.concatenate([one["label"] for one in got]).astype(np.int64), np.concatenate([one["defect"] for one in got]).astype(float)

    return ask


def _held(world: World, ask: Ask) -> dict[str, tuple[float, float, float]]:
    """Kind -> (balanced accuracy on held-out cells, and its 95% interval)."""
    found = dict[str, tuple[float, float, float]]()
    for kind, places in world.belt.held.items():
        said, truth = ask(places)[0], world.belt.every.labels[places]
        found[kind] = (balanced(said, truth), *interval(said, truth, places))
    return found


def spans(story: Story) -> list[tuple[str, float, float]]:
    """Acts with their begin and end."""
    ends = [began for _, began in story.acts[1:]] + [max([story.acts[-1][1], *(row.at_s for row in story.figures["rows"])]) + 0.01]
    return [(name, began, end) for (name, began), end in zip(story.acts, ends, strict=True)]


def by_act(story: Story) -> list[tuple[str, int, dict[str, float]]]:
    """(act, cells at the server, balanced accuracies and shares)."""
    served = [row for row in story.figures["rows"] if row.where == "server"]
    at = np.array([row.at_s for row in served])
    truth, final, model = (np.array([getattr(row, name) for row in served]) for name in ("truth", "final", "model"))
    alone, poly = np.array([row.alone for row in served]), np.array([row.kind == "poly" for row in served])
    found = list[tuple[str, int, dict[str, float]]]()
    for name, began, end in spans(story):
        inside = (at >= began) & (at < end)
        if inside.any():
            found.append((name, int(inside.sum()), {
                "poly": float(poly[inside].mean()), "alone": float(alone[inside].mean()), "with": balanced(final[inside], truth[inside]),
                "model": balanced(model[inside], truth[inside]), "without": balanced(story.figures["without"][inside], truth[inside]),
                "old": balanced(story.figures["old"][inside], truth[inside]),
            }))  # fmt: skip
    return found


def rolling(at: Sequence[float], said: NDArray[Any], truth: NDArray[Any], window: int = WINDOW) -> tuple[list[float], list[float]]:
    """(times, balanced accuracy of the `window` cells around each)."""
    xs, ys = list[float](), list[float]()
    for end in range(window, len(said) + 1, 4):
        part = slice(end - window, end)
        xs.append(float(np.mean(at[part])))
        ys.append(balanced(said[part], truth[part]))
    return xs, ys


def succeeded(story: Story) -> bool:
    """No request failed, no record was lost."""
    return not story.figures["failed"] and not story.figures["lost"] and not story.figures["device_lost"]


def table(story: Story) -> str:
    """For the terminal."""
    found = story.figures
    lines = [f"{'act':38}{'cells':>6}{'poly':>6}{'model alone':>13}{'answers':>9}{'model':>7}{'no loop':>9}{'old model':>11}"]
    lines += [f"{name:38}{count:>6}{held['poly']:>6.0%}{held['alone']:>13.0%}{held['with']:>9.2f}{held['model']:>7.2f}"
              f"{held['without']:>9.2f}{held['old']:>11.2f}" for name, count, held in by_act(story)]  # fmt: skip
    lines += ["", "balanced accuracy: of the answers callers got in the end, of the model that was asked, of the same cells without the",
              "loop (the first version, its dial never touched, people where it was not sure), and of the first version alone", "",
              f"{'held-out cells, balanced accuracy':38}{'mono':>22}{'poly':>22}"]  # fmt: skip
    lines += [f"{name:38}{_figure(held['mono']):>22}{_figure(held['poly']):>22}" for name, held in found["held"].items()]
    lines += ["", *(f"{name}: {value}" for name, value in closing(found).items())]
    if hands := story.by_hand():
        lines += ["", "done by hand:", *(f"  {text}" for text in hands)]
    return "\n".join(lines)


def closing(found: Mapping[str, Any]) -> dict[str, str]:
    """Counts of the end."""
    return {
        "requests": f"{found['sent']}, {found['failed']} failed",
        "records lost": f"{found['lost']} of the server's {found['sent']}, {found['device_lost']} of the device's {found['device_taken']}"
        f" (without a network for {found['offline_s']:.0f} s, power cut {found['killed']} times)",
        "people's decisions": f"{found['decisions']}; without the loop {found['without_people']}. No people took part: true labels, 3% of "
        "which were turned round at random, stand in for them",
    }  # fmt: skip


def _figure(held: tuple[float, float, float]) -> str:
    return f"{held[0]:.3f} ({held[1]:.2f} to {held[2]:.2f})"
