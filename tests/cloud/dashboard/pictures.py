"""Pictures of every view at three widths, light and dark, for eyes and for docs: `python tests/cloud/dashboard/pictures.py OUT`."""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import browsing
import weather as made

VIEWS = {
    "overview": "",
    "fields": "/fields",
    "feature": "/feature/in.temperature",
    "category": "/feature/in.sky",
    "slice": "/slice/{slice}",
    "records": "/records",
    "record": "/record/{record}",
    "alerts": "/alerts",
    "alert": "/alert/{alert}",
}


def pictures(out: Path, widths=(390, 820, 1440), schemes=("light", "dark"), views=tuple(VIEWS), folder: Path | None = None) -> None:
    """Write OUT/VIEW-WIDTH-SCHEME.png."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made_here:
        day = made.weather(folder or Path(made_here) / "weather", time.time_ns() // 1_000_000)
        apart = browsing.Apart(day.deployment, Path(made_here) / "log")
        try:
            with browsing.chromium() as browser:
                known = names(browser, apart, day)
                for width in widths:
                    for scheme in schemes:
                        for view in views:
                            picture(
                                browser,
                                apart.url + "#/rain-tomorrow" + VIEWS[view].format(**known),
                                out / f"{view}-{width}-{scheme}.png",
                                width,
                                scheme,
                            )
        finally:
            apart.close()


def names(browser, apart, day) -> dict[str, str]:
    """An alert that fires, a slice, a record with a wrong answer."""
    page = browsing.opened(browser)
    page.goto(f"{apart.url}#/rain-tomorrow")
    page.wait_for_selector("#alerts a")
    alert = page.locator("#alerts a", has_text="drift").first.get_attribute("href").split("/alert/")[1]
    part = page.locator("#right table a", has_text="fog").first.get_attribute("href").split("/slice/")[1]
    page.context.close()
    return {"alert": alert, "slice": part, "record": day.wrong[-1]}


def picture(browser, address: str, file: Path, width: int, scheme: str) -> None:
    """The whole page."""
    page = browsing.opened(browser, width=width, color_scheme=scheme)
    page.goto(address)
    page.wait_for_selector("main section")
    page.wait_for_timeout(400)
    page.screenshot(path=file, full_page=True)
    for complaint in page.complaints:
        print(f"{file.name}: {complaint}")
    page.context.close()


if __name__ == "__main__":
    pictures(Path(sys.argv[1]), *([tuple(map(int, sys.argv[2].split(",")))] if len(sys.argv) > 2 else []))
