"""What every test shares: one copy of Portside, one home that is not the user's, and how long the slow suites may take."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("sdk", "runtimes", "compress", "edge", "cloud")

# `python -m pytest` puts the repository root on the path; from there `import sdk` would load a second copy of our modules.
# Shells let what they start in the background ignore Ctrl-C, and so would every command that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]

EFFORT = os.environ.get("PORTSIDE_EFFORT", "short")
settings.register_profile("short", deadline=None, print_blob=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", settings.get_profile("short"), max_examples=1000)
settings.load_profile(EFFORT)


MARKS = ("slow", "fuzz", "browser", "load", "chaos")


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """`make slow` collects the files that name a marker: a marker that comes from elsewhere would leave its test out."""
    named = [mark for mark in MARKS if item.get_closest_marker(mark)]
    if named and not any(f"mark.{mark}" in _text(item.path) for mark in MARKS):
        raise pytest.UsageError(f"{item.nodeid} is marked {named[0]} by another file; its own must say mark.{named[0]}")


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What holds for int8 kernels that add up exactly is not asked of those that do not: docs/compression.md says how they differ."""
    from portside.runtimes.hardware import int8_sums_here

    items.sort(key=lambda item: "examples" not in item.path.parts)  # minutes each: last, one of them would keep a single worker busy

    if int8_sums_here() == "saturating":
        cut = pytest.mark.skip(reason="this CPU cuts sums of int8 at 16 bits (no VNNI), so that its kernels give other figures")
        for item in items:
            if item.get_closest_marker("exact_sums"):
                item.add_marker(cut)


@pytest.fixture(scope="session")
def effort() -> int:
    """1 in short form, 20 at full length (`make soak`): what the slow suites multiply their rounds by."""
    return 20 if EFFORT == "full" else 1


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PORTSIDE_HOME per test, so that no test reads or fills the user's store."""
    path = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("PORTSIDE_HOME", str(path))
    return path


@pytest.fixture
def brief_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials measure latency and memory briefly, for tests that do not look at them."""
    from portside.compress import trials

    monkeypatch.setattr(trials, "REPEATS", 1)
    monkeypatch.setattr(trials, "SECONDS", 0.002)
    monkeypatch.setattr(trials, "probe", lambda artifact, trust: {"memory_mb": 20.0})


@pytest.fixture(autouse=True, scope="session")
def single_copy() -> Iterator[None]:
    """Fail the session if any module outside `portside.*` was loaded from one of our folders."""
    yield
    assert not second_copies(), f"loaded beside portside: {second_copies()}"


def second_copies() -> list[str]:
    """Names in sys.modules that stand for a file of ours under another name than `portside....`."""
    ours = tuple(str(ROOT / folder) + os.sep for folder in FOLDERS)
    files = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
    return sorted(name for name, file in files.items() if file.startswith(ours) and name.split(".")[0] != "portside")
