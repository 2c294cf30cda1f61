"""`portside sign`: keys, a repository of signed releases, and what keeps it believed: fresh signatures, rotated keys."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..signing.keys import make_key, read_public
from ..signing.publish import publish, published, withdraw
from ..signing.repository import Repository, parse_days, summary
from ..signing.roles import DAYS, ROLES, THRESHOLDS
from ..signing.rotate import Staged, approve, drop, rotate, standing
from ..store import Store
from .console import Exit, Result, fields, progress, short, size, table
from .sign_keys import by_role, passphrase_of, passphrase_options, signers_of

EXAMPLES = {
    "keys": """
  portside sign keys root-ana root-ben root-cleo targets online --folder keys     NAME.pem is secret, NAME.pub is not
""", "init": """
  portside sign init releases --root keys/root-ana.pub --root keys/root-ben.pub --root keys/root-cleo.pub \\
      --targets keys/targets.pub --online keys/online.pub \\
      --key keys/root-ana.pem --key keys/root-ben.pem --key keys/targets.pem --key keys/online.pem
                                                  devices are given releases/metadata/1.root.json; a web server hands out releases/
""", "publish": """
  portside sign publish releases inspector:1 --key keys/targets.pem --key keys/online.pem
  portside sign publish releases inspector:1 --release sha256:... --rolls-back-to 4 ...   a new number, so that devices may go back
""", "withdraw": """
  portside sign withdraw releases inspector 5 --key keys/targets.pem --key keys/online.pem     nobody gets it from now on
""", "renew": """
  portside sign renew releases --key keys/online.pem     from a timer, more often than the timestamp's days
""", "rotate": """
  portside sign rotate releases --remove timestamp=3f9a --add timestamp=keys/new.pub --key keys/new.pem --key keys/root-ana.pem
                                                  staged: one signature of the root is missing
""", "approve": """
  portside sign approve releases --key keys/root-ben.pem --key keys/new.pem       where Ben is; this publishes it
""", "drop": """
  portside sign drop releases                     forget a change of keys that is not published
""", "status": """
  portside sign status releases                   exit code 1: something expires within --days, or waits for signatures
""",
}  # fmt: skip
EXAMPLE = "".join(lines.lstrip("\n") for lines in EXAMPLES.values())


def arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command each."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, summary: str, keys: bool = True, repository: bool = True) -> argparse.ArgumentParser:
        made = actions.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=f"example:\n{EXAMPLES[name].strip(chr(10))}", formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        if repository:
            made.add_argument("repository", type=Path, metavar="FOLDER", help="of the repository")
        if keys:
            made.add_argument("--key", action="append", type=Path, default=[], metavar="NAME.pem", help="signs; as often as needed")
            passphrase_options(made)
        return made

    keys = action("keys", "make keys; each is sealed with a passphrase", keys=False, repository=False)
    keys.add_argument("names", nargs="+", metavar="NAME")
    keys.add_argument("--folder", type=Path, default=Path("keys"), help="where they go (default: keys)")
    keys.add_argument("--unsealed", action="store_true", help="no passphrase: for a machine that keeps secrets in its own way")
    passphrase_options(keys)
    _init(action("init", "make a repository and sign an empty list of releases"))
    give = action("publish", "sign a release of the store for its platforms")
    give.add_argument("reference", help="of the package: NAME, NAME:VERSION, NAME:TAG")
    give.add_argument("--release", metavar="DIGEST", help="which release of it (default: the newest)")
    give.add_argument("--platform", action="append", default=[], help="only this one, e.g. tflite; may be given several times")
    give.add_argument("--rolls-back-to", type=int, metavar="N", help="this release is that of sequence N again")
    give.add_argument("--store", metavar="FOLDER", help="the store (default: $PORTSIDE_HOME, else ~/.portside)")
    take = action("withdraw", "take a release off the signed list; devices that have it keep it, see --rolls-back-to of publish")
    take.add_argument("name", help="of the package")
    take.add_argument("sequence", type=int, help="as status shows it")
    take.add_argument("--reuse", action="store_true", help="its number may be given out again: a thief signed it, far ahead")
    action("renew", "sign the timestamp anew, and whatever else is half expired")
    turn = action("rotate", "replace keys of roles by a new root, or sign the root for another year")
    turn.add_argument("--add", action="append", default=[], metavar="ROLE=NAME.pub", help=f"a new key; a role is one of {', '.join(ROLES)}")
    turn.add_argument("--remove", action="append", default=[], metavar="ROLE=ID", help="a key, by how its id begins")
    turn.add_argument("--threshold", action="append", default=[], metavar="ROLE=N", help="how many must sign from now on")
    action("approve", "add signatures to a staged change of keys; enough of them publish it")
    action("drop", "forget a staged change of keys", keys=False)
    look = action("status", "roles, keys, expiry, releases", keys=False)
    look.add_argument("--days", type=int, default=2, help="how near an end makes the exit code 1 (default: 2)")


def run(args: argparse.Namespace) -> Result:
    """Do one action."""
    return ACTIONS[args.action](args)


def _init(parser: argparse.ArgumentParser) -> None:
    for role in ("root", "targets", "snapshot", "timestamp"):
        parser.add_argument(f"--{role}", action="append", type=Path, default=[], metavar="NAME.pub", help=f"a key of {role}")
    parser.add_argument("--online", action="append", type=Path, default=[], metavar="NAME.pub", help="a key of snapshot and timestamp")
    said = " ".join(f"{role}={number}" for role, number in THRESHOLDS.items())
    parser.add_argument("--threshold", action="append", default=[], metavar="ROLE=N", help=f"how many must sign (default: {said})")
    said = " ".join(f"{role}={number}" for role, number in DAYS.items())
    parser.add_argument("--days", action="append", default=[], metavar="ROLE=N", help=f"for how long a signature holds (default: {said})")


def _keys(args: argparse.Namespace) -> Result:
    made: list[dict[str, Any]] = []
    for name in args.names:
        passphrase = None if args.unsealed else passphrase_of(args, new=True)(name)
        key = make_key(args.folder, name, passphrase)
        made.append({"name": name, "id": key.id, "private": str(args.folder / f"{name}.pem"), "public": str(args.folder / f"{name}.pub")})
    shown = table([[key["name"], short(key["id"]), key["private"], key["public"]] for key in made], head=["name", "id", "secret", "public"])
    return Result(made, f"{shown}\n\nKeep the secret halves of the root on different machines, offline. Nobody can make a lost one again.")


def _create(args: argparse.Namespace) -> Result:
    given: Mapping[str, list[Path]] = {"root": args.root, "targets": args.targets, "snapshot": args.snapshot + args.online,
                                       "timestamp": args.timestamp + args.online}  # fmt: skip
    keys = {role: [read_public(file) for file in files] for role, files in given.items()}
    repository = Repository(args.repository)
    repository.create(keys, signers_of(args), parse_days(args.threshold), parse_days(args.days))
    root = repository.metadata / "1.root.json"
    data = {"repository": str(repository.path), "root": str(root)}
    return Result(data, fields({"repository": repository.path, "root for devices": root}))


def _publish(args: argparse.Namespace) -> Result:
    made = publish(Repository(args.repository), Store(args.store), args.reference, signers_of(args), digest=args.release,
                   platforms=args.platform, rolls_back_to=args.rolls_back_to)  # fmt: skip
    rows = [[index.platform, index.sequence, len(index.files), len(index.chunks()), size(index.size_bytes)] for index in made]
    data = [{**index.custom(), "path": index.path, "chunks": len(index.chunks())} for index in made]
    head = fields({"release": made[0].release, "name": made[0].name, "sequence": made[0].sequence})
    return Result(data, head + "\n\n" + table(rows, head=["platform", "sequence", "files", "chunks", "size"]))


def _withdraw(args: argparse.Namespace) -> Result:
    taken = withdraw(Repository(args.repository), args.name, args.sequence, signers_of(args), reuse=args.reuse)
    return Result({"withdrawn": list(taken)}, f"withdrawn: {', '.join(taken)}")


def _renew(args: argparse.Namespace) -> Result:
    signed = Repository(args.repository).renew(signers_of(args))
    return Result({"signed": list(signed)}, f"signed anew: {', '.join(signed)}")


def _rotate(args: argparse.Namespace) -> Result:
    add = {role: [read_public(Path(word)) for word in words] for role, words in by_role(args.add).items()}
    where = rotate(
        Repository(args.repository), signers_of(args), add=add, remove=by_role(args.remove), thresholds=parse_days(args.threshold)
    )
    return _staged(where)


def _approve(args: argparse.Namespace) -> Result:
    return _staged(approve(Repository(args.repository), signers_of(args)))


def _drop(args: argparse.Namespace) -> Result:
    there = drop(Repository(args.repository))
    return Result({"dropped": there}, "forgotten" if there else "nothing was staged", Exit.DONE if there else Exit.NO)


def _status(args: argparse.Namespace) -> Result:
    repository = Repository(args.repository)
    state, waiting = repository.state(), standing(repository)
    roles, releases = summary(state, repository.clock()), published(state.targets.signed)
    late = [row["role"] for row in roles if row["days_left"] < args.days]
    rows = [[row["role"], row["version"], f"{row['threshold']} of {len(row['keys'])}", " ".join(short(key) for key in row["keys"]),
             row["days_left"]] for row in roles]  # fmt: skip
    shown = [table(rows, head=["role", "version", "must sign", "keys", "days left"])]
    if releases:
        listed = [[one.custom["name"], one.sequence, one.custom["platform"], short(one.custom["release"]), size(one.custom["size_bytes"]),
                   one.custom.get("rolls_back_to", "")] for one in releases]  # fmt: skip
        shown.append(table(listed, head=["name", "sequence", "platform", "release", "size", "back to"]))
    shown += [_said(waiting)] if waiting else []
    shown += [f"soon expired: {', '.join(late)}; portside sign renew, or rotate for the root"] if late else []
    data = {"roles": roles, "releases": [{**one.custom, "path": one.path} for one in releases], "late": late,
            "staged": waiting.to_dict() if waiting else None}  # fmt: skip
    return Result(data, "\n\n".join(shown), Exit.NO if late or waiting else Exit.DONE)


def _staged(where: Staged) -> Result:
    progress("published" if where.published else "staged")
    return Result(where.to_dict(), _said(where), Exit.DONE if where.published else Exit.NO)


def _said(where: Staged) -> str:
    if where.published:
        return f"root {where.version} is published; changed: {', '.join(where.roles) or 'nothing but its date'}"
    return (f"root {where.version} waits: {where.missing['before']} signatures of the root before and {where.missing['after']} of its own "
            "are missing; portside sign approve adds them")  # fmt: skip


ACTIONS: Mapping[str, Callable[[argparse.Namespace], Result]] = {
    "keys": _keys, "init": _create, "publish": _publish, "withdraw": _withdraw, "renew": _renew, "rotate": _rotate,
    "approve": _approve, "drop": _drop, "status": _status,
}  # fmt: skip
