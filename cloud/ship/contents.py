"""What a shipped deployment holds: its packages and compiled artifacts as folders, and a deployment file that pins them.

No store, no home folder, no evidence and no secrets: packages do not hold the rows they were judged on, and the files of keys and
certificates stay where they are. The shipped file names them below `secrets/`, where they are put when it is served.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel

from ...sdk.opening import open as open_package
from ..deployment.automation import Automation
from ..deployment.failover import Precomputed
from ..deployment.file import Deployment
from ..deployment.resolving import reference_of, resolve_model
from ..deployment.rollout import Rollout
from ..deployment.sections import Link, Model

SECRETS, DATA = "secrets", "data"
FILE = "deployment.toml"


@dataclass
class _Shipment:
    """Collects while the sections are walked. `needs`: runtimes, forms of tables and databases, whose libraries the receiver needs."""

    deployment: Deployment
    folder: Path
    needs: set[str] = field(default_factory=set[str])


@dataclass(frozen=True)
class Contents:
    """A folder that can be served: its deployment file, the runtimes and forms of tables it needs."""

    folder: Path
    file: Path
    needs: tuple[str, ...]


def collect(deployment: Deployment, folder: Path, insecure_public: bool = False) -> Contents:
    """Copy everything that a deployment needs into a folder, and write its file there.

    Args:
        deployment: read.
        folder: exists and is empty.
        insecure_public: the shipped file says so.

    Raises:
        PortsideError: what a package or its compile is refused for.
    """
    data: dict[str, Any] = deployment.model_dump(mode="json", exclude_unset=True, exclude_none=True, by_alias=True)
    shipment = _Shipment(deployment, folder)
    _visit(shipment, deployment, data)
    _place(deployment, data, insecure_public)
    file = folder / FILE
    file.write_text(tomli_w.dumps(data), encoding="utf-8")
    golden = deployment.path.with_suffix(".golden")
    if deployment.step and golden.is_file():  # a graph's contract goes where the graph goes
        shutil.copyfile(golden, file.with_suffix(".golden"))
    if deployment.records.enabled and deployment.records.url_env is not None:
        shipment.needs.add("postgresql")
    return Contents(folder, file, tuple(sorted(shipment.needs)))


def _visit(shipment: _Shipment, value: Any, data: Any) -> None:
    """Walk sections and the data they were dumped to side by side."""
    if isinstance(value, list):
        for one, of in zip(value, data, strict=True):  # type: ignore[reportUnknownArgumentType]
            _visit(shipment, one, of)
    if not isinstance(value, BaseModel):
        return
    if isinstance(value, Model) or (isinstance(value, Link) and value.package is not None):
        _pin(shipment, value if isinstance(value, Model) else value.model(), data)
    if isinstance(value, Precomputed):
        data["file"] = _copied_file(shipment, value.file)
        shipment.needs.add(Path(value.file).suffix)
    if isinstance(value, Rollout) and isinstance(value.challenger, str):
        data["challenger"] = {"package": value.challenger}
        _pin(shipment, value.challengers[0], data["challenger"])
    if isinstance(value, Automation) and (shipment.deployment.folder / value.thresholds).is_file():
        data["thresholds"] = _copied_file(shipment, value.thresholds)
    for name in type(value).model_fields:
        if name in data:
            _visit(shipment, getattr(value, name), data[name])


def _pin(shipment: _Shipment, settings: Model, data: dict[str, Any]) -> None:
    """One package and its artifact, copied and named by digest."""
    model = resolve_model(shipment.deployment, settings, settings.package)
    package = open_package(reference_of(shipment.deployment, settings.package), model.digest, settings.trust)
    name = f"{_plain(model.name)}-{short(model.digest)}"
    data["package"] = _copied_folder(shipment, package.path, f"packages/{name}")
    data["artifact"] = _copied_folder(shipment, model.artifact.path, f"artifacts/{name}-{settings.target}-{short(model.artifact.digest)}")
    data["digest"] = model.digest
    shipment.needs.add(settings.target)


def _copied_folder(shipment: _Shipment, source: Path, name: str) -> str:
    if not (shipment.folder / name).exists():
        shutil.copytree(source, shipment.folder / name)
    return name


def _copied_file(shipment: _Shipment, file: str) -> str:
    source = shipment.deployment.folder / file
    name = f"tables/{_plain(source.name)}"
    (shipment.folder / "tables").mkdir(exist_ok=True)
    shutil.copyfile(source, shipment.folder / name)
    return name


def _place(deployment: Deployment, data: dict[str, Any], insecure_public: bool) -> None:
    """Records go below `data/`; keys and certificates are looked for below `secrets/`."""
    records = deployment.records
    if records.enabled and records.url_env is None:
        data.setdefault("records", {})["path"] = f"{DATA}/records.sqlite"
    server: dict[str, Any] = data.setdefault("server", {})
    if deployment.server.keys is not None:
        server["keys"]["file"] = f"{SECRETS}/{Path(deployment.server.keys.file).name}"
    for name in ("cert", "key", "client_ca"):
        if name in server.get("tls", {}):
            server["tls"][name] = f"{SECRETS}/{Path(server['tls'][name]).name}"
    if insecure_public:
        server["insecure_public"] = True


def short(digest: str) -> str:
    """12 hex digits of a digest."""
    return digest.removeprefix("sha256:")[:12]


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-") or "package"
