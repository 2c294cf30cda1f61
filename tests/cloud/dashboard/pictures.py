"""Pictures of every view at three widths, light and dark, for eyes and for docs: `pictures.py OUT`, `pictures.py docs [NAME...]`."""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

import browsing
import field
import tried
import weather as made

VIEWS = {
    "overview": "",
    "fields": "/fields",
    "feature": "/feature/in.sea_level_pressure",
    "category": "/feature/in.sky",
    "slice": "/slice/{slice}",
    "records": "/records",
    "record": "/record/{record}",
    "alerts": "/alerts",
    "alert": "/alert/{alert}",
    "rollout": "/rollout",
    "rollout-back": "/rollout/r1",
    "devices": "/devices",
    "device": "/device/roof-03",
}


def pictures(out: Path, widths=(390, 820, 1440), schemes=("light", "dark"), views=tuple(VIEWS), folder: Path | None = None) -> None:
    """Write OUT/VIEW-WIDTH-SCHEME.png."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made_here:
        day = everything(folder or Path(made_here) / "weather")
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


def everything(folder: Path):
    """A day with devices, a rollout that went back, and one that asks for a yes."""
    now_ms = time.time_ns() // 1_000_000
    day = made.weather(folder, now_ms)
    field.devices(day.deployment, now_ms)
    tried.tried(day.deployment, now_ms - 8 * 3_600_000, broken="fog", rollout="r1")
    tried.tried(day.deployment, now_ms, looks=26, every_ms=8 * 60_000, rows=200, rollout="r2")
    return day


def names(browser, apart, day) -> dict[str, str]:
    """An alert that fires, a slice, a record with a wrong answer."""
    page = browsing.opened(browser)
    page.goto(f"{apart.url}#/rain-tomorrow")
    page.wait_for_selector("#alerts a")
    part = page.locator("#right table a", has_text="fog").first.get_attribute("href").split("/slice/")[1]
    page.goto(f"{apart.url}#/rain-tomorrow/alerts")
    page.wait_for_selector("#firing-title")
    alert = page.locator(".alerts a", has_text="drift").first.get_attribute("href").split("/alert/")[1]
    page.context.close()
    return {"alert": alert, "slice": part, "record": day.wrong[-1]}


def picture(browser, address: str, file: Path, width: int, scheme: str, height: int | None = None) -> None:
    """The whole page, or what a screen of `height` shows of it."""
    page = browsing.opened(browser, width=width, height=height or 900, color_scheme=scheme)
    page.goto(address)
    page.wait_for_selector("main section")
    page.wait_for_timeout(400)
    page.screenshot(path=file, full_page=height is None)
    for complaint in page.complaints:
        print(f"{file.name}: {complaint}")
    page.context.close()


DOCS = {
    "dashboard-overview": ("overview", 1280, 1180, "light"),
    "dashboard-alert": ("alert", 1280, 1160, "light"),
    "dashboard-feature-dark": ("feature", 1000, 1230, "dark"),
    "dashboard-phone": ("overview", 390, 980, "light"),
    "dashboard-record-phone": ("record", 390, 980, "dark"),
    "rollout": ("rollout", 1280, 1120, "light"),
    "rollout-back-phone": ("rollout-back", 390, 1000, "dark"),
    "dashboard-devices": ("devices", 1280, 1080, "light"),
    "dashboard-devices-phone": ("devices", 390, 980, "dark"),
}


def for_docs(out: Path, only: tuple[str, ...] = (), folder: Path | None = None) -> None:
    """The pictures of docs/dashboard.md and docs/rollouts.md: the beginning of a view, as it is on a screen of that height."""
    with tempfile.TemporaryDirectory() as made_here:
        day = everything(folder or Path(made_here) / "weather")
        apart = browsing.Apart(day.deployment, Path(made_here) / "log")
        try:
            with browsing.chromium() as browser:
                known = names(browser, apart, day)
                for name, (view, width, height, scheme) in DOCS.items():
                    if only and name not in only:
                        continue
                    address = apart.url + "#/rain-tomorrow" + VIEWS[view].format(**known)
                    picture(browser, address, out / f"{name}.png", width, scheme, height)
        finally:
            apart.close()


if __name__ == "__main__":
    if sys.argv[1] == "docs":
        for_docs(Path(__file__).parents[3] / "docs" / "screenshots", tuple(sys.argv[2:]))
    else:
        pictures(Path(sys.argv[1]), *([tuple(map(int, sys.argv[2].split(",")))] if len(sys.argv) > 2 else []))
