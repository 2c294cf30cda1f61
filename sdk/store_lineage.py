"""Lineage: where a package comes from and what became of it, by the parent digests in its manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .store_index import Index


@dataclass(frozen=True)
class Relative:
    """A package in a lineage: its digest, what it is called here (nothing where it was never pushed), steps away."""

    digest: str
    refs: tuple[str, ...]
    distance: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"digest": self.digest, "refs": list(self.refs), "distance": self.distance}


@dataclass(frozen=True)
class Lineage:
    """Ancestors and descendants of one package, nearest first."""

    digest: str
    refs: tuple[str, ...]
    ancestors: tuple[Relative, ...]
    descendants: tuple[Relative, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "digest": self.digest, "refs": list(self.refs), "ancestors": [item.to_dict() for item in self.ancestors],
            "descendants": [item.to_dict() for item in self.descendants],
        }  # fmt: skip


def trace(index: Index, digest: str) -> Lineage:
    """The lineage of a digest. A package that names its own descendant as parent ends the walk, it does not loop."""
    parents = {version.digest: version.parents for version in index.versions.values()}
    children: dict[str, list[str]] = {}
    for child, held in parents.items():
        for parent in held:
            children.setdefault(parent, []).append(child)
    return Lineage(
        digest, _refs(index, digest),
        _walk(index, digest, lambda item: reversed(parents.get(item, ()))),
        _walk(index, digest, lambda item: sorted(children.get(item, ()))),
    )  # fmt: skip


def _walk(index: Index, start: str, step: Callable[[str], Iterable[str]]) -> tuple[Relative, ...]:
    seen, found, frontier, distance = {start}, list[Relative](), [start], 0
    while frontier:
        distance += 1
        reached = [item for held in frontier for item in step(held)]
        frontier = [item for item in dict.fromkeys(reached) if item not in seen]
        seen |= set(frontier)
        found += [Relative(item, _refs(index, item), distance) for item in frontier]
    return tuple(found)


def _refs(index: Index, digest: str) -> tuple[str, ...]:
    return tuple(version.ref for version in index.holding(digest))
