"""Writes tests/vectors/codec/*.json: what every implementation of docs/codec.md must answer. All data are made here, from seeds.

Run: python tests/vectors/make_codec_vectors.py
"""

from __future__ import annotations

import base64
import io
import json
import math
import random
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from portside.sdk.core.codec.bpe import BPE
from portside.sdk.core.codec.category import Categories
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.codec.image import Image
from portside.sdk.core.codec.number import Number
from portside.sdk.core.codec.resize import taps
from portside.sdk.core.codec.step import Step
from portside.sdk.core.codec.tokens import ROLES
from portside.sdk.core.codec.unicode_classes import CONTROL, MARKS, PUNCTUATION
from portside.sdk.core.codec.wordpiece import WordPiece
from portside.sdk.core.errors import InputError

OUT = Path(__file__).parent / "codec"
PIECES = (
    "solar cell crack module line grid busbar dark bright edge it s t don 1 2 3 12 2024 é à ß e a b c d ü . , ! ? - ' ( ) € $ "
    "日 本 語 漢 한국 שלום"
)
VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *PIECES.split(),
    *(f"##{p}" for p in ["s", "ed", "ing", "e", "a", "c", "k", "2", "4", "ß", "국"]),
]
TEXTS = [
    "",
    " ",
    "Solar cells cracked!",
    "Crème à la carte",
    "it's 2024, don't",
    "日本語と漢字",
    "한국",
    "שלום עולם",
    "a\u0301e\u0323",
    "[CLS] a [SEP]",
    "[cls]",
    "solar\u200bcell\x00\ufffd",
    "solar\u2028cell\u3000edge\xa0grid\x85",
    "ẞ ß İ ΣΑΣ",
    "\u1885\u1886 \u166d",
    "a" * 101,
    "👩‍🔬🔋",
    "(dark)-bright? 12 € $",
    "\ud800 lone",
    "cell " * 40,
    "\x1c\x1d\x1e\x1f",
    "'S 's 't're  x\n\n y ",
    "ﬁ ½ ² Ⅳ",
    "\t\r\n\x0b\x0c",
]


def main() -> None:
    """Write every file."""
    OUT.mkdir(exist_ok=True)
    write("categories", {"colour": Categories(["red", "blue", "1", "true", ""], missing=["?", "NA"])}, categories())
    write("number", {"n": Number()}, numbers())
    text = {"t": WordPiece(VOCABULARY, outputs=ROLES)}
    tables = {"marks": MARKS, "punctuation": PUNCTUATION, "control": CONTROL}
    write("wordpiece", text, [{"t": [text]} for text in TEXTS] + [{"t": TEXTS}, {"t": [None]}, {"t": 3}, {"t": [["a"]]}], unicode=tables)
    cased = WordPiece(VOCABULARY, lowercase=False, max_length=8, padding=10, split_cjk=False)
    write("wordpiece_cased", {"t": cased}, [{"t": TEXTS}])
    write("bpe", {"t": bpe()}, [{"t": [text]} for text in TEXTS] + [{"t": TEXTS}])
    write("bpe_framed", {"t": bpe(prefix_space=True, before=("<s>",), after=("</s>",), pad="<pad>", max_length=12)}, [{"t": TEXTS}])
    images()
    write("image_whole", {"photo": Image()}, [{"photo": [held]} for held in (*rare_pngs(), *cut_files())])
    (OUT / "resize_weights.json").write_text(json.dumps(weights(), indent=0) + "\n", encoding="utf-8")


def categories() -> list[dict[str, Any]]:
    """Batches, and values that are refused."""
    good = ["red", "blue", None, "?", "NA", "", "Red", "red ", "re\u0301d", 1, True, False, 2]
    return [
        {"colour": good},
        {"colour": "blue"},
        {"colour": [["red", "x"], [None, "1"]]},
        {"colour": ["red", 1.5]},
        {"colour": [{}]},
        {"colour": []},
        {},
    ]


def numbers() -> list[dict[str, Any]]:
    """Batches, and values that are refused."""
    rng = random.Random(5)
    good: list[Any] = [
        "1",
        "-.5",
        "5.",
        "+1e-3",
        " 7\n",
        "",
        "NA",
        "null",
        "nan",
        None,
        "Infinity",
        "-inf",
        "1e999",
        "1e-999",
        3,
        2.5,
        "0.1",
        "-0",
    ]
    good += [repr(rng.uniform(-1, 1) * 10 ** rng.randint(-300, 300)) for _ in range(40)]
    bad: list[Any] = ["1_0", "1,5", "٣", "0x10", "1e", ".", "-", "１", "1 2", True, {}, "9" * 1001, "+nan"]
    return [{"n": good}, {"n": "4"}, {"n": [["1", "2"], ["3", None]]}, *({"n": [1, value]} for value in bad)]


def bpe(**options: Any) -> BPE:
    """A small made vocabulary: every byte, some merges, three special tokens."""
    characters = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = [*map(chr, characters), *(chr(256 + place) for place in range(256 - len(characters)))]
    merges = [
        ("c", "e"),
        ("l", "l"),
        ("ce", "ll"),
        ("Ġ", "c"),
        ("s", "o"),
        ("so", "l"),
        ("a", "r"),
        ("sol", "ar"),
        ("Ġ", "Ġ"),
        ("a", "a"),
        ("aa", "a"),
        ("Ã", "©"),
    ]
    tokens = ["<s>", "</s>", "<pad>", *alphabet, *(left + right for left, right in merges)]
    return BPE({token: place for place, token in enumerate(tokens)}, merges, specials=("<s>", "</s>", "<pad>"), **options)


def images() -> None:
    """Exact cases from PNG and BMP, tolerant ones from JPEG, sizes and fits, refusals."""
    rng = np.random.default_rng(11)
    colour, grey = rng.integers(0, 256, (7, 10, 3), dtype=np.uint8), rng.integers(0, 256, (6, 5), dtype=np.uint8)
    alpha = rng.integers(0, 256, (4, 4, 4), dtype=np.uint8)
    palette = Pillow.fromarray(rng.integers(0, 4, (3, 5), dtype=np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60, 250, 5, 90, 0, 0, 0])
    deep = Pillow.fromarray(rng.integers(0, 65536, (3, 4), dtype=np.uint16))
    plain = [
        png(colour),
        png(grey),
        png(alpha),
        png(alpha[:, :, [0, 3]], "LA"),
        png(palette),
        png(palette, transparency=1),
        png(deep),
        png(grey > 100),
        png(colour, kind="BMP"),
    ]
    turned = [png(colour, exif=orientation(value)) for value in range(1, 9)]
    sources = [[item] for item in [*plain, *turned]]
    broken: list[Any] = [plain[0][:60], base64.b64encode(b"no image").decode(), "not base64!", None, 5, ""]
    cases = (
        [{"photo": batch} for batch in sources] + [{"photo": [plain[0], value]} for value in broken] + [{"photo": plain[0]}, {"photo": []}]
    )
    write("image", {"photo": Image()}, cases)
    write("image_grey", {"photo": Image(mode="L")}, [{"photo": batch} for batch in sources])
    for name, size in (("down", (3, 4)), ("up", (13, 15)), ("mixed", (4, 17)), ("one", (1, 1))):
        write(f"image_resize_{name}", {"photo": Image(size=size)}, [{"photo": plain}])
    write("image_cover", {"photo": Image(size=(5, 5), fit="cover", layout="CHW")}, [{"photo": plain}])
    write("image_contain", {"photo": Image(size=(8, 9), fit="contain", fill=114, mode="L")}, [{"photo": plain}])
    smooth = np.fromfunction(lambda y, x, c: 4 * y + 3 * x + 20 * c, (24, 32, 3)).astype(np.uint8)
    jpegs = [
        png(smooth, kind="JPEG", quality=92),
        png(smooth[:, :, 0], kind="JPEG", quality=92),
        png(smooth, kind="JPEG", quality=92, exif=orientation(6)),
    ]
    write("image_jpeg", {"photo": Image(size=(24, 32))}, [{"photo": jpegs}], tolerance=4)
    write(
        "image_limits",
        {"photo": Image(max_pixels=69, formats=("PNG",))},
        [{"photo": [plain[0]]}, {"photo": [plain[1]]}, {"photo": [plain[1], plain[8]]}],
    )


def rare_pngs() -> list[str]:
    """Few bits, 16 bits, Adam7, transparent colours, and EXIF blocks that count or do not."""
    grey, rows = struct.pack(">IIBBBBB", 5, 2, 2, 0, 0, 0, 0), b"\0\x1b\x40\2\xe4\x80"
    tall = struct.pack(">IIBBBBB", 1, 2, 8, 0, 0, 0, 0), b"\0\x10\1\x20"
    wide = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0), b"\0" + bytes(range(12))
    passes = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 1), b"\0a\0b\0cd"
    key = struct.pack(">IIBBBBB", 3, 1, 8, 0, 0, 0, 0), b"\0\1\2\3"
    made = [chunks(grey, rows), chunks(grey, rows, tRNS=b"\0\1"), chunks(*wide), chunks(*wide, tRNS=bytes(range(6)))]
    made += [chunks(*passes), chunks(*key), chunks(*key, tRNS=b"\0\2")]
    entries = [(3, 1, 6), (4, 1, 6), (3, 2, 6), (2, 1, 6), (3, 1, 9)]  # type, count, value: the first two count
    return made + [chunks(*tall, eXIf=directory(*entry)) for entry in entries]


def directory(kind: int, count: int, value: int) -> bytes:
    """An EXIF block of one orientation, big end first: a SHORT stands in front of its four bytes."""
    halves = (value, 0) if kind == 3 else (0, value)
    return b"MM\0*" + struct.pack(">IHHHIHH", 8, 1, 0x0112, kind, count, *halves)


def chunks(header: bytes, rows: bytes, **others: bytes) -> str:
    """A PNG of chunks, as base64 text."""
    middle = [(name.encode(), content) for name, content in others.items()]
    parts = [(b"IHDR", header), *middle, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = [struct.pack(">I", len(held)) + name + held + struct.pack(">I", zlib.crc32(name + held)) for name, held in parts]
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(body)).decode()


def cut_files() -> list[str]:
    """Whole files, then without their ends, with a wrong checksum, with too many rows."""
    colour = np.random.default_rng(12).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    files = [base64.b64decode(png(colour, kind=kind)) for kind in ("PNG", "BMP")]
    files.append(base64.b64decode(png(Pillow.fromarray(colour).quantize(4), kind="GIF")))
    made = [held for file in files for held in (file, file[:-1], file[:-13], file[: len(file) // 2])]
    made.append(files[0][:-5] + b"\0" + files[0][-4:])
    odd = [chunks(struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0), rows) for rows in (b"\0a", b"\0a\0a", b"\5a", b"\0")]
    return [base64.b64encode(held).decode() for held in made] + odd


def png(image: Any, mode: str | None = None, kind: str = "PNG", **options: Any) -> str:
    """A file as base64 text."""
    buffer = io.BytesIO()
    picture = image if isinstance(image, Pillow.Image) else Pillow.fromarray(np.ascontiguousarray(image), mode)
    picture.save(buffer, kind, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def orientation(value: int) -> Pillow.Exif:
    """An EXIF block that holds an orientation."""
    exif = Pillow.Exif()
    exif[0x0112] = value
    return exif


def weights() -> list[dict[str, Any]]:
    """The integer weights of some resizes, to find a wrong filter before looking at pixels."""
    return [
        {"size": n, "out": m, "taps": [[first, held.tolist()] for first, held in taps(n, m)]}
        for n, m in [(10, 3), (3, 10), (7, 7), (5, 1), (1, 4), (300, 7)]
    ]


def write(name: str, steps: Mapping[str, Step], wires: list[dict[str, Any]], tolerance: int = 0, **more: Any) -> None:
    """One file: steps, the files they name, and per case either the typed tensors or the refusal."""
    codec = Codec.of(steps)
    cases = [{"wire": wire, **answer(codec, wire)} for wire in wires]
    files = {path: base64.b64encode(content).decode() for path, content in codec.files.items()}
    data = {"steps": list(codec.steps), "files": files, "tolerance": tolerance, **more, "cases": cases}
    (OUT / f"{name}.json").write_text(json.dumps(data, indent=1, ensure_ascii=True, allow_nan=False) + "\n", encoding="utf-8")


def answer(codec: Codec, wire: dict[str, Any]) -> dict[str, Any]:
    """What the codec answers, as JSON."""
    try:
        typed = codec.encode(wire)
    except InputError as error:
        return {"refused": {"field": error.field, "row": error.row}}
    return {"typed": {name: [tensor(a) for a in array] if isinstance(array, list) else tensor(array) for name, array in typed.items()}}


def tensor(array: np.ndarray) -> dict[str, Any]:
    """dtype, shape, data: base64 for pixels, flat lists otherwise; NaN is null, infinities are text."""
    if array.dtype == np.uint8:
        return {"dtype": "u8", "shape": list(array.shape), "base64": base64.b64encode(array.tobytes()).decode()}
    dtype = {"int32": "i32", "float64": "f64"}[array.dtype.name]
    return {"dtype": dtype, "shape": list(array.shape), "data": [plain(value) for value in array.ravel().tolist()]}


def plain(value: float) -> float | str | None:
    """A number as strict JSON."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


if __name__ == "__main__":
    main()
