"""A wheel of Portside as it is installed here: from an editable checkout or from an installed wheel, without a build and without a network.

A wheel is a zip of the files and four texts about them. Those texts are taken from the installed distribution, so that the wheel says
the same version and the same dependencies. Times are fixed: the same files make the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import tomllib
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from ...sdk.core.errors import MissingExtraError

NAME = "portside"
ROOT = Path(__file__).parents[2]
"""The package's own folder."""
MOMENT = (1980, 1, 1, 0, 0, 0)
WHEEL = "Wheel-Version: 1.0\nGenerator: portside\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def write_wheel(folder: Path) -> Path:
    """Write the wheel into a folder. Raises MissingExtraError where Portside runs without being installed."""
    try:
        about = distribution(NAME)
    except PackageNotFoundError as error:
        raise MissingExtraError("Portside is not installed here, only imported", extra="cloud") from error
    path = folder / f"{NAME}-{about.version}-py3-none-any.whl"
    info = f"{NAME}-{about.version}.dist-info"
    entries = {f"{NAME}/{name}": (ROOT / name).read_bytes() for name in sorted(files())}
    entries |= {f"{info}/{name}": text for name, text in _texts(about).items()}
    entries[f"{info}/RECORD"] = _record(entries, f"{info}/RECORD")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in entries.items():
            member = zipfile.ZipInfo(name, MOMENT)
            member.external_attr, member.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            wheel.writestr(member, data)
    return path


def files() -> list[str]:
    """The package's files, relative to its folder: those of the build's own rules in a checkout, all of them in an install."""
    project = ROOT / "pyproject.toml"
    if project.is_file():
        return _of_checkout(tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["setuptools"])
    return [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def _of_checkout(rules: dict[str, object]) -> list[str]:
    """Modules of the listed packages, and the data files that match their patterns."""
    found = set[Path]()
    packages, data = rules["packages"], rules["package-data"]
    assert isinstance(packages, list) and isinstance(data, dict)  # noqa: S101  our own file
    for package in packages:
        found |= set(_folder(package).glob("*.py"))
    for package, patterns in data.items():
        for pattern in patterns:
            found |= {path for path in _folder(package).glob(pattern) if path.is_file()}
    return [str(path.relative_to(ROOT)) for path in found]


def _folder(package: str) -> Path:
    return ROOT.joinpath(*package.split(".")[1:])


def _texts(about: Distribution) -> dict[str, bytes]:
    """What a wheel says of itself."""
    metadata = about.read_text("METADATA") or about.read_text("PKG-INFO") or ""
    texts = {"METADATA": metadata, "WHEEL": WHEEL, "entry_points.txt": about.read_text("entry_points.txt") or ""}
    licence = about.read_text("licenses/LICENSE") or about.read_text("LICENSE")
    licence = licence or ((ROOT / "LICENSE").read_text(encoding="utf-8") if (ROOT / "LICENSE").is_file() else "")
    return {name: text.encode() for name, text in {**texts, "licenses/LICENSE": licence}.items() if text}


def _record(entries: dict[str, bytes], own: str) -> bytes:
    """name,sha256=...,size for every file; itself without."""
    return "".join([*_lines(entries.items()), f"{own},,\n"]).encode()


def _lines(entries: Iterable[tuple[str, bytes]]) -> Iterable[str]:
    for name, data in entries:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        yield f"{name},sha256={digest},{len(data)}\n"
