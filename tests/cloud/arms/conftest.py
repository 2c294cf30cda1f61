"""A deployment with a challenger, opened; see armed.py."""

from pathlib import Path

import armed
import numpy as np
import packages
import pytest


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The packages, compiled once."""
    folder = tmp_path_factory.mktemp("arms")
    packages.host_package(folder / "main")
    packages.host_package(folder / "new", armed.NEW, "main")
    x = np.random.default_rng(0).uniform(-0.4, 0.4, (32, 3)).astype(np.float32)
    packages.host_package(folder / "strict", armed.NEW, "main", armed.STRICT, {"x": x})
    for name, source in (("lined", packages.MAIN), ("lined-new", armed.NEW)):
        lined = source.replace("def answer(x):", "def answer(x, line):")
        packages.host_package(folder / name, lined, "main", armed.LINED, {"x": x, "line": np.arange(32, dtype=np.int32) % 2})
    return folder


@pytest.fixture
def new_fault(tmp_path, monkeypatch):
    """A function that switches the challenger's fault."""
    file = tmp_path / "new-fault"
    file.write_text("ok")
    monkeypatch.setenv("NEW_FAULT", str(file))
    return file.write_text


@pytest.fixture
def tried(made, tmp_path, monkeypatch, new_fault):
    """(settings) -> the engine, closed at the end."""
    opened_ones = []
    monkeypatch.setenv("PORTSIDE_HOME", str(made / "home"))

    def build(rollout="", isolation="thread", deadline=2000, more="", text=armed.TEXT, champion="main", challenger="new"):
        folder = tmp_path / f"deployed-{len(opened_ones)}"
        folder.mkdir()
        for name in {champion, challenger}:
            (folder / name).symlink_to(made / name)
        file = Path(folder / "deployment.toml")
        file.write_text(text.format(rollout=rollout, isolation=isolation, deadline=deadline, more=more, champion=champion,
                                    challenger=challenger))  # fmt: skip
        opened_ones.append(armed.Tried(file))
        return opened_ones[-1]

    yield build
    new_fault("ok")
    for one in opened_ones:
        one.engine.close()
