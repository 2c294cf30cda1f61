"""The training command of the plant: it is told where the labelled rows are, and leaves a package.

    PORTSIDE_DATASET=datasets/cells/... PORTSIDE_OUT=candidate python teach.py --base base.npz [--small]

Stateless: the head is fitted anew, on the cells of the first model and on what people have labelled since. The rest is frozen, so that
of the first cells the features are kept. `--small` takes the cheap model of the factory story (boosted trees on a thumbnail), for short
runs.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "visual_inspection"))

import backup  # noqa: E402
import cells  # noqa: E402
import inspector  # noqa: E402

import portside as ps  # noqa: E402

LICENCE = "CC-BY-NC-SA-4.0"
EXAMPLES = 160
"""Cells that did not teach the model, whose figures travel in the package: its contract, and what is usual."""


def features(images: NDArray[np.uint8], small: bool) -> NDArray[Any]:
    """What the model's frozen part makes of cells, a row each; `small`: of the factory's backup."""
    if not small:
        return inspector.embed(inspector.backbone(), images, batch=4)  # memory of 32 would be fetched anew each time
    with torch.no_grad():
        return backup.featurize(torch.from_numpy(images)).numpy()


def fitted(found: NDArray[Any], labels: NDArray[np.int64], small: bool) -> Any:
    """A model of these features; `small`: a third of the trees of the factory's backup."""
    if not small:
        return inspector.fit(inspector.backbone(), found, labels)
    trees = HistGradientBoostingClassifier(max_iter=40, learning_rate=0.15, class_weight="balanced", random_state=0)
    return trees.fit(found, labels)


def packed(model: Any, small: bool, images: NDArray[np.uint8], labels: NDArray[np.int64], out: Path) -> ps.Package:
    """The package: the model with its featurize and predict, and cells that did not teach it: its contract, its profile, its evidence."""
    module = backup if small else inspector
    chosen = np.random.default_rng(0).permutation(len(labels))[:EXAMPLES]  # of cells that did not teach it
    evidence = ps.Data(inputs={"image": images}, labels=labels)
    codec = {"image": ps.codec.Image(size=(300, 300), mode="L"), "label": ps.codec.Categories(cells.LABELS)}
    return ps.pack(model, name="cell-inspector", featurize=module.featurize, predict=module.predict, examples={"image": images[chosen]},
                   labels=labels[chosen], codec=codec, licence=LICENCE, evidence=evidence, out=out)  # fmt: skip


def decoded(rows: ps.Data) -> NDArray[np.uint8]:
    """Pictures as they came, to (rows, 300, 300)."""
    return np.stack([np.asarray(Image.open(io.BytesIO(picture)).convert("L")) for picture in rows.inputs["image"]])


def main() -> int:
    """Train on the base and the dataset, pack, leave it at PORTSIDE_OUT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="features and labels of the first model's cells, as .npz")
    parser.add_argument("--small", action="store_true", help="the cheap model")
    asked = parser.parse_args()
    held, base = ps.dataset(os.environ["PORTSIDE_DATASET"]), np.load(asked.base)
    rows, rest = held.data("train", output="label"), held.data("test", output="label")
    found = np.concatenate([base["features"], features(decoded(rows), asked.small)])
    labels = np.concatenate([base["labels"], np.asarray(rows.labels, np.int64)])
    print(f"{len(base['labels'])} cells of the first model, {len(labels) - len(base['labels'])} labelled since")
    out = Path(os.environ["PORTSIDE_OUT"])
    packed(fitted(found, labels, asked.small), asked.small, decoded(rest), np.asarray(rest.labels, np.int64), out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
