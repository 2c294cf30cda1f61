"""Real models in your browser, with nothing behind them but files: packed, compiled, proven in a Chromium, then served.

    python examples/browser/run.py             # what `make web` runs
    python examples/browser/run.py --no-open   # print the address only; make web WEB=--no-open
    python examples/browser/run.py --once      # make the bundles and leave

Everything lands in `out/web/`: one folder per model, each a web site of its own, and a page that links them. A second run reuses
what is there, unless Portside's own pages have changed since.
"""

from __future__ import annotations

import argparse
import filecmp
import html
import shutil
import sys
import time
from pathlib import Path

import demos

import portside as ps
from portside.sdk.cli import preview

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "out" / "web"
SOURCE = ROOT / "edge" / "browser"
CARD = '      <li><a class="panel card" href="{}/index.html"><h2>{}</h2><p>{}</p></a></li>'
STARTED = time.monotonic()


def say(text: str) -> None:
    """A line of progress, with the time since the start."""
    print(f"[{time.monotonic() - STARTED:5.1f} s] {text}", file=sys.stderr, flush=True)


def make(demo: demos.Demo, out: Path) -> Path | None:
    """The bundle of a demo: the one that is there, or a new one; None where its data is not installed."""
    folder = out / demo.name
    if demo.missing:
        say(f"{demo.name}: left out, because {demo.missing}")
        return None
    if is_current(folder):
        say(f"{demo.name}: reusing {folder.relative_to(out.parent)}")
        return folder
    package = packed(demo, out / "packages" / demo.name)
    say(f"{demo.name}: compiling for wasm, and proving it in a browser against its golden inputs")
    shutil.rmtree(folder, ignore_errors=True)
    ps.compile(package, target="wasm", out=folder)
    return folder


def packed(demo: demos.Demo, folder: Path) -> ps.Package:
    """The package of a demo: the one that is there, or a new one."""
    if folder.is_dir():
        try:
            return ps.open(folder)
        except ps.errors.PortsideError as error:
            say(f"{demo.name}: packing again, because {error}")
            shutil.rmtree(folder)
    say(f"{demo.name}: training and packing")
    folder.parent.mkdir(parents=True, exist_ok=True)
    return demo.pack(folder)


def is_current(folder: Path) -> bool:
    """A whole bundle is there, and its pages are those of this Portside."""
    try:
        names = preview.checked(folder).files
    except ps.errors.PortsideError:
        return False
    own = [name for name in names if name.startswith("web/") or "/" not in name]
    return all((SOURCE / name).is_file() and filecmp.cmp(folder / name, SOURCE / name, shallow=False) for name in own)


def index(made: list[demos.Demo], out: Path) -> None:
    """The page that links the demos, in the style of the bundles."""
    cards = "\n".join(CARD.format(demo.name, html.escape(demo.title), html.escape(demo.text)) for demo in made)
    page = (Path(__file__).parent / "index.html").read_text(encoding="utf-8")
    (out / "index.html").write_text(page.replace("<!-- demos -->", cards).replace("STYLE", f"{made[0].name}/web/page"), encoding="utf-8")
    shutil.copyfile(Path(__file__).parent / "index.css", out / "index.css")


def main() -> None:
    """Make what is missing, then serve it."""
    parser = argparse.ArgumentParser(description="Real models in your browser.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for packages and bundles (default: out/web in the clone)")
    parser.add_argument("--only", nargs="+", choices=[demo.name for demo in demos.demos()], help="only these demos")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one); the address has a random prefix")
    parser.add_argument("--no-open", action="store_true", help="print the address only")
    parser.add_argument("--once", action="store_true", help="make the bundles and leave")
    args = parser.parse_args()
    wanted = [demo for demo in demos.demos() if args.only is None or demo.name in args.only]
    args.out.mkdir(parents=True, exist_ok=True)
    made = [demo for demo in wanted if make(demo, args.out) is not None]
    if not made:
        sys.exit("Nothing to show: no demo's data is installed here.")
    index(made, args.out)
    say(f"made: {', '.join(demo.name for demo in made)} in {args.out}; the models run in the page, no server answers")
    if not args.once:
        serve(made, args.out, args.port, opened=not args.no_open)


def serve(made: list[demos.Demo], out: Path, port: int, opened: bool) -> None:
    """Serve the demos until Ctrl-C."""
    names = ["index.html", "index.css"]
    for demo in made:
        bundle = preview.checked(out / demo.name)
        names += [f"{demo.name}/{name}" for name in (*bundle.files, "artifact.json")]
    host = preview.begin(port)
    url = preview.address(host, out, names)
    print(url, flush=True)
    say("Ctrl-C ends it")
    preview.wait(url, opened)
    host.close()


if __name__ == "__main__":
    try:
        main()
    except ps.errors.PortsideError as error:
        sys.exit(f"error: {error}")
