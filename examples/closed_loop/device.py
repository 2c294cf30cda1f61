"""A camera in the field: a real agent in a process of its own, behind a cable that is unplugged half of the time.

It takes photographs from a folder, answers on its own, and tells the server when there is a network. Releases come signed, from a plain
web server that owns no key.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cable import Cable, web
from plant import NAME, Plant

DEVICE, PLATFORM = "cam-7", "tflite"
AGENT = """name = "{name}"
device = "{device}"
folder = "state"

[failover]
deadline_ms = 4000
[[failover.chain]]
slot = true
[[failover.chain]]
default = {{ label = "defective", defect = 0.5 }}

[outbox]
records = "whole"

[upload]
url = "http://127.0.0.1:{cloud}"
key_file = "device.key"
every_s = 1

[updates]
mirror = "http://127.0.0.1:{mirror}/"
root = "1.root.json"
name = "{name}"
platform = "{platform}"
every_s = 3
follow = "server"
# The release that is to come is meant to answer differently: the one before is wrong on half of the new cells. The server has judged it on
# labels; here it has to keep its contract, and to give the label of the old one on a tenth of the rows at least. Scores always differ.
max_disagreement = 0.9
agree = ["label"]
"""


class Publisher:
    """Keys, and a repository of signed releases in the plant's folder. Keys lie unsealed on the disk: a story, not a way to keep them."""

    def __init__(self, plant: Plant) -> None:
        self._plant, self.repository = plant, plant.folder / "releases"

    def begin(self) -> None:
        """Keys of three people for the root, of the releaser, and of the machine that renews; an empty list of releases."""
        keys = ("root-ana", "root-ben", "root-cleo", "targets", "online")
        self._plant.run("sign", "keys", *keys, "--folder", "keys", "--unsealed")
        given = [word for name in keys[:3] for word in ("--root", f"keys/{name}.pub")]
        signing = [word for name in ("root-ana", "root-ben", "targets", "online") for word in ("--key", f"keys/{name}.pem")]
        self._plant.run("sign", "init", "releases", *given, "--targets", "keys/targets.pub", "--online", "keys/online.pub", *signing)

    def build(self, reference: str) -> tuple[str, Path]:
        """Compile this package for the device and make a release of it; (its digest, the artifact)."""
        artifact = self._plant.folder / "dist" / reference.replace(":", "-")
        self._plant.run("compile", reference, "--target", PLATFORM, "--out", artifact)
        return _digest(self._plant.run("release", artifact).data), artifact

    def publish(self, reference: str) -> int:
        """Sign the release of this package; its number."""
        self._plant.run("sign", "publish", "releases", reference, "--key", "keys/targets.pem", "--key", "keys/online.pem")
        return max(one["sequence"] for one in self._plant.run("sign", "status", "releases").data["releases"])


class Device:
    """The agent, and the cable to it.

    Attributes:
        shots: folder of its photographs.
        taken: cells that it was shown.
        killed: how often its power was cut.
    """

    def __init__(self, plant: Plant, cloud: Cable, mirror: Cable) -> None:
        self._plant, self._cables = plant, (cloud, mirror)
        self.folder = plant.folder / DEVICE
        self.shots = self.folder / "shots"
        self.taken, self.killed = list[int](), 0
        self._process: subprocess.Popen[bytes] | None = None
        self.shots.mkdir(parents=True)
        settings = AGENT.format(name=NAME, device=DEVICE, platform=PLATFORM, cloud=cloud.port, mirror=mirror.port)
        (self.folder / "agent.toml").write_text(settings)

    @property
    def plugged(self) -> bool:
        """Whether it has a network."""
        return self._cables[0].plugged

    @property
    def offline_s(self) -> float:
        """How long it had none."""
        return self._cables[0].offline_s

    def deliver(self, key: str, root: Path, artifact: Path, number: int) -> None:
        """As it leaves the factory: its key, the root it trusts, its first release."""
        (self.folder / "device.key").write_text(key)
        (self.folder / "1.root.json").write_bytes(root.read_bytes())
        self._plant.run("edge", "install", self.folder / "agent.toml", artifact, "--number", str(number))

    def start(self) -> None:
        """The agent, until it is stopped or killed."""
        command = [sys.executable, "-m", "portside", "edge", "run", str(self.folder / "agent.toml"), "--source", f"folder:{self.shots}"]
        with (self.folder / "answers.jsonl").open("ab") as answers, (self.folder / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=answers, stderr=log, env=self._plant.environment)

    def photograph(self, cell: int, picture: bytes) -> None:
        """Another cell in front of it."""
        said = {"inputs": {"image": [base64.b64encode(picture).decode()]}, "entity": f"cell-{cell}"}
        draft = self.shots / f".{cell}.json"
        draft.write_text(json.dumps(said))
        os.replace(draft, self.shots / f"cell-{cell:04d}.json")
        self.taken.append(cell)

    def cut_power(self) -> None:
        """kill -9, and on again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.killed += 1
        self.start()

    def online(self, yes: bool) -> None:
        """Plug or unplug it."""
        for cable in self._cables:
            if yes:
                cable.plug()
            elif cable.plugged:
                cable.unplug()

    def stop(self) -> None:
        """In order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def status(self) -> Mapping[str, Any]:
        """As it says itself."""
        return self._plant.run("edge", "status", self.folder / "agent.toml", fails=True).data


@contextmanager
def field(plant: Plant, repository: Path) -> Iterator[Device]:
    """A device with its cables; it is stopped whatever happens."""
    with web(repository) as mirror:
        cables = Cable(plant.port), Cable(mirror)
        device = Device(plant, *cables)
        try:
            yield device
        finally:
            device.stop()
            for cable in cables:
                cable.close()


def _digest(release: Any) -> str:
    """Of the release that `portside release` printed."""
    found = release.get("digest") or release.get("release")
    if not isinstance(found, str):
        raise RuntimeError(f"portside release printed no digest: {release}")
    return found
