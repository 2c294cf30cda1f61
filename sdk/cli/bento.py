"""`portside bento`: a deployment with everything it needs as a BentoML bento; a Dockerfile and a compose file where they are asked for."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...cloud.deployment.file import read
from ...cloud.ship import docker
from ...cloud.ship.bento import build
from .console import Result, fields, progress

EXAMPLE = """
  portside bento deployment.toml -o dist/cell     a folder: bentoml serve dist/cell
  portside bento deployment.toml -o dist/cell --compose
  docker compose --project-directory dist/cell up --build
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to ship, where to, and what beside it."""
    parser.add_argument("deployment", type=Path, metavar="DEPLOYMENT.toml")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="a new or empty folder, or an earlier bento (default: NAME.bento)")
    parser.add_argument("--docker", action="store_true", help="write a Dockerfile too")
    parser.add_argument("--compose", action="store_true", help="write a Dockerfile and a compose file too")
    parser.add_argument("--require", action="append", default=[], metavar="NAME==VERSION", help="another package, for host stages")
    parser.add_argument("--insecure-public", action="store_true", help="it may be served without keys where others can reach it")


def run(args: argparse.Namespace) -> Result:
    """Build it. Raises PortsideError."""
    deployment = read(args.deployment)
    with_docker = args.docker or args.compose
    if with_docker:
        docker.check_public(deployment, args.insecure_public)  # before minutes are spent
    progress(f"building {deployment.name} ...")
    out = args.out or Path(f"{deployment.name}.bento")
    bento = build(deployment, out, args.insecure_public, tuple(args.require))
    written = docker.write(bento, deployment, args.compose, args.insecure_public) if with_docker else []
    data = {"folder": str(bento.folder), "tag": f"{bento.name}:{bento.version}", "wheel": bento.wheel,
            "requirements": list(bento.requirements), "written": [str(path) for path in written]}  # fmt: skip
    shown = {"bento": data["tag"], "folder": data["folder"], "wheel": data["wheel"], "requirements": f"{len(bento.requirements)} pinned",
             "beside it": ", ".join(path.name for path in written) or None}  # fmt: skip
    return Result(data, f"{fields(shown)}\n\nServe it: bentoml serve {bento.folder}")
