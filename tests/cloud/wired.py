"""A small package that takes what people send (a photo, a colour, numbers), and a deployment of it beside another one."""

from pathlib import Path

import numpy as np
import packages

from portside.sdk.core.codec.category import Categories
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.codec.image import Image
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Annotations, Content, Stage
from portside.sdk.core.package import write
from portside.sdk.core.signature import Signature, TensorSpec

SOURCE = '''"""The mean of a photo, times the sum of two numbers; large where it is above 100 and the colour is red."""
import numpy as np


def answer(photo, colour, size):
    mean = photo.mean(axis=(1, 2, 3)) * size.sum(axis=1)
    return {"mean": mean.astype(np.float32), "name": ((mean > 100) & (colour == 0)).astype(np.int32)}
'''
CODEC = Codec.of({"photo": Image(size=(4, 4)), "colour": Categories(["red", "blue"])})
SIGNATURE = Signature(
    inputs=(
        TensorSpec("photo", "u8", ("batch", 4, 4, 3)),
        TensorSpec("colour", "i32", ("batch",), categories=("red", "blue")),
        TensorSpec("size", "f32", ("batch", 2)),
    ),
    outputs=(
        TensorSpec("mean", "f32", ("batch",), kind="value"),
        TensorSpec("name", "i64", ("batch",), categories=("small", "large"), kind="decision"),
    ),
)


def wired_package(out):
    """The package, with a contract of 32 rows that its own source made."""
    space, dice = {}, np.random.default_rng(0)
    exec(SOURCE, space)  # noqa: S102  our own text above
    inputs = {
        "photo": dice.integers(0, 255, (32, 4, 4, 3), dtype=np.uint8), "colour": dice.integers(0, 2, 32, dtype=np.int32),
        "size": dice.uniform(0, 1, (32, 2)).astype(np.float32),
    }  # fmt: skip
    outputs = {key: value.astype(np.int64) if key == "name" else value for key, value in space["answer"](**inputs).items()}
    head, tensors = Contract((Case(inputs, outputs, why=("random",) * 32),), {"mean": Rule("value"), "name": Rule("decision")}).to_bytes()
    stage = Stage("host", "answer", "host/00-answer.py", tuple(inputs), ("mean", "name"), function="answer")
    files = {"host/00-answer.py": SOURCE.encode(), CONTRACT: head, CONTRACT_TENSORS: tensors, **CODEC.files}
    content = Content(signature=SIGNATURE, stages=(stage,), files={}, codec=CODEC.steps)
    return write(content, files, Path(out), Annotations(name="wired"), trusted=True)


DEPLOYMENT = """name = "{name}"

[champion]
package = "{package}"
isolation = "inline"
trust = true

[server]
max_body_mb = {megabytes}

[records]
enabled = false
"""


def deployments(folder):
    """Three deployment files in a folder: wired, and two versions of cell-inspector."""
    folder = Path(folder)
    wired_package(folder / "wired")
    packages.host_package(folder / "main")
    packages.host_package(folder / "backup", packages.BACKUP, "backup")
    for file, name, package in (("a", "wired", "wired"), ("b", "cell-inspector", "main"), ("c", "cell-inspector", "backup")):
        (folder / f"{file}.toml").write_text(DEPLOYMENT.format(name=name, package=package, megabytes=4))
    return folder
