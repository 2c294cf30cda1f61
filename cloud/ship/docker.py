"""Dockerfile and compose file of a bento, as text. Nothing here talks to Docker.

The image runs as a user without rights, writes to nothing but the records' volume and /tmp, gets no secrets when it is built, and every
command in it is a list of words: no shell takes part.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import yaml

from ...sdk.core.errors import TrustError
from ..deployment.file import Deployment
from ..security.public import public
from .bento import Bento
from .contents import DATA, FILE, SECRETS

BASE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim-bookworm"
"""The Python that the bento was made with: its versions were tried with it."""
USER, PORT, APP = 10001, 3000, "/bento"
STOP_S = 10
"""What a stop may take beside the drain, before it is killed."""
IGNORED = f"src/{SECRETS}/*\nsrc/{DATA}/*\n{SECRETS}\ncompose.yaml\n**/__pycache__\n"


def write(bento: Bento, deployment: Deployment, compose: bool, insecure_public: bool = False) -> list[Path]:
    """Write Dockerfile and .dockerignore into a bento, and compose.yaml where it is asked for.

    Raises:
        TrustError: a container is reached from outside of it, and the deployment has no keys.
    """
    check_public(deployment, insecure_public)
    texts = {"Dockerfile": dockerfile(bento, deployment), ".dockerignore": IGNORED}
    if compose:
        texts["compose.yaml"] = compose_file(bento, deployment)
        (bento.folder / SECRETS).mkdir(exist_ok=True)
    for name, text in texts.items():
        (bento.folder / name).write_text(text, encoding="utf-8")
    return [bento.folder / name for name in texts]


def check_public(deployment: Deployment, insecure_public: bool) -> None:
    """Raise TrustError where the container would answer strangers, or nobody."""
    if not (insecure_public or public(deployment)):
        raise TrustError("A container is reached by others than itself, and this deployment has no keys",
                         fix='Run portside keys new NAME and name the file: [server.keys] file = "keys.json"; or say --insecure-public '
                             "where something else keeps strangers out.")  # fmt: skip


def dockerfile(bento: Bento, deployment: Deployment) -> str:
    """The Dockerfile. Dependencies come before what changes with every build, so that their layer is kept."""
    serve = ["portside", "serve", f"{APP}/src/{FILE}", "--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104  inside of a container
    healthy = ["python", "-m", "portside.cloud.ship.healthy", health_url(deployment)]
    install = ["python", "-m", "pip", "install", "--no-cache-dir"]
    return f"""\
# {bento.name}:{bento.version}, written by portside bento
FROM {BASE}
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \\
    BENTOML_DO_NOT_TRACK=True BENTOML_HOME=/tmp/bentoml PORTSIDE_HOME=/tmp/portside
WORKDIR {APP}
RUN {_words(["useradd", "--uid", str(USER), "--no-create-home", "--shell", "/usr/sbin/nologin", "portside"])}
COPY env/python/requirements.txt env/python/requirements.txt
RUN {_words([*install, "--requirement", "env/python/requirements.txt"])}
COPY env/python/wheels env/python/wheels
RUN {_words([*install, "--no-deps", f"env/python/wheels/{bento.wheel}"])}
COPY bento.yaml bento.yaml
COPY src src
RUN {_words(["install", "--directory", "--owner", str(USER), f"{APP}/src/{DATA}"])}
USER {USER}:{USER}
EXPOSE {PORT}
VOLUME {_words([f"{APP}/src/{DATA}"])}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period={math.ceil(deployment.server.warm_up_s)}s --retries=3 CMD {_words(healthy)}
ENTRYPOINT {_words(serve)}
CMD ["--workers", "1"]
"""


def compose_file(bento: Bento, deployment: Deployment) -> str:
    """The compose file. Keys are a folder, not a single file: a mounted file would not follow when it is replaced."""
    volumes = [f"records:{APP}/src/{DATA}"]
    if deployment.server.keys is not None or deployment.server.tls is not None:
        volumes.append(f"./{SECRETS}:{APP}/src/{SECRETS}:ro")
    service: dict[str, Any] = {
        "build": {"context": "."}, "image": f"{bento.name}:{bento.version}", "ports": [f"{PORT}:{PORT}"],
        "read_only": True, "tmpfs": ["/tmp"], "volumes": volumes, "shm_size": "256mb",  # noqa: S108  the container's own
        "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"], "init": True, "restart": "unless-stopped",
        "stop_grace_period": f"{stop_s(deployment)}s",
    }  # fmt: skip
    return f"# {bento.name}:{bento.version}, written by portside bento\n" + yaml.safe_dump(
        {"services": {bento.name.replace(".", "-"): service}, "volumes": {"records": {}}}, sort_keys=False)  # fmt: skip


def stop_s(deployment: Deployment) -> int:
    """Seconds between SIGTERM and SIGKILL: the drain, and what ending the models takes."""
    return math.ceil(getattr(deployment.server, "drain_s", 20.0)) + STOP_S


def health_url(deployment: Deployment) -> str:
    """What `healthy` asks: the ready route, or only the port where a caller needs a certificate."""
    tls = deployment.server.tls
    if tls is None:
        return f"http://127.0.0.1:{PORT}/readyz"
    return f"https://127.0.0.1:{PORT}/readyz" if tls.client_ca is None else f"tcp://127.0.0.1:{PORT}"


def _words(words: list[str]) -> str:
    return json.dumps(words)
