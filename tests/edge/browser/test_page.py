"""The demo page of real bundles, in Chromium: every kind of field answers as the package does, and the page keeps to itself."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from playwright.sync_api import Browser, Page, expect
from torch import Tensor, nn

import portside as ps
from portside.runtimes.web.host import Host
from portside.sdk.cli import preview

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "boat", "port", "leaves", "the", "##s", "."]
PROBES = (Path(__file__).parent / "probes.js").read_text(encoding="utf-8")
LEVELS = ["low", "middle", "high"]
RNG = np.random.default_rng(7)


class Wide(nn.Module):
    """One linear layer."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Linear(width, out)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width) -> (batch, out)."""
        return self.layer(x)


def level(model: nn.Module, features: Tensor) -> dict[str, Tensor]:
    """A decision, its scores and a value."""
    logits = model(features)
    return {"level": logits.argmax(1), "scores": logits.softmax(1), "premium": logits.sum(1)}


def form(out: Path) -> ps.Package:
    """Every kind of field but pictures and texts."""

    def featurize(age: Tensor, income: Tensor, member: Tensor, weights: Tensor, curve: Tensor, colour: Tensor) -> Tensor:
        told = torch.nan_to_num(income.to(torch.float32), nan=-1.0)
        plain = torch.stack([age / 60, told / 1000, member.to(torch.float32), colour.to(torch.float32)], 1)
        return torch.cat([plain, weights, curve.mean(1, keepdim=True)], 1)

    rows = 48
    numbers = RNG.uniform(0, 900, rows)
    numbers[::5] = np.nan
    examples: dict[str, Any] = {
        "age": RNG.uniform(0, 120, rows).astype(np.float32), "income": list(numbers), "member": RNG.random(rows) > 0.5,
        "weights": RNG.normal(size=(rows, 3)).astype(np.float32), "curve": RNG.normal(size=(rows, 40)).astype(np.float32),
        "colour": [["red", "blue", None][row % 3] for row in range(rows)],
    }  # fmt: skip
    colours = ps.codec.Categories(["red", "blue"])
    codec: dict[str, Any] = {"income": ps.codec.Number(), "colour": colours, "level": ps.codec.Categories(LEVELS)}
    typed = {**examples, "income": numbers, "colour": np.array([row % 3 if row % 3 < 2 else -1 for row in range(rows)], np.int32)}
    signature = ps.signature(typed).edit("age", unit="years", range=(0.0, 120.0), on_range="reject")
    return ps.pack(Wide(8, 3), name="form", featurize=featurize, predict=level, examples=examples, codec=codec,
                   signature=signature, out=out)  # fmt: skip


def flat(picture: Tensor) -> Tensor:
    """uint8 (batch, 16, 16) -> float32 (batch, 256)."""
    return picture.to(torch.float32).flatten(1) / 255 - 0.2


def pictures(out: Path) -> ps.Package:
    """Small grey pictures behind the image codec, with golden ones to show."""
    images = RNG.integers(0, 255, (40, 16, 16), dtype=np.uint8)
    images[:, [0, -1]] = images[:, :, [0, -1]] = 0
    codec: dict[str, Any] = {"picture": ps.codec.Image(size=(16, 16), mode="L"), "level": ps.codec.Categories(LEVELS)}
    return ps.pack(Wide(256, 3), name="pictures", featurize=flat, predict=level, examples={"picture": images}, codec=codec,
                   licence="CC0-1.0", shareable=True, out=out)  # fmt: skip


class Bag(nn.Module):
    """The mean of the tokens' vectors."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.table = nn.Embedding(len(WORDS), 6)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(batch, sequence) twice -> (batch, 6)."""
        weights = mask.unsqueeze(-1).to(torch.float32)
        return (self.table(ids.long()) * weights).sum(1) / weights.sum(1).clamp(min=1)


def texts(out: Path) -> ps.Package:
    """A text encoder with a vocabulary of twelve tokens."""

    def featurize(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        return input_ids, attention_mask

    def predict(model: nn.Module, features: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {"embedding": model(*features)}

    said = ["a boat leaves the port.", "the boats", "a port", "port the boat leaves a boat."] * 10
    return ps.pack(Bag().eval(), name="texts", featurize=featurize, predict=predict, examples={"text": said},
                   codec={"text": ps.codec.WordPiece(WORDS)}, licence="CC0-1.0", shareable=True, kinds={"embedding": "embedding"},
                   dynamic={"input_ids": {1: "sequence"}, "attention_mask": {1: "sequence"}}, out=out)  # fmt: skip


def counter(out: Path) -> ps.Package:
    """A model with a memory: it adds up what it was given."""

    def featurize(x: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        return x, total

    def predict(model: nn.Module, features: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        x, total = features
        return {"sum": (total + x).squeeze(1) + 0 * model(x).sum(1), "kept": total + x}

    x = RNG.uniform(1, 9, (64, 1)).astype(np.float32)
    return ps.pack(Wide(1, 1), name="counter", featurize=featurize, predict=predict, examples={"x": x},
                   state={"kept": ("total", np.zeros((1, 1), np.float32))}, kinds={"sum": "value"}, out=out)  # fmt: skip


PACKAGES: dict[str, Callable[[Path], ps.Package]] = {"form": form, "pictures": pictures, "texts": texts, "counter": counter}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[ps.Package, Path]]:
    """A package and its bundle by name, made once."""
    folder = tmp_path_factory.mktemp("page")
    made: dict[str, tuple[ps.Package, Path]] = {}

    def get(name: str) -> tuple[ps.Package, Path]:
        if name not in made:
            package = PACKAGES[name](folder / name)
            ps.compile(package, target="wasm", out=folder / f"{name}-wasm", allow_unproven=True)
            made[name] = package, folder / f"{name}-wasm"
        return made[name]

    return get


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """The server that `portside preview` uses."""
    server = preview.begin(0)
    yield server
    server.close()


Opened = Callable[..., Any]


@pytest.fixture
def opened(packages: Any, browser: Browser, host: Host) -> Iterator[Opened]:
    """Open the page of a bundle; at the end it must have said nothing on the console and asked nobody else."""
    contexts: list[Any] = []
    said: list[str] = []

    def get(name: str, **options: Any) -> tuple[ps.Package, Page]:
        package, folder = packages(name)
        url = preview.address(host, folder, preview.checked(folder).files)
        context = browser.new_context(viewport={"width": 1200, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: request.url.startswith((host.origin, "blob:", "data:")) or said.append(f"asked {request.url}"))
        page.goto(url)
        page.wait_for_selector("#loading.done", state="attached", timeout=60_000)
        return package, page

    yield get
    for context in contexts:
        context.close()
    assert not said


def answered(page: Page, act: Callable[[], object]) -> dict[str, Any]:
    """Do something, wait for the answer to it, and return the raw answer."""
    before = page.locator(".raw pre").text_content() if page.locator(".raw pre").count() else ""
    act()
    page.wait_for_function(f"before => {{ {PROBES}; return answered(before); }}", arg=before)
    page.wait_for_timeout(250)
    return json.loads(page.locator(".raw pre").text_content() or "")


def predicted(page: Page) -> dict[str, Any]:
    """The answer after pressing Predict."""
    return answered(page, lambda: page.get_by_role("button", name="Predict").click())


def field(page: Page, name: str) -> Any:
    """The card of a wire field."""
    return page.locator(f'[data-field="{name}"]')


def same(answer: dict[str, Any], truth: dict[str, Any], atol: float = 1e-5) -> None:
    """The page's answer is the package's."""
    for name, value in truth.items():
        if np.asarray(value).dtype.kind == "f":
            np.testing.assert_allclose(answer["outputs"][name], value, atol=atol, rtol=1e-5)
        else:
            assert answer["outputs"][name] == np.asarray(value).tolist()


def fill_form(page: Page) -> dict[str, Any]:
    """Fill in every field of the form; what that means on the wire."""
    field(page, "age").get_by_role("spinbutton").fill("41.5")
    field(page, "income").get_by_role("spinbutton").fill("250")
    field(page, "member").get_by_role("switch").check()
    field(page, "colour").get_by_role("combobox").select_option("blue")
    for place, value in enumerate((0.5, -1, 2)):
        field(page, "weights").get_by_role("spinbutton").nth(place).fill(str(value))
    curve = [round(0.1 * step - 2, 1) for step in range(40)]
    field(page, "curve").get_by_role("textbox").fill(", ".join(map(str, curve)))
    return {"age": np.array([41.5], np.float32), "income": [250.0], "member": np.array([True]), "colour": ["blue"],
            "weights": np.array([[0.5, -1, 2]], np.float32), "curve": np.array([curve], np.float32)}  # fmt: skip


def test_every_field_of_a_form_answers_as_the_package(opened: Opened) -> None:
    package, page = opened("form")
    wire = fill_form(page)
    truth = package.predict(wire)
    same(predicted(page), truth)
    assert page.locator(".decision").text_content() == truth["level"][0]
    assert page.locator('[data-output="scores"] .bar-name').all_text_contents()[0] == truth["level"][0]


def test_the_fields_stand_in_the_signatures_order_and_invent_no_zeros(opened: Opened) -> None:
    package, page = opened("form")
    shown = page.locator("[data-field]").evaluate_all("cards => cards.map((card) => card.dataset.field)")
    assert shown == [spec.name for spec in package.signature.inputs]
    cells = field(page, "weights").get_by_role("spinbutton")
    assert [cells.nth(place).input_value() for place in range(3)] == [""] * 3
    assert field(page, "curve").get_by_role("textbox").input_value() == ""
    expect(page.locator(".empty")).to_contain_text("Fill every cell of Weights.")


def test_predict_says_what_is_missing_and_leads_there(opened: Opened) -> None:
    package, page = opened("form")
    assert page.locator("section.card.failed").count() == 0
    page.get_by_role("button", name="Predict").click()
    expect(page.locator(".empty")).to_contain_text("Something is missing")
    assert page.locator("section.card.failed").evaluate_all("cards => cards.map((card) => card.dataset.field)") == ["weights", "curve"]
    expect(field(page, "weights").get_by_role("alert")).to_contain_text("Fill every cell of Weights.")
    assert page.evaluate(f"{PROBES}; focused()") == "weights"
    wire = fill_form(page)
    same(predicted(page), package.predict(wire))
    assert page.locator("section.card.failed").count() == 0


def test_predict_with_nothing_drawn_asks_for_a_drawing(opened: Opened) -> None:
    _, page = opened("pictures")
    field(page, "picture").get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Predict").click()
    expect(field(page, "picture").get_by_role("alert")).to_contain_text("Draw something, or choose a photo.")
    expect(page.locator(".empty")).to_contain_text("Something is missing")
    draw(page, field(page, "picture").locator("canvas"))
    expect(field(page, "picture").get_by_role("alert")).to_be_hidden()


def test_the_times_say_what_they_are_of(opened: Opened) -> None:
    _, page = opened("form")
    fill_form(page)
    answered(page, lambda: field(page, "age").get_by_role("slider").fill("11"))
    receipt = page.locator("#receipt")
    expect(receipt).not_to_contain_text("median")
    for age in ("12", "13", "14", "15"):
        answered(page, lambda: field(page, "age").get_by_role("slider").fill(age))  # noqa: B023 - called at once
    expect(receipt).to_contain_text(re.compile(r"form took [<\d.]+ ?[\d.]* ms for the last answer"))
    expect(receipt).to_contain_text(re.compile(r"reading the input .* ms · model .* ms"))
    expect(receipt).to_contain_text(re.compile(r"last \d+ answers:\s*median"))


def test_missing_values_are_values(opened: Opened) -> None:
    package, page = opened("form")
    wire = fill_form(page)
    field(page, "income").get_by_role("checkbox").check()
    field(page, "colour").get_by_role("combobox").select_option("missing")
    same(predicted(page), package.predict({**wire, "income": [None], "colour": [None]}))


def test_the_slider_moves_the_number_and_the_answer_follows(opened: Opened) -> None:
    package, page = opened("form")
    wire = fill_form(page)
    predicted(page)
    answer = answered(page, lambda: field(page, "age").get_by_role("slider").fill("12"))
    assert field(page, "age").get_by_role("spinbutton").input_value() == "12"
    same(answer, package.predict({**wire, "age": np.array([12], np.float32)}))


def test_an_error_stands_at_its_field(opened: Opened) -> None:
    _, page = opened("form")
    fill_form(page)
    field(page, "age").get_by_role("spinbutton").fill("300")
    fault = field(page, "age").get_by_role("alert")
    expect(fault).to_contain_text(re.compile("300"))
    assert page.locator("section.card.failed").count() == 1
    assert field(page, "age").get_by_role("spinbutton").get_attribute("aria-invalid") == "true"
    answered(page, lambda: field(page, "age").get_by_role("spinbutton").fill("30"))
    expect(fault).to_be_hidden()


def test_the_wrong_number_of_values_is_refused_at_its_field(opened: Opened) -> None:
    _, page = opened("form")
    fill_form(page)
    field(page, "curve").get_by_role("textbox").fill("[1, 2, 3]")
    expect(field(page, "curve").get_by_role("alert")).to_contain_text("40")


def test_a_drawing_answers_as_the_package_does_on_its_pixels(opened: Opened) -> None:
    package, page = opened("pictures")
    field(page, "picture").get_by_role("button", name="Clear").click()
    draw(page, field(page, "picture").locator("canvas"))
    answer = predicted(page)
    pixels = page.evaluate(f"{PROBES}; drawn()")
    drawn = np.array(pixels[2], np.uint8).reshape(pixels[0], pixels[1], 4)
    assert 0.01 < (drawn[..., 0] > 128).mean() < 0.6
    same(answer, package.predict({"picture": drawn}))


def draw(page: Page, canvas: Any) -> None:
    """A stroke from corner to corner, with the mouse."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.25)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.7, steps=8)
    page.mouse.up()


def test_a_photo_answers_as_the_package(opened: Opened) -> None:
    package, page = opened("pictures")
    file = io.BytesIO()
    Picture.fromarray(RNG.integers(0, 255, (37, 52, 3), dtype=np.uint8)).save(file, "PNG")
    field(page, "picture").get_by_role("tab", name="Photo").click()
    upload = {"name": "photo.png", "mimeType": "image/png", "buffer": file.getvalue()}
    same(answered(page, lambda: field(page, "picture").locator("input[type=file]").first.set_input_files(upload)),
         package.predict({"picture": file.getvalue()}))  # fmt: skip


def test_a_broken_photo_is_refused_at_its_field(opened: Opened) -> None:
    _, page = opened("pictures")
    field(page, "picture").get_by_role("tab", name="Photo").click()
    broken = {"name": "photo.png", "mimeType": "image/png", "buffer": b"this is no picture"}
    field(page, "picture").locator("input[type=file]").first.set_input_files(broken)
    expect(field(page, "picture").get_by_role("alert")).to_contain_text(re.compile(r"\w"))


@pytest.mark.parametrize("name", ["pictures", "texts"])
def test_a_golden_input_gets_its_reference_answer(opened: Opened, name: str) -> None:
    package, page = opened(name)
    rows = page.locator(".golden button")
    assert rows.count() == 12
    answer = answered(page, lambda: rows.nth(3).click())
    assert page.locator(".reference").get_attribute("data-equal") == "true"
    reference = contract(package).cases[0]
    for output, value in reference.outputs.items():
        codes = np.asarray(value[3:4])
        given = [[LEVELS.index(word) for word in answer["outputs"][output]]] if output == "level" else answer["outputs"][output]
        np.testing.assert_allclose(np.ravel(given), codes.ravel(), atol=1e-4)


def contract(package: ps.Package) -> Any:
    """The golden cases of a package."""
    from portside.sdk.core.contract import Contract

    return Contract.from_bytes(package.read("contract/contract.json"), package.read("contract/cases.safetensors"))


def test_a_text_answers_as_the_package_and_is_compared_with_the_one_before(opened: Opened) -> None:
    package, page = opened("texts")
    box = field(page, "text").get_by_role("textbox")
    first = answered(page, lambda: box.fill("a boat leaves"))
    same(first, package.predict({"text": ["a boat leaves"]}))
    expect(field(page, "text")).to_contain_text("5 tokens")
    second = answered(page, lambda: box.fill("the ports"))
    one, other = (np.array(answer["outputs"]["embedding"][0]) for answer in (first, second))
    alike = float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    near = "(alike) => Math.abs(Number(document.querySelector('.likeness .figure')?.textContent) - alike) <= 6e-4"
    page.wait_for_function(near, arg=alike)  # drawn a moment after the answer


def test_a_memory_is_carried_and_can_be_reset(opened: Opened) -> None:
    _, page = opened("counter")
    assert page.locator('[data-field="total"]').count() == 0
    box = field(page, "x").get_by_role("spinbutton")
    box.fill("2")
    assert predicted(page)["outputs"]["sum"] == [2]
    box.fill("5")
    assert predicted(page)["outputs"]["sum"] == [7]
    page.get_by_role("button", name="Reset memory").click()
    assert predicted(page)["outputs"]["sum"] == [5]


def test_the_keyboard_is_enough(opened: Opened) -> None:
    """Tab reaches every control in order; a value is typed, and Enter asks."""
    _, page = opened("form")
    fill_form(page)
    predicted(page)
    page.locator("body").click(position={"x": 2, "y": 2})
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        at = page.evaluate(f"{PROBES}; focused()")
        seen.append(at)
        if at == "Predict":
            break
    assert seen[-1] == "Predict"
    assert {"income", "colour", "age", "member", "weights", "curve"} <= set(seen)
    field(page, "age").get_by_role("spinbutton").focus()
    page.keyboard.press("Control+A")
    answered(page, lambda: (page.keyboard.type("77"), page.keyboard.press("Enter")))
    assert field(page, "age").get_by_role("spinbutton").input_value() == "77"


def test_a_drawing_by_keyboard(opened: Opened) -> None:
    _, page = opened("pictures")
    field(page, "picture").get_by_role("button", name="Clear").click()
    expect(page.locator(".empty")).to_contain_text("Draw")
    field(page, "picture").locator("canvas").focus()
    answered(page, lambda: [page.keyboard.press(key) for key in ("Space", "ArrowRight", "ArrowRight", "ArrowDown", "Space")])


@pytest.mark.parametrize("name", ["form", "pictures", "texts", "counter"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_access(opened: Opened, name: str, scheme: str) -> None:
    """Every control has a name, text stands out from its ground, nothing is wider than a small phone, targets fit a finger."""
    _, page = opened(name, color_scheme=scheme)
    expect(page.locator("#receipt, .empty").first).to_be_visible()
    page.wait_for_timeout(300)
    assert page.evaluate(f"{PROBES}; nameless()") == []
    assert page.evaluate(f"{PROBES}; faint()") == []
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.evaluate(f"{PROBES}; tiny()") == []


def test_the_page_works_from_any_folder_without_threads(
    packages: Any, browser: Browser, serve: Callable[[Path], str], tmp_path: Path
) -> None:
    """Below a sub-path of a plain server without headers for threads, as on any static host."""
    package, folder = packages("pictures")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "demo").symlink_to(folder)
    origin = serve(tmp_path)
    page = browser.new_page()
    page.goto(f"{origin}/deep/er/demo/index.html")
    expect(page.locator(".reference")).to_be_visible(timeout=60_000)
    assert page.locator("h1").text_content() == package.name
    expect(page.locator("#receipt")).to_contain_text("1 thread (page not isolated)")
    page.close()
