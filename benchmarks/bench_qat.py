"""Quantization-aware training against quantizing alone: held-out digits, onnx-cpu, the same extra epochs for the float model.

Three small networks; five seeds divide the digits and train anew. "stretched" has the first channel of each depthwise
convolution made 64 times as large and the weights that read it as much smaller: in float the same answers, in int8 the outlier that such
layers are known for. Of every way the digit that lost most against the float model of its seed is told.

    python benchmarks/bench_qat.py [--short] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import digit_nets
import numpy as np
import torch
from bench_precision import kept
from intervals import Row, figure, over_seeds
from sklearn.datasets import load_digits

import portside as ps
from portside.compress.base import PassContext
from portside.compress.qat import LR_SHARE
from portside.compress.training.batches import Batches
from portside.compress.training.fit import Fit
from portside.compress.training.retrace import repacked
from portside.compress.training.stored import trainee_of
from portside.runtimes.base import CompileOptions, runtime
from portside.runtimes.loading import load
from portside.runtimes.timing import table
from portside.sdk.core.package import Package
from portside.sdk.core.statistics import paired_difference

SEEDS = (0, 1, 2, 3, 4)
LEARN = 1200
SCHEDULE = ps.Schedule(epochs=12, batch=64, lr=4e-3)
EXTRA = 4
"""Epochs after the full training: of QAT, and of the float model before it is quantized."""
CASES = ("residual, per tensor", "residual", "stretched")
WAYS = ("float", "float + epochs", "PTQ", "float + epochs, PTQ", "QAT, moving ranges", "QAT")
AGAINST = ("float + epochs, PTQ", "QAT, moving ranges")


@dataclass(frozen=True)
class Case:
    """A network to train, what is done to it afterwards, and whether weights have scales of their own per channel."""

    factory: Callable[..., torch.nn.Module]
    after: Callable[[Any], torch.nn.Module] = lambda model: model
    per_channel: bool = True


_CASES = {
    "residual, per tensor": Case(digit_nets.residual, per_channel=False),
    "residual": Case(digit_nets.residual),
    "stretched": Case(digit_nets.separable, lambda model: digit_nets.stretched(model, 64.0)),
}


def measure(short: bool = False, file: Path | None = None) -> list[dict[str, Any]]:
    """One row per network, seed and way: accuracy and log loss on 597 digits; `short`: the first seed alone; `file`: see `kept`."""
    return kept((row for name in CASES for seed in SEEDS[: 1 if short else None] for row in _rows(name, seed)), file)


def _rows(name: str, seed: int) -> Iterator[dict[str, Any]]:
    case, (learn, held) = _CASES[name], _parts(seed)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        package = _packed(case, learn, seed, folder / "float")
        longer = _longer(package, learn, PassContext(folder / "longer", seed))
        lower = ps.Quantize("int8-static", per_channel=case.per_channel)
        learned = ps.QAT(epochs=EXTRA, per_channel=case.per_channel)
        rounded = {"QAT, moving ranges": replace(learned, ranges="moving"), "QAT": learned}
        made = {
            "float": package, "float + epochs": longer, "PTQ": lower.run(package, learn, PassContext(folder / "ptq", seed)),
            "float + epochs, PTQ": lower.run(longer, learn, PassContext(folder / "longer-ptq", seed)),
            **{way: step.run(package, learn, PassContext(folder / way, seed)) for way, step in rounded.items()},
        }  # fmt: skip
        before: Any = None
        for way, held_package in made.items():
            figures, right = _judged(held_package, held, folder / f"artifact-{way}")
            before = right if before is None else before  # the float model comes first
            yield {"network": name, "seed": seed, "way": way, **figures, **_lost(before, right, np.asarray(held.labels))}


def _parts(seed: int) -> tuple[ps.Data, ps.Data]:
    digits: Any = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    x, y = digits.data.astype(np.float32), digits.target.astype(np.int64)
    one, other = (ps.Data({"image": x[rows]}, labels=y[rows]) for rows in (order[:LEARN], order[LEARN:]))
    return one, other


def _packed(case: Case, learn: ps.Data, seed: int, out: Path) -> Package:
    """The network fully trained, and packed."""
    torch.manual_seed(seed)
    model, schedule = case.factory(), SCHEDULE
    x, y = digit_nets.featurize(torch.from_numpy(learn.inputs["image"])), torch.from_numpy(np.asarray(learn.labels))
    optimizer = torch.optim.AdamW(model.parameters(), schedule.lr, weight_decay=0)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, int(schedule.epochs))
    for _ in range(int(schedule.epochs)):
        for rows in torch.randperm(len(y)).split(schedule.batch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        slower.step()
    examples = {"image": learn.inputs["image"][:64]}
    ps.pack(case.after(model).eval(), name="digits", featurize=digit_nets.featurize, predict=digit_nets.predict, examples=examples, out=out,
            training=ps.Training(case.factory, schedule=schedule))  # fmt: skip
    return ps.open(out, trust=True)


def _longer(package: Package, learn: ps.Data, context: PassContext) -> Package:
    """The float model after the epochs and at the learning rate that QAT has."""
    trainee = trainee_of(package)
    schedule = replace(SCHEDULE, epochs=EXTRA, lr=SCHEDULE.lr * LR_SHARE)
    Fit(trainee.model, lambda batch: trainee.loss(trainee.model(*batch.features), batch.required()),
        Batches(package, trainee, learn), schedule, context).run()  # fmt: skip
    return repacked(package, trainee, {"kind": "longer"}, context)


def _judged(package: Package, held: ps.Data, out: Path) -> tuple[dict[str, float], Any]:
    """(accuracy and log loss, which rows are right)."""
    artifact = runtime("onnx-cpu").compile(package, CompileOptions(verify=False), out)
    with closing(load(artifact)) as session:
        answers = session.predict(held.inputs)
    labels = np.asarray(held.labels)
    chances = np.asarray(answers["probabilities"])[np.arange(len(labels)), labels]
    right = np.asarray(answers["digit"]) == labels
    return {"accuracy": float(right.mean()), "log_loss": float(-np.log(np.maximum(chances, 1e-7)).mean())}, right


def _lost(before: Any, after: Any, labels: Any) -> dict[str, Any]:
    """Share of each digit's rows that is right no more, less what now is; the digit that loses most, paired by row."""
    lost = {f"{digit}": float(before[labels == digit].mean() - after[labels == digit].mean()) for digit in range(10)}
    worst = max(lost, key=lambda digit: lost[digit])
    mine = labels == int(worst)
    return {"classes": lost, "worst": worst, "worst_lost": paired_difference(before[mine], after[mine]).to_dict()}


def gain(rows: Sequence[dict[str, Any]], network: str, figure: str, against: str) -> tuple[float, float, float]:
    """(mean, low, high) of QAT minus another way: paired by seed, 95% by Student's t."""
    held = {way: [row[figure] for row in rows if (row["network"], row["way"]) == (network, way)] for way in ("QAT", against)}
    return over_seeds(np.subtract(held["QAT"], held[against]))


def show(rows: list[dict[str, Any]]) -> str:
    """Means over seeds, and QAT's paired gain with its interval."""
    lines = [["network", "way", "accuracy", "log loss"]]
    for network in CASES:
        for way in WAYS:
            held = [row for row in rows if (row["network"], row["way"]) == (network, way)]
            lines.append([network, way, f"{mean(row['accuracy'] for row in held):.2%}", f"{mean(row['log_loss'] for row in held):.4f}"])
    gains = [["network", "QAT less", "accuracy, points", "(95%)", "log loss", "(95%)"]]
    for network in CASES:
        for against in AGAINST:
            one, other = (gain(rows, network, figure, against) for figure in ("accuracy", "log_loss"))
            gains.append([network, against, f"{100 * one[0]:+.2f}", f"({100 * one[1]:+.2f} to {100 * one[2]:+.2f})", f"{other[0]:+.4f}",
                          f"({other[1]:+.4f} to {other[2]:+.4f})"])  # fmt: skip
    return f"{table(lines)}\n\n{table(gains)}\n\n{table(_worst(rows))}"


def plot(rows: Sequence[dict[str, Any]]) -> str:
    """What QAT gains on the ways that it is held against, over seeds."""
    named = {(row["network"], row["way"]) for row in rows}
    pairs = [(network, against) for network in CASES for against in AGAINST if (network, against) in named]
    drawn = [Row(f"{network}, less {way}", *(100 * value for value in gain(rows, network, "accuracy", way))) for network, way in pairs]
    return figure("points of accuracy that QAT gains, 95% over seeds", drawn)


def _worst(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Per way the digit that loses most in the mean over seeds, in points, 95% over seeds; rows of earlier runs do not tell."""
    lines = [["network", "way", "worst digit", "lost to float, points", "(95% over seeds)"]]
    for network, way in ((network, way) for network in CASES for way in WAYS[1:]):
        held = [row["classes"] for row in rows if (row["network"], row["way"]) == (network, way) and "classes" in row]
        if held:
            digit = max(held[0], key=lambda name: mean(row[name] for row in held))
            value, low, high = over_seeds([100 * row[digit] for row in held])
            lines.append([network, way, digit, f"{value:+.1f}", f"({low:+.1f} to {high:+.1f})"])
    return lines


def main() -> None:
    """By itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="one seed")
    parser.add_argument("--json", type=Path, help="where the rows go")
    asked = parser.parse_args()
    print(show(measure(asked.short, asked.json)))


if __name__ == "__main__":
    sys.exit(main())
