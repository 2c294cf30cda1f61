"""TFLite says "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." on stderr, once per process and whatever its log level is.

It is made to say it about a model of our own, one ABS of one float, while stderr is a file; everything else that was written
meanwhile is written again. A user's model is opened afterwards, with stderr as it is, so that no word about it can be lost.
"""

from __future__ import annotations

import os
import tempfile
import threading
from base64 import b85decode
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

_SAID = b"INFO: Created TensorFlow Lite XNNPACK delegate"
_ABS = b85decode(
    "7ytkOR7OlQ000gE6aWwa3;+lK000C44gdfE5C8xG8~^|Sv;Y7A0{{R30RR912mk;81ONm81ONa40RR915C8xG3;+}W5C9AS2mk~C3;+NC5C8xGJOBUyKmY&$L;wH)0RR91"
    "5C8xG000UA3;+NC2mk~C3IG5A2mk;83;+NC0RR910RR910RR91000000RR910RR910RR91000000ssI2AOHXW1ONa4?*IS)1ONa40RR910RR91000I62mk~C1^@s61ONa4"
    "0RR910RR910RR915C8xG3;+xO3jhEB000C43;+NCWdHyG0001G"
)


_LOCK = threading.Lock()


def hush(interpreter: Callable[..., Any]) -> None:
    """Have the line said, unheard, once per process. `interpreter` is the class that opens models."""
    with _LOCK:  # two at once would leave stderr in a file
        _hush(interpreter)


@cache
def _hush(interpreter: Callable[..., Any]) -> None:
    with suppress(OSError):  # without a stderr nobody hears it anyway
        _unheard(lambda: interpreter(model_content=_ABS, num_threads=1).allocate_tensors())


def _unheard(act: Callable[[], None]) -> None:
    """Run `act` while stderr goes to a file, then write what it says other than the line."""
    stderr = os.dup(2)
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)
            try:
                with suppress(ValueError, RuntimeError):  # an interpreter without XNNPACK, or without this operator, says nothing
                    act()
            finally:
                os.dup2(stderr, 2)
            file.seek(0)
            for line in file:
                if not line.startswith(_SAID):
                    os.write(2, line)
    finally:
        os.close(stderr)
