"""The loop closes, on real photographs of solar cells, in one command.

    python examples/closed_loop/run.py            # the first half of `make loop`
    python examples/closed_loop/run.py --short    # a cheap model and fewer cells, for the tests
    python examples/closed_loop/rainfall.py       # the second story: 50 years of weather whose columns are mixed up at row 12,000

A model that was trained on mono cells is served; poly cells begin to arrive. What happens then is told on stderr as it happens, and at the
end by `timeline.html`. Everything lands in `out/closed_loop/`: store, deployment, records, releases, the device, logs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "visual_inspection"))

import acts  # noqa: E402
import afield  # noqa: E402
import cells  # noqa: E402
import figures  # noqa: E402
import timeline  # noqa: E402
from belt import belt  # noqa: E402
from device import Publisher, field  # noqa: E402
from plant import Plant  # noqa: E402
from server import serving  # noqa: E402
from story import Story  # noqa: E402

OUT = HERE.parents[1] / "out" / "closed_loop"
FULL = acts.Plan(per_s=8.0, each_s=0.1, calm=200, sure=80, shift=(20, 140), label=(10, 130), more=(10, 70),
                 rollout=(30, 480), after=(15, 80))  # fmt: skip
SHORT = acts.Plan(per_s=16.0, each_s=0.02, calm=140, sure=40, shift=(20, 120), label=(10, 120), more=(10, 70),
                  rollout=(20, 400), after=(10, 50), field_s=8.0, patience_s=75.0, small=True)  # fmt: skip


def play(plan: acts.Plan, seed: int, out: Path) -> Story:
    """All acts."""
    shutil.rmtree(out, ignore_errors=True)
    (out / "home").mkdir(parents=True)
    shutil.copy(HERE / "deployment.toml", out / "deployment.toml")
    story, plant = Story(out), Plant(out)
    os.environ["PORTSIDE_HOME"] = str(plant.home)  # also of what is packed here: nothing of the user's store is touched
    every = cells.load()
    world = acts.World(plan, story, plant, belt(every, seed), seed)
    acts.teach_first(world)
    publisher = Publisher(plant)
    built = acts.Later(lambda: acts.build_first(publisher))
    with serving(plant.deployment, out / "server.log", plant.environment) as server:
        plant.port = server.port
        with acts.watched(world), acts.people(world), field(plant, publisher.repository) as device:
            acts.calm(world)
            afield.deliver(world, device, publisher, built.wait())
            acts.sure(world)
            with afield.photographing(world, device):
                acts.shift(world)
                candidate = acts.retrain(world)
                afield.update(world, publisher, acts.release(world, publisher, candidate), candidate)
                acts.after(world)
                afield.called_home(world, device)
            afield.all_home(world, device)
    story.figures |= figures.measured(world)
    return story


def main() -> int:
    """Run the story; exit 1 when a request failed or a record was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="the cheap model, fewer cells")
    parser.add_argument("--seed", type=int, default=5, help="which modules teach, arrive and are held out (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of everything (replaced)")
    asked = parser.parse_args()
    story = play(SHORT if asked.short else FULL, asked.seed, asked.out.resolve())
    print(figures.table(story))
    print(f"\ntimeline: {timeline.write(story)}")
    return 0 if figures.succeeded(story) else 1


if __name__ == "__main__":
    sys.exit(main())
