"""Files that cameras, old programs and bad disks write: the JavaScript codec answers or refuses as the Python one, in node and Chromium."""

from __future__ import annotations

import base64
import json
import struct
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import portside as ps
from portside.sdk.core.errors import InputError

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE))
from made_images import PNG_KINDS, bmp, chunk, exif, odd_exif, pixels, png, saved, sides  # noqa: E402
from made_photos import KINDS, photo  # noqa: E402
from vector_runs import in_node, in_page  # noqa: E402


def png_files(rng: np.random.Generator) -> list[bytes]:
    """Every colour type and depth, plain and interlaced, with and without a transparent colour; every orientation, odd EXIF."""
    made = [png(rng, colour, depth, way % 2 == 1, clear=way > 1) for colour, depth in PNG_KINDS for way in range(4)]
    made += [png(rng, 2, 8, False, block=exif(rng, turn)[6 * (turn % 2) :]) for turn in range(1, 9) for _ in range(2)]
    return made + [png(rng, 6, 8, False, block=odd_exif(rng)[6:]) for _ in range(40)]


def palette(rng: np.random.Generator, image: np.ndarray) -> PIL.Image.Image:
    """The picture in up to 256 colours by chance."""
    colours = int(rng.integers(2, 257))
    made = PIL.Image.fromarray((image.astype(int) % colours).astype(np.uint8)).convert("P")
    made.putpalette(rng.bytes(3 * colours))
    return made


def gif_files(rng: np.random.Generator, count: int) -> list[bytes]:
    """Interlaced or not, transparent or not, one frame or two."""
    made: list[bytes] = []
    for place in range(count):
        image = pixels(rng, *sides(rng), 2)
        options: dict[str, Any] = {"transparency": 1} if place % 3 == 0 else {}
        options |= {"save_all": True, "append_images": [palette(rng, image[:, :, 1])]} if place % 4 == 0 else {}
        made.append(saved(palette(rng, image[:, :, 0]), "GIF", interlace=place % 2, **options))
    return made


def bmp_files(rng: np.random.Generator, count: int) -> list[bytes]:
    """Those that Pillow writes, and those that it only reads."""
    image = pixels(rng, *sides(rng), 4)
    shown = (image[:, :, 0] > 99, image[:, :, 0].copy(), image[:, :, :3].copy(), image)
    plain = [saved(PIL.Image.fromarray(held), "BMP") for held in shown]
    return plain + [saved(palette(rng, image[:, :, 1]), "BMP")] + [bmp(rng) for _ in range(count)]


def damaged(rng: np.random.Generator, files: list[bytes]) -> list[bytes]:
    """Each file cut off anywhere, at its end, or with one bit turned."""
    made: list[bytes] = []
    for place, file in enumerate(files):
        bent = bytearray(file)
        bent[int(rng.integers(len(bent)))] ^= 1 << int(rng.integers(8))
        made.append([file[: int(rng.integers(len(file)))], file[: -int(rng.integers(1, 9))], bytes(bent)][place % 3])
    return made


def bent_pngs(rng: np.random.Generator) -> list[bytes]:
    """Checksums right, content wrong: streams cut off or too long, unknown filters, no palette, parts out of order, headers by chance."""
    return [_bent(rng, png(rng, *PNG_KINDS[place % len(PNG_KINDS)], place % 2 == 1, clear=True), place % 9) for place in range(135)]


def _bent(rng: np.random.Generator, file: bytes, way: int) -> bytes:
    parts, place = [], 8
    while place < len(file):
        (length,) = struct.unpack_from(">I", file, place)
        parts.append((file[place + 4 : place + 8], file[place + 8 : place + 8 + length]))
        place += 12 + length
    header, others = parts[0][1], [part for part in parts[1:-1] if part[0] != b"IDAT"]
    rows = zlib.decompress(b"".join(content for name, content in parts if name == b"IDAT"))
    packed = zlib.compress(rows)
    bent = bytearray(packed)
    bent[int(rng.integers(len(bent)))] ^= 1 << int(rng.integers(8))
    streams = [*map(zlib.compress, (rows[:-1], rows + b"ab", b"\7" + rows[1:])), packed[:-3], packed + b"zz", bytes(bent)]
    held = [(b"IDAT", streams[way] if way < len(streams) else packed)]
    if way == 6:
        others = [part for part in others if part[0] != b"PLTE"]
    if way == 7:
        changed = bytearray(header)
        changed[int(rng.integers(8, 13))] = int(rng.integers(20))
        header = bytes(changed)
    body = [*held, *others] if way == 8 else [*others, *held]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in [(b"IHDR", header), *body, (b"IEND", b"")])


def crowded(file: bytes, parts: int) -> bytes:
    """A PNG with empty chunks behind its header."""
    return file[:33] + chunk(b"abCd", b"") * parts + file[33:]


def vectors(files: list[bytes], tolerance: int = 0, **options: Any) -> dict[str, Any]:
    """Cases, answered by the Python codec."""
    codec = ps.codec.Codec.of({"photo": ps.codec.Image(**options)})
    return {"steps": list(codec.steps), "files": {}, "tolerance": tolerance, "cases": [case(codec, file) for file in files]}


def case(codec: Any, file: bytes) -> dict[str, Any]:
    """One file and its answer, or where it was refused."""
    wire = {"photo": [base64.b64encode(file).decode()]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about the files that are made to be odd
        try:
            array = np.ascontiguousarray(codec.encode(wire)["photo"])
        except InputError as error:
            return {"wire": wire, "refused": {"field": error.field, "row": error.row}}
    tensor = {"dtype": "u8", "shape": list(array.shape), "base64": base64.b64encode(array.tobytes()).decode()}
    return {"wire": wire, "typed": {"photo": tensor}}


def exact_files(seed: int) -> dict[str, Any]:
    """Vectors of the formats that agree exactly: whole files under three steps, and damaged ones."""
    rng = np.random.default_rng(seed)
    whole = [*png_files(rng), *gif_files(rng, 60), *bmp_files(rng, 60)]
    broken = [*damaged(rng, whole), *damaged(rng, whole), *bent_pngs(rng), crowded(whole[0], 65_533), crowded(whole[0], 65_536)]
    grey = vectors(whole[::2], mode="L", size=(17, 23), fit="cover", layout="CHW")
    fitted = vectors(whole[1::2], size=(30, 20), fit="contain", fill=9)
    return {"whole": vectors(whole), "grey": grey, "fitted": fitted, "broken": vectors(broken)}


def refused(data: dict[str, Any]) -> int:
    """How many cases are refusals."""
    return sum("refused" in held for held in data["cases"])


@pytest.fixture(scope="module")
def exact() -> dict[str, Any]:
    """Made once."""
    return exact_files(1)


def test_files_are_what_they_are_meant_to_be(exact: dict[str, Any]) -> None:
    assert len(exact["whole"]["cases"]) >= 230
    assert refused(exact["whole"]) == refused(exact["grey"]) == refused(exact["fitted"]) == 0
    assert refused(exact["broken"]) > 300


def test_node_agrees_on_every_kind_of_file(exact: dict[str, Any], node: str, tmp_path: Path) -> None:
    for name, data in exact.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(data), encoding="utf-8")
    results = in_node(node, sorted(tmp_path.glob("*.json")))
    assert [(name, failure) for name, result in results.items() for failure in result["failures"]] == []
    assert sum(result["cases"] for result in results.values()) > 1000


@pytest.mark.browser
@pytest.mark.parametrize("name", ["whole", "grey", "fitted", "broken"])
def test_chromium_agrees_on_every_kind_of_file(exact: dict[str, Any], page: Any, serve: Callable[[Path], str], name: str) -> None:
    assert in_page(page, serve(ROOT), name, exact[name])["failures"] == []


@pytest.mark.browser
@pytest.mark.parametrize("kind", KINDS)
def test_chromium_agrees_on_photos(kind: str, page: Any, serve: Callable[[Path], str]) -> None:
    """Within two levels of 255: far less than what a wrong turn, profile or inversion makes of them."""
    rng = np.random.default_rng(KINDS.index(kind))
    photos = [photo(rng, kind, 1 + turn % 8) for turn in range(24)]
    result = in_page(page, serve(ROOT), kind, vectors(photos, tolerance=2))
    assert result["failures"] == [] and result["cases"] == 24
    cut = vectors([*(file[: int(len(file) * rng.random())] for file in photos), *(file[: -int(rng.integers(1, 9))] for file in photos)], 2)
    assert refused(cut) >= (4 if kind == "mpo" else 48)  # where the second of two pictures is cut off, the first is whole
    assert in_page(page, serve(ROOT), kind, cut)["failures"] == []


_IN_WORKER = """async ([url, file]) => {
  const script = `import { Codec } from "${url}"; onmessage = async ({ data }) => {
    const codec = await Codec.fromSteps([{ kind: "image", field: "photo", options: { size: [24, 24] } }], async () => new Uint8Array());
    postMessage(await codec.encode({ photo: data }).then(({ photo }) => Array.from(photo.data), (error) => String(error)));
  };`;
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })), { type: "module" });
  const bytes = Uint8Array.from(atob(file), (char) => char.charCodeAt(0));
  return new Promise((done, fail) => {
    worker.onmessage = ({ data }) => done(data);
    worker.onerror = ({ message }) => fail(new Error(message));
    worker.postMessage(new Blob([bytes]));
  });
}"""


@pytest.mark.browser
@pytest.mark.parametrize("kind", ["4:2:0", "webp alpha"])
def test_photos_are_decoded_in_a_worker(kind: str, page: Any, serve: Callable[[Path], str]) -> None:
    root, file = serve(ROOT), photo(np.random.default_rng(5), kind, 6)
    page.goto(f"{root}/tests/edge/browser/blank.html")
    sent = [f"{root}/edge/browser/web/codec/codec.js", base64.b64encode(file).decode()]
    got = np.array(page.evaluate(_IN_WORKER, sent), int)
    assert np.abs(got - ps.codec.Image(size=(24, 24)).encode("photo", file)[0].ravel().astype(int)).max() <= 2
