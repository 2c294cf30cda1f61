"""The part of `portside review` that writes and reads files: datasets, and tasks of Label Studio."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

from ...cloud.deployment.file import read
from ...cloud.deployment.review import Review
from ...cloud.records.database import Database
from ...cloud.review import exchange
from ...cloud.review.dataset import Options, write
from ...cloud.review.gathering import Wanted, labelled
from ...cloud.review.label_studio import answers_of
from ..core.errors import FormatError, InputError
from ..core.labels import SOURCES
from ..core.likeness import NEAR
from .console import Result
from .moments import moment_ms


def of_files(made: Mapping[str, argparse.ArgumentParser]) -> None:
    """Arguments of export, import and dataset."""
    made["export"].add_argument("--prefix", help="where Label Studio finds the files; default: they travel inside the tasks")
    made["import"].add_argument("file", type=Path, metavar="EXPORT.json")
    made["import"].add_argument("--control", help="whose answer counts, where an interface has several (default: the first)")
    for name in ("export", "dataset"):
        made[name].add_argument("--out", type=Path, required=True, metavar="FOLDER")
    part = made["dataset"]
    part.add_argument("--name", help="default: that of the folder")
    part.add_argument("--split", choices=("hash", "time"), default="hash", help="at random but stable, or the latest rows for testing")
    part.add_argument("--fractions", default="train=0.8,validation=0.1,test=0.1", metavar="NAME=SHARE,...")
    part.add_argument("--seed", type=int, default=0)
    part.add_argument("--near", type=float, nargs="?", const=NEAR, metavar="CORRELATION",
                      help=f"pictures that show the same go together, however they were saved (default: {NEAR})")  # fmt: skip
    part.add_argument("--since", metavar="WHEN", help="labelled since: 7d (ago) or 2026-05-01")
    part.add_argument("--until", metavar="WHEN")
    part.add_argument("--label-source", dest="sources", action="append", choices=SOURCES, help="may be given several times (default: all)")
    part.add_argument("--author", dest="authors", action="append", metavar="NAME", help="may be given several times (default: all)")


def export(database: Database, args: argparse.Namespace) -> Result:
    """Tasks and the labeling interface."""
    count = exchange.send(database, args.out, now(), deployments=args.deployment, state=args.state, limit=args.limit, prefix=args.prefix,
                          settings=settings(args.source))  # fmt: skip
    text = f"{count} tasks in {args.out / exchange.TASKS}; the labeling interface is {args.out / exchange.CONFIG}"
    return Result({"tasks": count, "out": str(args.out)}, text)


def bring_in(database: Database, args: argparse.Namespace) -> Result:
    """Annotations, as decisions."""
    try:
        tasks = json.loads(args.file.read_bytes())
    except (OSError, ValueError) as error:
        raise FormatError(f"The export cannot be read: {error}", got=str(args.file)) from error
    took = exchange.take(database, answers_of(tasks, args.control))
    text = (f"{took.decided} decided, {took.labelled} labels for items that were decided before, {took.known} known already, "
            f"{took.strangers} of other queues")  # fmt: skip
    return Result(vars(took), text)


def dataset(database: Database, args: argparse.Namespace) -> Result:
    """Labelled rows, split."""
    since, until = (None if said is None else moment_ms(said) for said in (args.since, args.until))
    wanted = Wanted(tuple(args.deployment or ()), since, until, tuple(args.sources or ()), tuple(args.authors or ()))
    options = Options(args.split, _fractions(args.fractions), args.seed, args.near)
    classes = exchange.classes_in(database, wanted.deployments)
    made, version = write(labelled(database, wanted), args.out, args.name or args.out.name, options, classes, now())
    split = made.manifest["splits"]
    parts = ", ".join(f"{count} {name}" for name, count in split["rows"].items())
    left = f", {split['left_out']} left out" if split["left_out"] else ""
    text = f"version {version}, {made.digest[7:19]}: {parts}{left}; {split['groups']} groups share no entity and no content\n{made.folder}"
    return Result({"version": version, "digest": made.digest, "folder": str(made.folder), "splits": split}, text)


def settings(source: str) -> dict[str, Review]:
    """What a deployment file says of its reviews, by the deployment's name; of a database nothing is said. Raises FormatError."""
    if not source.endswith(".toml"):
        return {}
    deployment = read(source)
    return {deployment.name: deployment.review}


def now() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def _fractions(said: str) -> dict[str, float]:
    """`train=0.8,test=0.2`. Raises InputError."""
    try:
        return {name.strip(): float(share) for name, share in (part.split("=") for part in said.split(","))}
    except ValueError as error:
        raise InputError("Shares of splits cannot be read", field="fractions", got=said, expected="such as train=0.8,test=0.2") from error


RUNS = {"export": export, "import": bring_in, "dataset": dataset}
