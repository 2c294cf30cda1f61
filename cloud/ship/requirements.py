"""What a shipped deployment needs beside Portside, at the versions that are installed here: what was tried is what is shipped."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ...sdk.core.errors import MissingExtraError

EXTRAS = {"onnx-cpu": "onnx", "reference": "onnx", "tflite": "tflite", ".parquet": "parquet", "postgresql": "postgres"}
"""The extra of a runtime on a server, of a form of table, of a database; what is not here needs no more than the cloud extra."""


def pinned(needs: Iterable[str]) -> list[str]:
    """`name==version` of everything that serving needs, sorted.

    Args:
        needs: runtimes that answer, suffixes of tables, the database of records.

    Raises:
        MissingExtraError: a dependency is not installed here.
    """
    found: dict[str, str] = {}
    extras = {"cloud", *(EXTRAS[need] for need in needs if need in EXTRAS)}
    _add(Requirement(f"portside[{','.join(sorted(extras))}]"), found, set())
    return sorted(f"{name}=={number}" for name, number in found.items() if name != "portside")


def _add(requirement: Requirement, found: dict[str, str], done: set[tuple[str, str]]) -> None:
    """A requirement and what it requires in turn, with its extras."""
    name = canonicalize_name(requirement.name)
    try:
        about = distribution(name)
    except PackageNotFoundError as error:
        raise MissingExtraError(f"A shipped deployment needs {name}, which is not installed here", extra="cloud") from error
    found[name] = version(name)
    for extra in ("", *sorted(requirement.extras)):
        if (name, extra) in done:
            continue
        done.add((name, extra))
        for text in about.requires or ():
            inner = Requirement(text)
            if inner.marker is None or inner.marker.evaluate({"extra": extra}):
                _add(inner, found, done)
