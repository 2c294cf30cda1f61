"""English texts that installed packages carry: to learn from, and others to judge on. Nothing is fetched while a benchmark runs.

    docstrings  sentences of SciPy, scikit-learn, pandas, NumPy, NetworkX (BSD-3) and SQLAlchemy (MIT)
    glosses     definitions and examples of WordNet 3.0 (Princeton University, WordNet licence; Debian's `wordnet-base`)
    library     sentences of Python's standard library (PSF), of `examples/zoo/datasets.py`
    news        sentences of 300 news items (Lee, Pincombe and Welsh 2005; test data of gensim 4.4.0, LGPL-2.1)
    documents   50 news items with how alike people found each two of them (the same)
    words       353 pairs of words with how alike people found them (WordSim-353, Finkelstein et al. 2002, CC-BY-4.0; the same)

python benchmarks/texts.py unpacks what is missing beside the zoo's other data (needs apt-get and pip).
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import subjects
from numpy.typing import NDArray

DATA = subjects.EXAMPLES / "zoo" / "data"
PACKAGES = ("scipy", "sklearn", "pandas", "numpy", "networkx", "sqlalchemy")
WORDNET, GENSIM = Path("usr/share/wordnet"), "gensim/test/test_data"
FILES = ("lee.cor", "lee_background.cor", "similarities0-1.txt", "wordsim353.tsv")
RUN = 6
"""A text that shares as many words in a row with a text to judge on is not learned from."""


def library() -> list[str]:
    """As the zoo has them; the first 64 are in packages as golden rows."""
    return subjects.import_module("datasets").sentences()


def docstrings() -> list[str]:
    """About 67,000 different sentences, in a fixed order."""
    found: dict[str, None] = {}
    for name in PACKAGES:
        spec = find_spec(name)
        places = (spec.submodule_search_locations if spec else None) or []
        for file in sorted(file for place in places for file in Path(place).rglob("*.py")):
            found.update(dict.fromkeys(_of_file(file)))
    return list(found)


def _of_file(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
                yield from () if ">>>" in paragraph else _prose(paragraph)


def _prose(paragraph: str) -> Iterator[str]:
    """Its sentences that begin and end as such, and are of words rather than signs."""
    for part in re.split(r"(?<=[.!?]) ", re.sub(r"\s+", " ", paragraph).strip()):
        plain = len(re.findall(r"[A-Za-z ,.'-]", part))
        if 20 <= len(part) <= 300 and part[0].isupper() and part[-1] in ".!?" and plain >= 0.9 * len(part):
            yield part


def glosses() -> list[str]:
    """About 145,000 definitions and examples, in a fixed order. Raises FileNotFoundError."""
    folder = next((root / WORDNET for root in (Path("/"), DATA) if (root / WORDNET).is_dir()), None)
    if folder is None:
        raise FileNotFoundError("WordNet is missing. Run: python benchmarks/texts.py   (or: apt-get install wordnet-base)")
    lines = [line for kind in ("noun", "verb", "adj", "adv") for line in (folder / f"data.{kind}").read_text("utf-8").splitlines()]
    parts = [part.strip(' "') for line in lines if "| " in line for part in re.split(r'; (?=")', line.split("| ", 1)[1])]
    return list(dict.fromkeys(part for part in parts if 20 <= len(part) <= 300))


def news() -> list[str]:
    """About 2,000 sentences. Raises FileNotFoundError."""
    return list(dict.fromkeys(part for line in _lee("lee_background.cor").splitlines() for part in _prose(line)))


def documents() -> tuple[list[str], NDArray[np.float64]]:
    """(50 texts, (50, 50) how alike, from 0 to 1, above the diagonal). Raises FileNotFoundError."""
    held = np.array([line.split() for line in _lee("similarities0-1.txt").splitlines()], dtype=np.float64)
    return _lee("lee.cor").splitlines(), held


def words() -> tuple[list[str], list[str], NDArray[np.float64]]:
    """(first words, second words, how alike from 0 to 10). Raises FileNotFoundError."""
    rows = [line.split("\t") for line in _lee("wordsim353.tsv").splitlines() if not line.startswith("#")]
    return [row[0] for row in rows], [row[1] for row in rows], np.array([float(row[2]) for row in rows])


def _lee(name: str) -> str:
    spec = find_spec("gensim")
    roots = [DATA, *(Path(place).parent for place in (spec.submodule_search_locations if spec else None) or [])]
    found = next((root / GENSIM / name for root in roots if (root / GENSIM / name).is_file()), None)
    if found is None:
        raise FileNotFoundError("The news of Lee et al. are missing. Run: python benchmarks/texts.py   (or: pip install gensim==4.4.0)")
    return found.read_text(encoding="latin-1")


def apart(texts: Iterable[str], judged: Sequence[str]) -> list[str]:
    """Texts that are none of the judged, nor have `RUN` words in a row with one of them."""
    plain, runs = {_plain(text) for text in judged}, {run for text in judged for run in _runs(text)}
    return [text for text in texts if _plain(text) not in plain and runs.isdisjoint(_runs(text))]


def _plain(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z0-9]+", text.lower()))


def _runs(text: str) -> set[tuple[str, ...]]:
    held = _plain(text)
    return {held[start : start + RUN] for start in range(len(held) - RUN + 1)}


def fetch() -> None:
    """Unpack Debian's WordNet and the test data of gensim's wheel beside the zoo's data, unless they are there."""
    DATA.mkdir(exist_ok=True)
    if not (DATA / WORDNET).is_dir():
        subprocess.run(["apt-get", "download", "wordnet-base"], check=True, cwd=DATA)
        (package,) = DATA.glob("wordnet-base_*.deb")
        subprocess.run(["dpkg", "-x", package.name, "."], check=True, cwd=DATA)
        package.unlink()
    if not (DATA / GENSIM).is_dir():
        subprocess.run([sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", ".", "gensim==4.4.0"], check=True, cwd=DATA)
        (wheel,) = DATA.glob("gensim-*.whl")
        with zipfile.ZipFile(wheel) as held:
            held.extractall(DATA, [f"{GENSIM}/{name}" for name in FILES])
        wheel.unlink()


if __name__ == "__main__":
    fetch()
