"""`portside edge unit`: the systemd unit of an agent, from its settings; and where it listens, from settings and options."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ...edge.door_settings import DoorSettings
from ...edge.settings import AgentSettings, read
from ...edge.unit import UnitSettings, environment_of, unit_text
from .console import Result, progress

EXAMPLE = """
  portside edge unit agent.toml > /etc/systemd/system/portside.service
  portside edge unit agent.toml --memory 300M --cpu 50 --device /dev/video0 --group video
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the unit says beside the command."""
    parser.add_argument("--name", default="portside", help="of the folders /var/lib/NAME and /run/NAME (default: portside)")
    parser.add_argument("--user", help="whom it runs as; default: a user that systemd makes for it")
    parser.add_argument("--group", action="append", default=[], help="one more group, as video for cameras; several times")
    parser.add_argument(
        "--device", action="append", default=[], metavar="PATH", help="a device node that it may open; may be given several times"
    )
    parser.add_argument("--memory", default="512M", metavar="SIZE", help="MemoryMax (default: 512M)")
    parser.add_argument("--cpu", type=int, metavar="PERCENT", help="CPUQuota, of one core")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="one more environment variable")


def run(args: argparse.Namespace) -> Result:
    """The unit as text. Raises FormatError for settings that cannot be one."""
    path: Path = args.settings.resolve()
    settings = read(path)
    writable = _outside(args.name, settings)
    if writable:
        progress(f'the unit may write to {", ".join(writable)}; with folder = "/var/lib/{args.name}" systemd would make and own it')
    more: dict[str, Any] = {} if not args.env else {"environment": (*UnitSettings.environment, *environment_of(args.env))}
    made = UnitSettings((*program(), "edge", "run", str(path)), name=args.name, description=f"Portside edge agent {settings.device}",
                        user=args.user, groups=tuple(args.group), devices=tuple(args.device), memory_max=args.memory, cpu_quota=args.cpu,
                        writable=writable, **more)  # fmt: skip
    text = unit_text(made)
    return Result({"unit": text}, text.rstrip("\n"))


def program() -> tuple[str, ...]:
    """This very installation, as a command."""
    script = Path(sys.executable).parent / "portside"
    return (str(script),) if script.is_file() else (sys.executable, "-m", "portside")


def doors_of(settings: AgentSettings, port: int | None, unix: str | None) -> DoorSettings | None:
    """Where the agent listens: [doors] of its file, and what the command line says instead. Raises FormatError."""
    said = {key: value for key, value in (("port", port), ("unix", unix)) if value is not None}
    if settings.doors is None and not said:
        return None
    return DoorSettings.from_dict({**(settings.doors or {}), **said})


def shown(doors: DoorSettings | None) -> str:
    """The places, for people."""
    if doors is None:
        return ""
    places = ([] if doors.port is None else [f"http://{doors.host}:{doors.port}"]) + ([] if doors.unix is None else [doors.unix])
    return f", at {' and '.join(places)}"


def _outside(name: str, settings: AgentSettings) -> tuple[str, ...]:
    """Folders that the agent writes to and that systemd does not make for it."""
    unix = (settings.doors or {}).get("unix")
    needs = [settings.root.resolve(), *([Path(unix).parent] if isinstance(unix, str) else [])]
    homes = (Path(f"/var/lib/{name}"), Path(f"/run/{name}"))
    return tuple(str(need) for need in needs if not any(need == home or home in need.parents for home in homes))
