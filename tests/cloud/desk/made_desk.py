"""A desk over a small database, in front of it the doors of a server without a model."""

import random

import numpy as np
from made_host import send

from portside.cloud.deployment.file import read
from portside.cloud.desk.apart import NoModel
from portside.cloud.desk.desk import Desk
from portside.cloud.desk.mounting import mount
from portside.cloud.doors.hosts import Hosts
from portside.cloud.doors.http_app import HttpApp
from portside.cloud.records.database import Database
from portside.cloud.records.introducing import introduce
from portside.cloud.records.store import Draft, RecordStore
from portside.cloud.security.access import KeyGuard
from portside.cloud.security.key_file import KeyFile, write
from portside.sdk.core.records import Receipt, Record, uuid7
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(
        TensorSpec("size", "f32", ("batch",)),
        TensorSpec("colour", "i32", ("batch",), categories=("red", "blue")),
        TensorSpec("name", "string", ("batch",), redact=True),
    ),
    outputs=(TensorSpec("label", "i64", ("batch",), categories=("good", "bad"), kind="decision"), TensorSpec("price", "f32", ("batch",))),
)
BEGAN = 1_760_000_000_000


def deployments(folder, *names, text=""):
    """Deployment files beside each other, which write to one database."""
    found = []
    for name in names or ("cells",):
        file = folder / f"{name}.toml"
        file.write_text(f'name = "{name}"\n[champion]\npackage = "x"\n{text}')
        found.append(read(file))
    return found


def drafts(count, name="cells", digest="sha256:d", seed=1, rows=1, entity=None, step_ms=60_000):
    """Records of a made-up server, one a minute."""
    chance = random.Random(seed)
    for place in range(count):
        moment = BEGAN + place * step_ms
        number = uuid7(moment, chance.randbytes(10))
        late, backup = chance.random() < 0.2, chance.random() < 0.3
        receipt = Receipt(
            "backup" if backup else "main", "", "onnx-cpu", int(backup), "deadline" if backup else "primary", (), 5.0, 3.0, 50.0, not late
        )
        record = Record(
            number,
            moment,
            moment,
            entity=entity or f"e{place % 5}",
            deployment=digest,
            name=name,
            arm="fallback" if backup else "champion",
            receipt=receipt.to_dict(),
            flags=({"field": "size", "why": "range", "row": 0},) if chance.random() < 0.1 else (),
        )
        inputs = {
            "size": np.full(rows, place, np.float32),
            "colour": np.full(rows, place % 2, np.int32),
            "name": np.array(["secret"] * rows, object),
        }
        outputs = {"label": np.full(rows, place % 3 == 0, np.int64), "price": np.full(rows, 1.5, np.float32)}
        yield Draft(record, inputs, outputs, SIGNATURE)


def fill(folder, made, where=None):
    """Write drafts; their records' ids in order."""
    where = where or folder / "records.sqlite"
    made = list(made)
    with Database.open(where) as database:
        for name, digest in {(draft.record.name, draft.record.deployment) for draft in made}:
            introduce(database, name, digest, SIGNATURE)
    store = RecordStore(where, len(made) + 1)
    for draft in made:
        store.put(draft)
    assert store.flush() and not store.lost, store.fault
    store.close()
    return [draft.record.id for draft in made]


class Doors:
    """The doors, and how tests ask them."""

    def __init__(self, desk, keys=None):
        guards = () if keys is None else (KeyGuard(KeyFile(keys), lambda path: "none", desk=True),)
        self.desk, self.app = desk, HttpApp(Hosts((NoModel("none"),)), guards=guards)
        mount(self.app.routes, desk)

    def get(self, path, key=None, **headers):
        return self.ask("GET", path, key, headers=headers)

    def post(self, path, data, key=None, **headers):
        return self.ask("POST", path, key, json=data, headers=headers)

    def ask(self, method, path, key=None, headers=None, **rest):
        shown = {"authorization": f"Bearer {key}"} if key else {}
        named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        return send(self.app, method, path, headers={"host": "localhost", **shown, **named}, **rest)


def doors(folder, *names, keys=None):
    """Doors over the folder's database; `keys`: (Key, text) pairs that are asked for."""
    if keys is not None:
        write(folder / "keys.json", [key for key, _ in keys])
    held = deployments(folder, *names)
    return Doors(Desk(folder / "records.sqlite", held, local=keys is None), folder / "keys.json" if keys is not None else None)
