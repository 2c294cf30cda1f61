"""A gate before a keyword model: silero says whether somebody speaks, microWakeWord listens only then. On 30 s of a conversation.

    python examples/voice_gate/run.py
    python examples/voice_gate/run.py --short      # 3 s of it, what the slow tests run

A request holds one frame of 30 ms and the memory of both models; the answer gives their memory back, so the server keeps nothing
between requests. While nobody speaks the keyword model is not asked, and its memory stands still. Everything lands in `out/voice_gate/`.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "zoo"))
import mel  # noqa: E402
import third_party  # noqa: E402
from datasets import speech  # noqa: E402

from portside.cloud.answering.answers import Question  # noqa: E402
from portside.cloud.deployment.file import read  # noqa: E402
from portside.cloud.graph.engine import GraphEngine  # noqa: E402
from portside.cloud.graph.making import make_golden  # noqa: E402
from portside.cloud.graph.opening import open_graph  # noqa: E402
from portside.cloud.graph.resolving import ResolvedGraph, resolve  # noqa: E402

OUT = HERE.parents[1] / "out" / "voice_gate"
FRAME, HEARD, RATE = 480, 512 + 64, 16_000
"""Samples of a frame (30 ms); of what silero hears at a time (36 ms, the end of the last frame included); per second."""
STARTED = time.monotonic()


def say(text: str) -> None:
    """A line of progress, with the time since the start."""
    print(f"[{time.monotonic() - STARTED:5.1f} s] {text}", file=sys.stderr, flush=True)


def frames(short: bool) -> list[tuple[NDArray[np.float32], NDArray[np.int8]]]:
    """(samples (1, 576) float32, features (1, 3, 40) int8) every 30 ms; of the short form, 3 s around where the talking begins."""
    sound, features = speech(), mel.quantised(mel.log_energies(speech()))
    count = min((len(sound) - HEARD) // FRAME, len(features) // 3)
    places = range(170, 270) if short else range(count)
    return [(sound[place * FRAME : place * FRAME + HEARD][None], features[place * 3 : place * 3 + 3][None]) for place in places]


def first_memory(resolved: ResolvedGraph) -> dict[str, Any]:
    """The memory of both models before they have heard anything, by field of the request."""
    memory: dict[str, Any] = {}
    for step in resolved.steps:
        signature = step.resolved.signature
        for pair in signature.state:
            sizes = [size if isinstance(size, int) else 1 for size in pair.shape]
            dtype = {"f32": np.float32, "i8": np.int8}[signature.input(pair.input).dtype]
            memory[step.feeds[pair.input].name] = np.full(sizes, pair.initial, dtype)
    return memory


def listen(engine: GraphEngine, memory: dict[str, Any], heard: list[tuple[Any, Any]]) -> dict[str, NDArray[Any]]:
    """Every frame in order; per frame: speech, word, whether the keyword model was asked, milliseconds."""
    asked = list[tuple[float, float, bool, float]]()

    async def go(memory: dict[str, Any]) -> None:
        for sound, frame in heard:
            began = time.perf_counter()
            wire = {"sound": sound, "rate": np.int64(RATE), "frame": frame, **memory}
            answer = await engine.answer(Question(wire, time.monotonic()))
            memory = {name: answer.outputs[name] for name in memory}
            word = next(step for step in answer.receipt.steps if step.name == "word")  # type: ignore[attr-defined]
            said = float(answer.outputs["speech"][0]), float(answer.outputs["word"][0]) / 256
            asked.append((*said, word.state == "answered", 1e3 * (time.perf_counter() - began)))

    asyncio.run(go(memory))
    return {name: np.array(column) for name, column in zip(("speech", "word", "asked", "ms"), zip(*asked, strict=True), strict=True)}


def always(out: Path) -> Path:
    """The same graph without its gate, to compare with."""
    text = (out / "graph.toml").read_text(encoding="utf-8").replace("voice-gate", "voice-always")
    kept = [line for line in text.splitlines() if not line.startswith("when")]
    path = out / "always.toml"
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return path


def main() -> int:
    """Run the story; exit 1 when the gate lets everything through, or nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="3 s of the conversation, around where it begins")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for packages and deployments (replaced)")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.out, ignore_errors=True)
    arguments.out.mkdir(parents=True)
    say("packing silero and hey jarvis as they are")
    for make, name in ((third_party.silero, "silero"), (third_party.wake_word, "wake_word")):
        shutil.copytree(make()[0].path, arguments.out / "packages" / name)
    shutil.copy(HERE / "graph.toml", arguments.out / "graph.toml")
    heard, found = frames(arguments.short), dict[str, dict[str, NDArray[Any]]]()
    for name, path in (("gate", arguments.out / "graph.toml"), ("always", always(arguments.out))):
        resolved = resolve(read(path))
        assert isinstance(resolved, ResolvedGraph)
        memory = first_memory(resolved)
        if name == "gate":
            say("golden answers of the whole graph, which its start is held against")
            make_golden(resolved, {"sound": heard[-1][0], "rate": np.int64(RATE), "frame": heard[-1][1], **memory})
        engine = open_graph(resolved)
        engine.warm(60)
        found[name] = listen(engine, memory, heard)
        engine.close()
    gate, open_ = found["gate"], found["always"]
    share = gate["asked"].mean()
    print(f"{len(heard)} frames of 30 ms; the keyword model heard {share:.0%} of them behind the gate")
    for name, held in (("behind the gate", gate), ("without it", open_)):
        print(f"{name}: {np.median(held['ms']):.2f} ms a frame in the middle, {np.percentile(held['ms'], 95):.2f} at the 95th percentile; "
              f"the word is at most {held['word'].max():.2f} likely")  # fmt: skip
    return 0 if 0 < share < 1 and (open_["asked"] == 1).all() else 1


if __name__ == "__main__":
    sys.exit(main())
