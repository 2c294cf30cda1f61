"""Records as a window, whatever they hold. One that cannot be summarised (text where the signature says numbers) counts as a request
without values; it must not stop those beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...sdk.core.labels import Label
from ...sdk.core.records import Record
from ...sdk.core.window import Window
from .about import About

log = logging.getLogger("portside.monitor")


def summed(records: Sequence[Record], about: About) -> Window:
    """The window of these records."""
    return _whole(records, lambda some: Window.of(some, {}, **_settings(about)))


def quality_of(records: Sequence[Record], labels: Mapping[tuple[str, int], Label], about: About) -> Window:
    """How right these records were; nothing else of them."""
    return _whole(records, lambda some: Window.judged(some, labels, **_settings(about)))


def _whole(records: Sequence[Record], make: Callable[[Sequence[Record]], Window]) -> Window:
    try:
        return make(records)
    except Exception as error:  # whatever records hold: the odd ones are found, and counted without their values
        if len(records) > 1:
            middle = len(records) // 2
            return _whole(records[:middle], make).merge(_whole(records[middle:], make))
        log.warning("The values of record %s cannot be summarised: %s", records[0].id, type(error).__name__)
        return make([replace(records[0], inputs={}, outputs={}, features={}, flags=())])


def _settings(about: About) -> dict[str, Any]:
    return {"signature": about.signature, "slices": about.settings.slices, "confidence": about.settings.confidence}
