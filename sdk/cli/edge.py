"""`portside edge`: a device that answers, asked and looked at."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, cast

from ...edge.agent import Agent
from ...edge.reporting import seen
from ...edge.serving import served
from ...edge.settings import read
from ...edge.sources import KINDS, Item, Source, source_of
from ...edge.watchdog import Pulse
from ...edge.wire_json import jsonable
from ..core.errors import EngineError, InputError, PortsideError
from . import edge_install, edge_unit
from .console import Exit, Result, fields, progress, short, size, table
from .inputs import read_fields

EXAMPLES = {
    "run": """
  portside edge run agent.toml                             until it is stopped (Ctrl-C, SIGTERM)
  portside edge run agent.toml --source folder:/data/shots     every image that comes, once; answers as lines of JSON
  generate | portside edge run agent.toml --source stdin       {"row": {"age": 41}}, a line each
  portside edge run agent.toml --source camera:0 --every 2     a frame every two seconds; needs portside[camera]
  portside edge run agent.toml --http 3001 --unix /run/portside/agent.sock     answer local callers, whatever its [doors] say
""", "predict": """
  portside edge predict agent.toml photo.jpg               one question, with no agent running
""", "status": """
  portside edge status agent.toml                          what runs, releases, outbox, last upload; exit code 1: no agent runs
""", "install": edge_install.INSTALL_EXAMPLE, "rollback": edge_install.ROLLBACK_EXAMPLE, "unit": edge_unit.EXAMPLE,
}  # fmt: skip
EXAMPLE = "".join(lines.lstrip("\n") for lines in EXAMPLES.values())
RETRY_S = 1.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command each."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, summary: str) -> argparse.ArgumentParser:
        made = actions.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=f"example:\n{EXAMPLES[name].strip(chr(10))}", formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        made.add_argument("settings", type=Path, metavar="AGENT.toml", help="of the device, see docs/edge.md")
        return made

    run_ = action("run", "answer on this device until stopped")
    run_.add_argument("--source", metavar="SOURCE", help=f"where questions come from: {', '.join(KINDS)}")
    run_.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="between two frames of a camera (default: 1)")
    run_.add_argument("--http", type=int, metavar="PORT", help="answer HTTP on this port of 127.0.0.1")
    run_.add_argument("--unix", metavar="PATH", help="answer on a Unix socket at this path")
    ask = action("predict", "ask the models of this device one question")
    ask.add_argument("inputs", nargs="+", metavar="INPUT", help="a .json file, -, an image file, or field=value pairs")
    action("status", "how the agent of this device stands")
    edge_install.install_arguments(action("install", "put a compiled artifact into a slot, by hand"))
    action("rollback", "go back to the release before, by hand")
    edge_unit.arguments(action("unit", "print the systemd unit that runs this agent"))


def run(args: argparse.Namespace) -> Result:
    """Do what is asked."""
    return {"run": _run, "predict": _predict, "status": _status, "unit": edge_unit.run,
            "install": edge_install.install, "rollback": edge_install.rollback}[args.action](args)  # fmt: skip


def _run(args: argparse.Namespace) -> Result:
    """The agent until it is told to stop; exit code 3 where it takes more memory than it may, so that it is started anew."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stderr)
    settings, stop = read(args.settings), threading.Event()
    doors = edge_unit.doors_of(settings, args.http, args.unix)
    pulse = Pulse()
    with stopping(stop), Agent(settings) as agent, served(agent, doors, pulse=pulse):
        for entry in agent.status()["chain"]:
            if entry["fault"]:
                progress(f"entry {entry['entry']} ({entry['kind']}) is passed over: {entry['fault']}")
        if fault := agent.status()["escalation_fault"]:
            progress(f"[escalate] finds nothing uncertain: {fault}")
        source = source_of(args.source, agent, settings.root / "sources", args.every) if args.source else None
        progress(f"answers on {settings.device}{edge_unit.shown(doors)}")
        threading.Thread(target=_watch, args=(agent, stop), daemon=True).start()
        if source is not None:
            _answer(agent, source, stop, pulse)
        if source is None or doors is not None:
            stop.wait()
        stop.set()
        counts, over = dict(agent.counts), agent.over_memory
    return Result({"counts": counts, "over_memory": over}, json.dumps({"stopped": counts}), Exit.FAULT if over else Exit.DONE)


@contextmanager
def stopping(stop: threading.Event) -> Generator[None]:
    """SIGTERM and SIGINT set the event; every source looks at it twice a second."""

    def ended(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, ended) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(agent: Agent, stop: threading.Event) -> None:
    while not stop.wait(1.0):
        if agent.over_memory:
            stop.set()


def _answer(agent: Agent, source: Source, stop: threading.Event, pulse: Pulse) -> None:
    """Questions of a source, each answered by a line of JSON on stdout."""
    for item in source.items(stop.is_set):
        with pulse.answering():
            said = answered(agent, item)
        print(json.dumps(said, ensure_ascii=False), file=sys.__stdout__, flush=True)
        if said.get("again"):
            stop.wait(RETRY_S)
        else:
            item.done()


def answered(agent: Agent, item: Item) -> dict[str, Any]:
    """The line of one item. again: nothing could answer, and it is asked again where its source can."""
    try:
        if isinstance(item.inputs, InputError):
            raise item.inputs
        found = agent.predict(item.inputs, entity=item.entity, event_ms=item.event_ms)
    except EngineError as error:
        return {"name": item.name, "again": True, **error.to_dict()}
    except PortsideError as error:
        return {"name": item.name, **error.to_dict()}
    outputs = {name: jsonable(value) for name, value in found.outputs.items()}
    flags = [flag._asdict() for flag in found.flags]
    return {"name": item.name, "outputs": outputs, "receipt": found.receipt.to_dict(), **({"flags": flags} if flags else {})}


def _predict(args: argparse.Namespace) -> Result:
    with Agent(args.settings, background=False) as agent:
        if agent.signature is None:
            raise EngineError("No release is installed here yet", fix=f"Run: portside edge run {args.settings}")
        inputs = read_fields(args.inputs, agent.fields, agent.signature)
        found = agent.predict(inputs)
    outputs, receipt = {name: jsonable(value) for name, value in found.outputs.items()}, found.receipt.to_dict()
    flags = [flag._asdict() for flag in found.flags]
    shown = table([[name, json.dumps(value)] for name, value in outputs.items()])
    why = fields({"model": receipt["model"], "target": receipt["target"], "reason": receipt["reason"], "time_ms": receipt["time_ms"]})
    return Result({"outputs": outputs, "receipt": receipt, **({"flags": flags} if flags else {})}, f"{shown}\n\n{why}")


def _status(args: argparse.Namespace) -> Result:
    status = seen(read(args.settings))
    return Result(status, _text(status), Exit.DONE if status["running"] else Exit.NO)


def _text(status: Mapping[str, Any]) -> str:
    """For people."""
    answers, release, outbox, upload = (_part(status, name) for name in ("answers", "release", "outbox", "upload"))
    active, held = _part(release, "active"), status.get("process")
    rows = {
        "device": f"{status['device']} ({status['name']})",
        "agent": f"runs, process {held}" if status["running"] else "does not run",
        "answers": f"{answers.get('model')} {short(str(answers.get('package', '')))} on {answers.get('target')}" if answers else "nothing",
        "slot": f"{active['slot']}, release {active['sequence']} {short(active['release'])}" if active else "none",
        "update": ": ".join(str(release[key]) for key in ("phase", "why", "halted") if release.get(key)) or "none",
        "outbox": f"{sum(_part(outbox, 'waiting').values())} wait, {size(outbox['size_bytes'])} of {size(outbox['quota_bytes'])}"
        if "size_bytes" in outbox else str(outbox.get("fault", "none")),
        "uploaded": _heard(upload),
    }  # fmt: skip
    if stopped := _part(release, "stopped"):
        rows["stopped"] = f"{stopped.get('reason')}: {stopped.get('what')}"
    chain = [[str(entry["entry"]), entry["kind"], entry.get("name", ""), entry["fault"] or entry.get("breaker", "")]
             for entry in cast("list[dict[str, Any]]", status.get("chain", []))]  # fmt: skip
    return fields(rows) + (f"\n\n{table(chain, head=['entry', 'kind', 'name', 'state'])}" if chain else "")


def _heard(upload: Mapping[str, Any]) -> str:
    if not upload:
        return "nowhere to"
    heard = upload.get("heard_ms")
    when = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(heard / 1000))} UTC" if heard else "never"
    return f"{when}, {upload.get('sent', 0)} entries" + (f"; {upload['fault']}" if upload.get("fault") else "")


def _part(held: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", held.get(name) or {})
