"""`portside bento`: a deployment becomes a bento, a folder that serves anywhere the same Python packages are.

The bento is BentoML's own, made by `bentoml build` from a folder with everything in it. BentoML's home is a folder of its own
outside of the one that is built. Its lock file would need a network, so versions are pinned here, to what is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from ...sdk.core.errors import EngineError, FormatError, StoreError
from ...sdk.core.manifest import digest_of
from ..deployment.file import Deployment
from ..security.public import SHIPPING
from .contents import DATA, FILE, SECRETS, Contents, collect, short
from .requirements import pinned
from .wheel import write_wheel

SERVICE = f'"""A deployment, served. Written by portside bento."""\n\nimport portside as ps\n\nsvc = ps.service("{FILE}")\n'
BENTO = "bento.yaml"
BUILD_S = 600.0


@dataclass(frozen=True)
class Bento:
    """A built bento: its folder, its BentoML tag, the wheel and the requirements inside of it."""

    folder: Path
    name: str
    version: str
    wheel: str
    requirements: tuple[str, ...]


def build(deployment: Deployment, out: Path, insecure_public: bool = False, more: tuple[str, ...] = ()) -> Bento:
    """Build the bento of a deployment.

    Args:
        deployment: read.
        out: a new or empty folder, or a bento that is replaced.
        insecure_public: it may be served without keys where others can reach it.
        more: further requirements, for host stages.

    Raises:
        PortsideError: whatever is wrong with the deployment, or the build.
        StoreError: `out` holds something else.
    """
    check_free(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="portside-bento-") as kept:
        source = Path(kept) / "source"
        source.mkdir()
        contents = collect(deployment, source, insecure_public)
        requirements = (*pinned(contents.needs), *more)
        name, version, wheel = bento_name(deployment.name), short(deployment_digest(contents)), _write(contents, deployment, requirements)
        _run(source, Path(kept) / "home", name, version)
        made = Path(kept) / "home" / "bentos" / name / version
        for folder in (DATA, SECRETS):
            (made / "src" / folder).mkdir(exist_ok=True)
        _publish(made, out)
    return Bento(out, name, version, wheel, requirements)


def deployment_digest(contents: Contents) -> str:
    """Of the shipped file, which holds the digests of everything else: the same intent makes the same version."""
    return digest_of({"file": contents.file.read_text(encoding="utf-8")})


def bento_name(name: str) -> str:
    """A name as BentoML's tags allow it."""
    return re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).strip("-_.") or "deployment"


def check_free(out: Path) -> None:
    """Raise StoreError unless the folder is new, empty, or a bento."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / BENTO).is_file())):
        raise StoreError("The folder holds something else than a bento", got=str(out), expected="a new or empty folder, or a bento")


def _write(contents: Contents, deployment: Deployment, requirements: tuple[str, ...]) -> str:
    """service.py, the wheel and the build file beside the deployment. The wheel's name."""
    folder = contents.folder
    (folder / "service.py").write_text(SERVICE, encoding="utf-8")
    (folder / "wheels").mkdir()
    wheel = write_wheel(folder / "wheels")
    options = {
        "service": "service:svc", "labels": {"deployment": deployment.name}, "description": _about(deployment),
        "include": ["*"], "exclude": ["wheels/", "bentofile.yaml"],
        "python": {"packages": list(requirements), "wheels": [f"wheels/{wheel.name}"], "lock_packages": False, "pack_git_packages": False},
    }  # fmt: skip
    (folder / "bentofile.yaml").write_text(yaml.safe_dump(options, sort_keys=False), encoding="utf-8")
    return wheel.name


def _about(deployment: Deployment) -> str:
    return f"The deployment {deployment.name}, served by Portside. Keys and certificates go into src/{SECRETS}, records into src/{DATA}.\n"


def _run(source: Path, home: Path, name: str, version: str) -> None:
    """`bentoml build`, in a process of its own: it imports the service. Raises EngineError with what it said last."""
    home.mkdir()
    line = [sys.executable, "-m", "bentoml", "build", "--name", name, "--version", version, "-o", "tag", str(source)]
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", SHIPPING: "1"}
    try:
        ran = subprocess.run(line, cwd=source, env=environment, capture_output=True, text=True, timeout=BUILD_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise EngineError("bentoml build did not end", reason="deadline", expected=f"within {BUILD_S:g} s") from error
    if ran.returncode:
        raise EngineError("bentoml build failed", got=(ran.stderr or ran.stdout).strip()[-2000:])


def _publish(made: Path, out: Path) -> None:
    """Put the finished folder in its place."""
    if not (made / BENTO).is_file():
        raise FormatError("bentoml build wrote no bento where it was expected", got=str(made))
    staged = out.with_name(f".{out.name}.new")
    shutil.rmtree(staged, ignore_errors=True)
    shutil.move(made, staged)
    if out.exists():
        shutil.rmtree(out)
    staged.rename(out)
