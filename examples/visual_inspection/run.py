"""The factory story, start to end: train, pack, verify, serve, break the main model, watch the backup answer.

    python examples/visual_inspection/run.py            # everything, on all cells
    python examples/visual_inspection/run.py --short    # the same story on fewer cells (what `make demo` runs)

Everything lands in `out/visual_inspection/`: two packages, the deployment, the server's log, and `report.html`.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import backup
import cells
import inspector
import numpy as np
import psutil
import report
from server import Answer, Server, png, serving

import portside as ps

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "out" / "visual_inspection"
LICENCE = "CC-BY-NC-SA-4.0"


@dataclass
class Story:
    """What happened, for the table and the report."""

    out: Path
    train: cells.Cells
    test: cells.Cells
    packages: dict[str, ps.Package] = field(default_factory=dict)
    verified: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, Any] = field(default_factory=dict)
    acts: dict[str, list[Answer]] = field(default_factory=dict)
    recovery_s: dict[str, float] = field(default_factory=dict)


def say(text: str) -> None:
    """A line of progress, with the time since the start."""
    print(f"[{time.monotonic() - STARTED:5.1f} s] {text}", file=sys.stderr, flush=True)


def begin(short: bool, out: Path) -> Story:
    """Load and split the cells; in the short form, thin both parts."""
    train, test = cells.split(cells.load())
    if short:
        train, test = cells.thin(train, 500), cells.thin(test, 320)
    say(f"{len(train)} cells to train on, {len(test)} held out; no block of {cells.BLOCK} neighbouring files is in both")
    shutil.rmtree(out, ignore_errors=True)
    (out / "packages").mkdir(parents=True)
    for name in ("deployment.toml", "service.py"):
        shutil.copy(HERE / name, out / name)
    return Story(out, train, test)


def pack(story: Story) -> None:
    """Train both models and pack each once, with its featurize and predict functions."""
    train, test = story.train, cells.thin(story.test, len(story.test), seed=1)
    evidence = ps.Data(inputs={"image": test.images}, labels=test.labels, slices={"cell": test.types})
    shared: dict[str, Any] = {
        "examples": {"image": test.images[:64]}, "labels": test.labels[:64], "slices": {"cell": test.types[:64]},
        "codec": {"image": ps.codec.Image(size=(300, 300), mode="L"), "label": ps.codec.Categories(cells.LABELS)}, "licence": LICENCE,
    }  # fmt: skip
    for name, module in (("cell-inspector", inspector), ("cell-inspector-small", backup)):
        say(f"training {name}")
        model = module.train(train.images, train.labels)
        say(f"packing {name}: tracing featurize, model and predict into one program, checking it against the source")
        story.packages[name] = ps.pack(model, name=name, featurize=module.featurize, predict=module.predict,
                                       out=story.out / "packages" / name, **shared)  # fmt: skip
        say(f"verifying {name} on onnx-cpu, and its quality on held-out cells")
        story.verified[name] = ps.verify(story.packages[name], evidence, targets=["onnx-cpu"])
        story.quality[name] = ps.evaluate(story.packages[name], evidence)
        story.timings[name] = ps.bench(ps.compile(story.packages[name], target="onnx-cpu"))


def serve(story: Story, calls: int) -> None:
    """Five acts in front of one running server."""
    images = [png(story.test.images[row % len(story.test)]) for row in range(calls)]
    say("starting `portside serve`")
    with serving(story.out / "deployment.toml", story.out / "server.log") as server:
        server.ask_many(images[:16])
        act(story, server, "healthy", images)
        worker = server.worker()
        say("wedging the main model: its process is stopped in the middle of the calls")
        worker.send_signal(signal.SIGSTOP)
        act(story, server, "main model wedged", images)
        with contextlib.suppress(psutil.NoSuchProcess):  # a worker that stays deaf is killed and started again
            worker.send_signal(signal.SIGCONT)
        story.recovery_s["wedged"] = server.wait_for_main(images[0])
        say(f"main model is back after {story.recovery_s['wedged']:.1f} s")
        act(story, server, "main model back", images)
        say("killing the main model's process")
        server.worker().kill()
        act(story, server, "main model killed", images)
        story.recovery_s["killed"] = server.wait_for_main(images[0])
        act(story, server, "main model restarted", images)


def act(story: Story, server: Server, name: str, images: list[bytes]) -> None:
    """Send every image with 8 clients and keep the answers."""
    answers = server.ask_many(images)
    story.acts[name] = answers
    failed = sum(answer.status != 200 for answer in answers)
    by = {model: sum(a.receipt.get("model") == model for a in answers) for model in {a.receipt.get("model") for a in answers}}
    waited = np.percentile([answer.waited_ms for answer in answers], 99)
    say(f"{name}: {len(answers)} requests, {failed} failed, p99 {waited:.0f} ms, answered by {by}")


def main() -> int:
    """Run the story; exit 1 when a request failed or a verification did not pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer cells and calls, for `make demo`")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for packages, log and report (replaced)")
    arguments = parser.parse_args()
    story = begin(arguments.short, arguments.out)
    pack(story)
    serve(story, calls=160 if arguments.short else 1000)
    print(report.table(story))
    print(f"\nreport: {report.write(story)}")
    return 0 if report.succeeded(story) else 1


STARTED = time.monotonic()
if __name__ == "__main__":
    sys.exit(main())
