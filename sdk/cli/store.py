"""`portside store`: versions that never change, tags that move, and where a package came from."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ..core.errors import InputError
from ..core.package import open_folder
from ..store import Store
from ..store_lineage import Relative
from .console import Exit, Result, fields, progress, short, size, table

EXAMPLES = {
    "push": """
  portside store push dist/inspector              -> inspector:4, the next version of its name
""", "pull": """
  portside store pull inspector:prod              a read-only folder inside the store; prints where
  portside store pull inspector:prod --out here   a folder of your own
  portside store pull inspector:4 --target tflite --out device     the compiled artifact of its newest release
""", "ls": """
  portside store ls                               names, versions, tags, sizes
  portside store ls inspector --releases          what was compiled from it and released
""", "tag": """
  portside store tag inspector:4 prod             prod now means version 4
""", "lineage": """
  portside store lineage inspector:prod           what it was derived from, and what became of it
""", "gc": """
  portside store gc                               what no version refers to, and no process is writing
""", "fsck": """
  portside store fsck                             exit code 1, and where, if a file is damaged
""",
}  # fmt: skip
EXAMPLE = "".join(lines.lstrip("\n") for lines in EXAMPLES.values())
REFERENCE = "NAME, NAME:VERSION, NAME:TAG or a digest"


def arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command each; all take --store."""
    where = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    where.add_argument("--store", metavar="FOLDER", help="the store (default: $PORTSIDE_HOME, else ~/.portside)")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, summary: str) -> argparse.ArgumentParser:
        return actions.add_parser(
            name, parents=[where], help=summary, description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=f"example:\n{EXAMPLES[name].strip(chr(10))}", formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip

    push = action("push", "add a package as the next version of its name")
    push.add_argument("package", type=Path, help="a folder")
    push.add_argument("--name", help="store it under another name")
    pull = action("pull", "take a package, or a compiled artifact of it, out of the store; every byte is compared with its digest")
    pull.add_argument("reference", help=REFERENCE)
    pull.add_argument("--out", type=Path, help="a new folder (default: a read-only one of the store)")
    pull.add_argument("--target", help="the artifact for this target, of the newest release, instead of the package; needs --out")
    pull.add_argument("--platform", help="where that artifact will run, for targets that depend on it")
    names = action("ls", "names, versions, tags, sizes")
    names.add_argument("name", nargs="?", help="only the versions of this name")
    names.add_argument("--releases", action="store_true", help="releases and their artifacts, newest first")
    tag = action("tag", "point a tag at a version")
    tag.add_argument("reference", help=REFERENCE)
    tag.add_argument("tag")
    lineage = action("lineage", "ancestors and descendants of a package")
    lineage.add_argument("reference", help=REFERENCE)
    gc = action("gc", "remove what no version refers to")
    gc.add_argument("--caches", action="store_true", help="also the folders of pulled packages; nobody may have one open")
    action("fsck", "read every file and compare it with its digest")


def run(args: argparse.Namespace) -> Result:
    """Do one action on the store."""
    return ACTIONS[args.action](Store(args.store), args)


def _push(store: Store, args: argparse.Namespace) -> Result:
    package = open_folder(args.package)
    reference = store.push(package, args.name)
    return Result({"reference": reference, "digest": package.digest}, fields({"reference": reference, "digest": package.digest}))


def _pull(store: Store, args: argparse.Namespace) -> Result:
    if args.target:
        return _pull_artifact(store, args)
    package = store.pull(args.reference, args.out)
    data = {"reference": args.reference, "digest": package.digest, "path": str(package.path)}
    return Result(data, fields(data))


def _pull_artifact(store: Store, args: argparse.Namespace) -> Result:
    if args.out is None:
        raise InputError("An artifact needs a folder to go to", field="--out", fix="Pass --out FOLDER.")
    path = store.pull_artifact(args.reference, args.target, args.out, args.platform)
    data = {"reference": args.reference, "target": args.target, "path": str(path)}
    return Result(data, fields(data))


def _releases(store: Store, name: str | None) -> Result:
    held = store.releases(name)
    rows = [[item.name, short(item.digest), short(item.package), ", ".join(part.label for part in item.parts),
             size(sum(part.size_bytes for part in item.parts))] for item in held]  # fmt: skip
    text = table(rows, head=["package", "release", "package digest", "artifacts", "size"]) if rows else ""
    return Result([item.to_dict() for item in held], text)


def _ls(store: Store, args: argparse.Namespace) -> Result:
    if args.releases:
        return _releases(store, args.name)
    held = store.ls(args.name)
    if not held:
        progress(f"nothing is stored in {store.path}")
    rows = [[item.ref, ", ".join(item.tags), short(item.digest), size(item.size_bytes), len(item.parents) or ""] for item in held]
    return Result([item.to_dict() for item in held], table(rows, head=["package", "tags", "digest", "size", "parents"]) if rows else "")


def _tag(store: Store, args: argparse.Namespace) -> Result:
    reference = store.tag(args.reference, args.tag)
    data = {"reference": reference, "digest": store.resolve(reference)}
    return Result(data, fields(data))


def _lineage(store: Store, args: argparse.Namespace) -> Result:
    line = store.lineage(args.reference)
    rows = [_relative(item, -1) for item in reversed(line.ancestors)]
    rows += [[0, ", ".join(line.refs), short(line.digest)], *(_relative(item, 1) for item in line.descendants)]
    return Result(line.to_dict(), table(rows, head=["steps", "package", "digest"]))


def _relative(item: Relative, sign: int) -> list[object]:
    return [sign * item.distance, ", ".join(item.refs) or "(not in this store)", short(item.digest)]


def _gc(store: Store, args: argparse.Namespace) -> Result:
    freed = store.gc(caches=args.caches)
    return Result({"blobs": freed.blobs, "size_bytes": freed.size_bytes}, f"removed {freed.blobs} files, {size(freed.size_bytes)}")


def _fsck(store: Store, args: argparse.Namespace) -> Result:
    problems = store.fsck()
    if not problems:
        return Result([], f"{store.path}: every file has its digest")
    rows = [[problem.where, problem.error] for problem in problems]
    return Result([problem.to_dict() for problem in problems], table(rows, head=["where", "what"]), Exit.NO)


ACTIONS: dict[str, Callable[[Store, argparse.Namespace], Result]] = {
    "push": _push, "pull": _pull, "ls": _ls, "tag": _tag, "lineage": _lineage, "gc": _gc, "fsck": _fsck,
}  # fmt: skip
