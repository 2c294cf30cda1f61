"""Several pages of Prometheus text as one: labels tell them apart, and each metric is described once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_SAMPLE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? (\S+)")
_SUFFIXES = ("_bucket", "_sum", "_count", "")


def merged(pages: Sequence[tuple[Mapping[str, str], str]]) -> str:
    """One page of several.

    Args:
        pages: (labels to add, Prometheus text 0.0.4).

    Samples of one metric stand together behind its HELP and TYPE lines, as the format demands.
    """
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for labels, text in pages:
        added = ",".join(f'{key}="{value}"' for key, value in labels.items())
        for line in text.splitlines():
            if line.startswith("#"):
                _describe(heads, line)
            elif found := _SAMPLE.fullmatch(line):
                name, own, value = found.groups()
                family = _family(name, heads)
                samples.setdefault(family, []).append(f"{name}{{{added}{',' + own if own else ''}}} {value}")
    return "".join("\n".join([*heads.get(name, []), *samples.get(name, [])]) + "\n" for name in dict.fromkeys([*heads, *samples]))


def _describe(heads: dict[str, list[str]], line: str) -> None:
    """Keep a HELP or TYPE line, once for each metric."""
    words = line.split(" ", 3)
    kept = heads.setdefault(words[2], [])
    if not any(held.split(" ", 3)[1] == words[1] for held in kept):
        kept.append(line)


def _family(name: str, heads: Mapping[str, list[str]]) -> str:
    """The metric that a sample belongs to: a histogram's samples carry suffixes."""
    return next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix) and name.removesuffix(suffix) in heads), name)
