"""What the metrics page shows of one engine: breakers, kept answers, lanes, records. Read when the page is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...runtimes.isolation import statistics
from ...sdk.core.failover import Breaker
from ..records.store import RecordStore
from .cache import CacheEntry
from .chain import ModelEntry
from .consistency import ConsistencyWindow
from .endpoint import EndpointEntry
from .precomputed import PrecomputedEntry

STATES = ("closed", "half-open", "open")


def gauges(entries: Sequence[object], breakers: Sequence[Breaker], records: RecordStore | None) -> dict[str, float]:
    """Name with labels -> value."""
    values: dict[str, float] = {}
    if records is not None:
        values |= records.gauges()
    for place, (entry, breaker) in enumerate(zip(entries, breakers, strict=True)):
        label = f'{{entry="{place}"}}'
        if isinstance(entry, ModelEntry):
            seen = statistics(entry.lane)
            values[f"portside_model_ready{label}"] = float(seen["ready"])
            values[f"portside_abandoned_calls{label}"] = seen["abandoned"]
            values[f"portside_worker_restarts{label}"] = seen["restarts"]
        if isinstance(entry, ModelEntry | EndpointEntry):
            values[f"portside_breaker_open{label}"] = float(breaker.state != "closed")
            for state in STATES:
                values[f'portside_breaker_state{{entry="{place}",state="{state}"}}'] = float(breaker.state == state)
    return values


def kept_lines(entries: Sequence[object], window: ConsistencyWindow | None) -> Iterable[str]:
    """Caches, precomputed answers and the consistency window, as Prometheus text."""
    kept = [(place, entry) for place, entry in enumerate(entries) if isinstance(entry, CacheEntry | PrecomputedEntry)]
    caches = [(place, entry) for place, entry in kept if isinstance(entry, CacheEntry)]
    if kept:
        yield from _family("portside_cache_hits_total", "counter", "Lookups that found a kept answer.", [(p, e.hits) for p, e in kept])
        yield from _family("portside_cache_misses_total", "counter", "Lookups that found none.", [(p, e.misses) for p, e in kept])
        yield from _family("portside_cache_answers", "gauge", "Answers that are kept.", [(p, len(e)) for p, e in kept])
    if caches:
        yield from _family("portside_cache_bytes", "gauge", "About what they take.", [(p, e.size_bytes) for p, e in caches])
        yield from _family("portside_stale_answers_total", "counter", "Answers past their time.", [(p, e.stale) for p, e in caches])
    if window is not None:
        for name, kind, about, value in (
            ("portside_consistency_answers", "gauge", "Answers that hold for an entity.", len(window)),
            ("portside_consistency_bytes", "gauge", "About what they take.", window.size_bytes),
            ("portside_consistency_evicted_total", "counter", "Answers that left before their window ended.", window.evicted),
        ):
            yield from (f"# HELP {name} {about}", f"# TYPE {name} {kind}", f"{name} {value}")


def _family(name: str, kind: str, about: str, values: Sequence[tuple[int, int]]) -> Iterable[str]:
    yield from (f"# HELP {name} {about}", f"# TYPE {name} {kind}")
    yield from (f'{name}{{entry="{place}"}} {value}' for place, value in values)
